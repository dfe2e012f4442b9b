"""How much memory a process took."""

from __future__ import annotations

import re
from pathlib import Path


def resident_bytes(number: int) -> int:
    """The most memory that a process held so far; 0 where it is gone, or the system does not tell."""
    try:
        status = Path(f"/proc/{number}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
