"""How much room all uploads take together: what lies on the disk, and what has come since the disk was last searched.

Searching the disk takes a while, so what was found counts for some seconds. What is announced and has not come takes no
room: whoever sends nothing could otherwise keep it from everybody else. Used by one event loop, without a lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pipelines.host.sweeping import files_in

FOUND_LASTS_S = 5.0


class Room:
    """The bytes of all uploads in a folder."""

    def __init__(self, folder: Callable[[], Path], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock_s = folder, clock_s
        self._looked_s: float | None = None
        self._num_bytes = 0

    def taken_bytes(self) -> int:
        """What was found, and what has come since."""
        now_s = self._clock_s()
        if self._looked_s is None or now_s - self._looked_s > FOUND_LASTS_S:
            self._num_bytes = sum(found.st_size for _, found in files_in(self._folder()))
            self._looked_s = now_s
        return self._num_bytes

    def come(self, num_bytes: int) -> None:
        """Count a piece of an upload, which lies in a file of the folder from now on."""
        self._num_bytes += num_bytes
