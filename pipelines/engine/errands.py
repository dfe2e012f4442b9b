"""Work besides the replies, which the engine's thread does a piece at a time, between two turns of the requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Errands:
    """A queue of such work, first come, first served. Several askers take turns, each with one piece at a time."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, work: Callable[[], T]) -> Future[T]:
        """Put work at the end of the queue; the future gets what it returns."""
        future: Future[T] = Future()
        self._waiting.append((work, future))
        return future

    def run(self, refuse: Callable[[Exception], Exception]) -> Exception | None:
        """Do the first, and give what it raised; whoever asked for it is told what `refuse` makes of that."""
        work, future = self._waiting.popleft()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(refuse(error))
            return error
        return None

    def fail(self, error: Exception) -> None:
        """Empty the queue: whoever waits is told `error`."""
        while self._waiting:
            self._waiting.popleft()[1].set_exception(error)

    def cancel(self) -> None:
        """Do none of them: nobody waits any more."""
        while self._waiting:
            self._waiting.popleft()[1].cancel()
