"""Clips that are made to do harm, or are merely odd."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.media_makers import write_clip

HUGE = 0x7FFF_FFFF


def endless_stts(path: Path) -> Path:
    """A clip whose table of times states two thousand million frames: decord asks for the memory, and aborts."""
    content = bytearray(write_clip(path).read_bytes())
    count = content.index(b"stts") + 12
    content[count : count + 4] = struct.pack(">I", HUGE)
    path.write_bytes(content)
    return path
