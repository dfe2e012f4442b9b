"""An engine on its way: loaded beside whoever waits for it, who may leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.engine import Engine
from pipelines.engine.progress import reporting
from pipelines.models import Running

TICK_S = 0.2
Load = Callable[[str, Running], Engine]


class LoadingCancelledError(Exception):
    """Nobody waits for the engine any more."""


@dataclass(frozen=True)
class Waited:
    """For how long already, and the part of the weights that is there, 0 to 1."""

    spent_s: float
    share: float = 0.0

    @property
    def told(self) -> str:
        """As it runs beside a status line."""
        return f" · {self.share:.0%} · {self.spent_s:.1f} s" if self.share else f" · {self.spent_s:.1f} s"


class Loading:
    """Loads in a thread of its own. Once `cancel` is set it ends at the next weight, and what is there is dropped."""

    def __init__(self, name: str, running: Running, load: Load, cancel: threading.Event) -> None:
        self._is_done = threading.Event()
        self._cancel, self._share = cancel, 0.0
        self._engine: Engine | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(name, running, load), daemon=True, name="loading")
        self._thread.start()

    def wait(self) -> Iterator[Waited]:
        """Yield how far it is, now and then, until it is done or cancelled."""
        began_s = time.monotonic()
        while not self._is_done.wait(TICK_S) and not self._cancel.is_set():
            yield Waited(time.monotonic() - began_s, self._share)

    def join(self) -> None:
        """Return when it has ended, one way or the other."""
        self._thread.join()

    def engine(self) -> Engine:
        """The engine. Raises what the loading failed with."""
        if self._engine is None:
            raise self._error or RuntimeError("nothing was loaded")
        return self._engine

    def _run(self, name: str, running: Running, load: Load) -> None:
        try:
            with reporting(self._note):
                self._engine = load(name, running)
        except Exception as error:  # raised again where it is waited for
            self._error = error
        finally:
            self._is_done.set()

    def _note(self, share: float) -> None:
        if self._cancel.is_set():
            raise LoadingCancelledError
        self._share = share
