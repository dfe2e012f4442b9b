"""Uploads are deleted once they are old, however the clock of the machine is set meanwhile.

Their age is counted by a clock that never goes back, from when they were first seen. The clock on the wall is asked
once, at the start, for what an earlier run has left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

Version = tuple[int, int]
"""What changes where a file is written anew, or handed out again, under the same name: inode, and time of change."""


class Sweep:
    """Deletes the files of a folder `keep_s` after they came; those that are `spared` stay."""

    def __init__(
        self,
        folder: Path,
        keep_s: float,
        spared: Callable[[], Collection[str]] = tuple,
        clock_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._keep_s, self._spared, self._clock_s = folder, keep_s, spared, clock_s
        self._came_s: dict[Path, tuple[Version, float]] = {}
        for path, version, changed_s in self._files():
            self._came_s[path] = version, clock_s() - max(0.0, wall_s() - changed_s)

    @property
    def every_s(self) -> float:
        """How often to look, so that nothing is there for longer than it may be."""
        return max(1.0, self._keep_s / 30)

    def __call__(self) -> int:
        """Delete what is old; how many files that were."""
        now_s, spared = self._clock_s(), {Path(name) for name in self._spared()}
        seen: dict[Path, tuple[Version, float]] = {}
        num_deleted = 0
        for path, version, _ in self._files():
            known = self._came_s.get(path)
            came_s = known[1] if known and known[0] == version else now_s
            # one that was seen came up to one look earlier, and the next look may be late
            if now_s - came_s >= self._keep_s - 2 * self.every_s and path not in spared:
                num_deleted += _deleted(path)
            else:
                seen[path] = version, came_s
        self._came_s = seen
        return num_deleted

    def _files(self) -> Iterator[tuple[Path, Version, float]]:
        for path, found in files_in(self._folder):
            yield path, (found.st_ino, found.st_ctime_ns), found.st_ctime


def files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files below a folder, also while others come and go."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                yield path, path.lstat()


def _deleted(path: Path) -> bool:
    with suppress(OSError):
        path.unlink()
        with suppress(OSError):  # other files are in it
            path.parent.rmdir()
        return True
    return False
