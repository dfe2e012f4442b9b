"""How much room all uploads take together: what lies on the disk, and what is still on its way there.

To look through the disk takes a while, so what was found holds for some seconds, and what comes meanwhile is added.
Used by one event loop, without a lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.host.sweeping import files_in

FOUND_LASTS_S = 5.0


class Room:
    """The bytes of all uploads in a folder."""

    def __init__(self, folder: Callable[[], Path], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock_s = folder, clock_s
        self._looked_s: float | None = None
        self._come_bytes = 0
        self._awaited_bytes = 0

    def taken_bytes(self) -> int:
        """What has come and what is awaited."""
        now_s = self._clock_s()
        if self._looked_s is None or now_s - self._looked_s > FOUND_LASTS_S:
            self._come_bytes = sum(found.st_size for _, found in files_in(self._folder()))
            self._looked_s = now_s
        return self._come_bytes + self._awaited_bytes

    @contextmanager
    def awaiting(self, num_bytes: int) -> Iterator[Callable[[int], None]]:
        """An upload of at most so many bytes is on its way meanwhile; what is yielded is told of each piece that came.

        A piece is awaited no more: it lies in a file, where it is found with the others.
        """
        left_bytes = num_bytes
        self._awaited_bytes += num_bytes

        def come(piece_bytes: int) -> None:
            nonlocal left_bytes
            due_bytes = min(piece_bytes, left_bytes)
            left_bytes -= due_bytes
            self._awaited_bytes -= due_bytes
            self._come_bytes += piece_bytes

        try:
            yield come
        finally:
            self._awaited_bytes -= left_bytes
