"""A thread that outlives its work: libraries plan, and begin threads of their own, for each thread that calls them.

cuDNN plans attention over pictures of a size for longer than it then takes, and torch keeps such plans for each thread.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Do = Callable[[], None]


class LastingThread:
    """Does one work after the other for an owner, whose end is the thread's; it holds on to no work that is done.

    The thread begins with the first work. It is a daemon, which at the interpreter's end waits and runs nothing.
    """

    def __init__(self, owner: object, name: str) -> None:
        self._name = name
        self._thread: Thread | None = None
        self._inbox: SimpleQueue[Do | None] = SimpleQueue()
        weakref.finalize(owner, self._end).atexit = False

    def start(self, do: Do) -> None:
        """Begin some work, which raises nothing, by one thread at a time.

        Raises RuntimeError where the system has no thread left.
        """
        if (
            self._thread is None or not self._thread.is_alive()
        ):  # as in a process that was forked: no thread comes along
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
        del do  # whatever it holds may be given up meanwhile
