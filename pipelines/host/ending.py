"""An orderly end: on SIGTERM or Ctrl-C every stream ends with a message before the server does."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

from pipelines.host.audience import Audience
from pipelines.host.turns import Turns

PATIENCE_S = 12.0
LAST_WORDS_S = 1.0
"""For the last updates to leave; the page's server looks for them ten times a second."""
SLOW_S = 6.0
"""For streams that are still open then: a machine with much to do, a slow line."""
LOOK_S = 0.2


class Ending:
    """Waits for the signal to end."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def listen(self) -> None:
        """Take the signals over; only the main thread may."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def wait(self, turns: Turns, audience: Audience) -> bool:
        """Return when the server may end; whether every question had ended by itself."""
        while not self._asked.wait(LOOK_S):
            pass
        had_questions = bool(turns.num_questions)
        have_ended = turns.end(PATIENCE_S)
        if had_questions:
            time.sleep(LAST_WORDS_S)
            deadline_s = time.monotonic() + SLOW_S
            while audience.num_waiting and time.monotonic() < deadline_s:
                time.sleep(LOOK_S)
        return have_ended

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
