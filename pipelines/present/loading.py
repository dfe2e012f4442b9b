"""An engine on its way: loaded beside whoever waits for it, who may leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from pipelines.engine import Engine
from pipelines.models import Running

TICK_S = 0.2
Load = Callable[[str, Running], Engine]


class Loading:
    """Loads in a thread of its own; an engine that nobody waits for any more is dropped when it is there."""

    def __init__(self, name: str, running: Running, load: Load) -> None:
        self._is_done = threading.Event()
        self._engine: Engine | None = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, args=(name, running, load), daemon=True, name="loading").start()

    def wait(self, cancel: threading.Event) -> Iterator[float]:
        """Yield the seconds so far, now and then, until it is done or `cancel` is set."""
        began_s = time.monotonic()
        while not self._is_done.wait(TICK_S) and not cancel.is_set():
            yield time.monotonic() - began_s

    def engine(self) -> Engine:
        """The engine. Raises what the loading failed with."""
        if self._engine is None:
            raise self._error or RuntimeError("nothing was loaded")
        return self._engine

    def _run(self, name: str, running: Running, load: Load) -> None:
        try:
            self._engine = load(name, running)
        except Exception as error:  # raised again where it is waited for
            self._error = error
        finally:
            self._is_done.set()
