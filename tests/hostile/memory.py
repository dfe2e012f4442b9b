"""How much memory a process took, and what else the system tells of it."""

from __future__ import annotations

import re
from pathlib import Path


def resident_bytes(number: int) -> int:
    """The most memory that a process held so far; 0 where it is gone, or the system does not tell."""
    return status_number(number, "VmHWM") * 1024


def status_number(number: int, name: str) -> int:
    """A number of `/proc/N/status`, such as VmRSS in KB; 0 where the process is gone, or the system does not tell."""
    try:
        status = Path(f"/proc/{number}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"{name}:\s+(\d+)", status)
    return int(found[1]) if found else 0
