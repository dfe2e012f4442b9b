"""What this process may have of its machine: a container or a service is often given a part of it alone.

Linux tells of the whole machine nearly everywhere. The part stands in the files of control groups, whose names and
meaning are in its documentation: admin-guide/cgroup-v2.rst, and admin-guide/cgroup-v1 and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
FILES = {
    "": ("memory.max", "memory.current", ""),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}
"""Where a group's limit and use of memory stand in bytes, and what the names of the sums in `memory.stat` begin with,
by the controller that the first version of control groups has for memory; the second has one tree for all."""


def num_processors(mounted: Path = MOUNTED, membership: Path = MEMBERSHIP) -> int:
    """The processors that it may run on, or as many as the time that it gets of them fills; 1 at least."""
    found = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for folder in _groups("", mounted, membership):
        found += _filled(*_read(folder / "cpu.max").split())
    for folder in _groups("cpu", mounted, membership):
        found += _filled(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
    return min(found)


def available_bytes(mounted: Path = MOUNTED, membership: Path = MEMBERSHIP) -> int:
    """Bytes that it can still have: of those that the machine has free, as many as its groups may use."""
    import psutil  # a GPU host may be without it

    found = [int(psutil.virtual_memory().available)]
    for controller, (limit, usage, sums) in FILES.items():
        for folder in _groups(controller, mounted, membership):
            if (most := _read(folder / limit)).isdecimal():
                # what is kept of files is given up as soon as memory is short, and counts as free on the machine too
                of_files = _sum(_read(folder / "memory.stat"), {f"{sums}active_file", f"{sums}inactive_file"})
                found.append(max(int(most) - int(_read(folder / usage) or 0) + of_files, 0))
    return min(found)


def _groups(controller: str, mounted: Path, membership: Path) -> Iterator[Path]:
    """The folders of the groups that this process is in, from its own outwards.

    In a container they may be told as seen from outside, while its own group is mounted as the outermost one.
    """
    for line in _read(membership).splitlines():
        _, controllers, place = line.split(":", 2)
        if controller in controllers.split(","):
            root = mounted / controller
            own = root / place.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def _filled(quota: str = "", period: str = "") -> list[int]:
    """How many processors so much time in each period fills, both in us; none where it has no bound."""
    return [max(1, ceil(int(quota) / int(period)))] if quota.isdecimal() and period.isdecimal() and int(period) else []


def _sum(stat: str, names: set[str]) -> int:
    pairs = (line.split() for line in stat.splitlines())
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in names)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
