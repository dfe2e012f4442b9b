"""Work that takes a while, done beside whoever waits for it, who may leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from pipelines.engine import Engine
from pipelines.models import Running

TICK_S = 0.2
Load = Callable[[str, Running], Engine]
T = TypeVar("T")


class Work(Generic[T]):
    """Runs `do` in a thread of its own; what it gives is dropped where nobody waits for it any more."""

    def __init__(self, do: Callable[[], T]) -> None:
        self._is_done = threading.Event()
        self._given: list[T] = []
        self._error: Exception | None = None
        threading.Thread(target=self._run, args=(do,), daemon=True, name="loading").start()

    def wait(self, cancel: threading.Event) -> Iterator[float]:
        """Yield the seconds so far, now and then, until it is done or `cancel` is set."""
        began_s = time.monotonic()
        while not self._is_done.wait(TICK_S) and not cancel.is_set():
            yield time.monotonic() - began_s

    def result(self) -> T:
        """What it gave, once. Raises what it failed with."""
        if not self._given:
            raise self._error or RuntimeError("nothing was done")
        return self._given.pop()

    def _run(self, do: Callable[[], T]) -> None:
        try:
            self._given.append(do())
        except Exception as error:  # raised again where it is waited for
            self._error = error
        finally:
            self._is_done.set()
