"""Two models on the same questions about the same files, side by side."""
