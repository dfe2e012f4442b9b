"""What requests took, as rows, bars, plots and files."""
