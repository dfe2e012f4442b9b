"""Glassbox: ask a vision-language model about a picture or a clip, and see why it answers as it does."""
