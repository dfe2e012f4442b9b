"""Work that takes a while, done beside whoever waits for it, who may leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from pipelines.engine import Engine
from pipelines.engine.progress import reporting
from pipelines.models import Running

TICK_S = 0.2
Load = Callable[[str, Running], Engine]
T = TypeVar("T")


class LeftError(Exception):
    """Nobody waits for the work any more."""


class Work(Generic[T]):
    """Runs `do` in a thread of its own; what it gives is dropped where nobody waits for it any more.

    The loading of a model then ends at its next weight. `share` is the part of these that is there, 0 to 1.
    """

    def __init__(self, do: Callable[[], T]) -> None:
        self.share = 0.0
        self._is_done, self._is_left = threading.Event(), threading.Event()
        self._given: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(do,), daemon=True, name="loading")
        self._thread.start()

    def wait(self, cancel: threading.Event) -> Iterator[float]:
        """Yield the seconds so far, now and then, until it is done or `cancel` is set."""
        began_s = time.monotonic()
        try:
            while not self._is_done.wait(TICK_S) and not cancel.is_set():
                yield time.monotonic() - began_s
        finally:  # also where the page is gone
            self._is_left.set()

    def join(self) -> None:
        """Return when it has ended, one way or the other."""
        self._thread.join()

    def result(self) -> T:
        """What it gave, once. Raises what it failed with."""
        if not self._given:
            raise self._error or RuntimeError("nothing was done")
        return self._given.pop()

    def _run(self, do: Callable[[], T]) -> None:
        try:
            with reporting(self._note):
                self._given.append(do())
        except Exception as error:  # raised again where it is waited for
            self._error = error
        finally:
            self._is_done.set()

    def _note(self, share: float) -> None:
        if self._is_left.is_set():
            raise LeftError
        self.share = share
