"""A number of things in words, told alike wherever the page tells one."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A count with its noun, as `1 token` or `1,200 tokens`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
