"""A thread that outlives its work, because libraries make plans and start threads of their own for each calling thread.

cuDNN plans attention over pictures of one size for longer than it then takes, and torch keeps such plans per thread.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Do = Callable[[], None]


class LastingThread:
    """Does one piece of work after the other for an owner, and ends with the owner. It keeps no finished work alive.

    The thread starts with the first piece of work. It is a daemon: at the interpreter's end it waits, and runs nothing.
    """

    def __init__(self, owner: object, name: str) -> None:
        self._name = name
        self._thread: Thread | None = None
        self._inbox: SimpleQueue[Do | None] = SimpleQueue()
        weakref.finalize(owner, self._end).atexit = False

    def start(self, do: Do) -> None:
        """Begin a piece of work, which must not raise; to be called by one thread at a time.

        Raises RuntimeError if the system has no thread left.
        """
        if self._thread is None or not self._thread.is_alive():  # no thread comes along into a forked process
            inbox: SimpleQueue[Do | None] = SimpleQueue()
            thread = Thread(target=_work, args=(inbox,), name=self._name, daemon=True)
            thread.start()
            self._thread, self._inbox = thread, inbox
        self._inbox.put(do)

    def _end(self) -> None:
        self._inbox.put(None)


def _work(inbox: SimpleQueue[Do | None]) -> None:
    while (do := inbox.get()) is not None:
        do()
        del do  # so that what it holds can be freed while this waits
