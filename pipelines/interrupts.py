"""Ctrl-C: it ends the process at once where nothing has to be cleaned up, and is an exception elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ROUND_S = 0.1
"""How long to wait at a time for another thread: on Windows Ctrl-C does not interrupt that, and is heard in between."""


def end_at_once() -> None:
    """Have Ctrl-C end the process as the system does, without a traceback; what ignores it goes on to."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def raised() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt for the length of a `with` block, and end the process at once behind it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        end_at_once()
