"""Every Qwen3.5: how large it is, what it needs, whether it fits here, and how it comes here."""
