"""From a thread that produces at its own speed to a page that wants few updates.

Updating the page at the rate of tokens is quadratic in the length of the answer, and yielding inside of a generator
slows the model down. So the model runs in a thread of its own, and the page takes what has come together at each tick.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _End:
    """Marks the end of what is produced."""


MESSAGE_S = 0.003
"""A browser goes over the whole conversation at each update: twice what it took for one of its messages."""


def tick_s(num_characters: int, num_messages: int = 0) -> float:
    """How long to gather before the next update: the longer the text, the dearer it is to show again.

    So it is behind `num_messages` of the conversation. A browser that cannot keep up falls behind, and its Stop too.
    """
    behind_s = MESSAGE_S * num_messages
    if num_characters < 2_000:
        return 0.1 + behind_s
    return (0.2 if num_characters < 16_000 else 0.35) + behind_s


class Pump(Generic[Item]):
    """Runs an iterable in a thread and hands on what it yields in batches."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Item | _End] = SimpleQueue()
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Add something from the side, from any thread."""
        self._queue.put(item)

    def start(self, items: Iterable[Item]) -> None:
        """Begin to draw from `items`, in a thread that does not keep the program alive.

        It has the caller's context: a server keeps there whose request it is.
        """
        run = copy_context().run
        threading.Thread(target=run, args=(self._run, items), daemon=True, name="pump").start()

    def batches(
        self, tick: Callable[[], float], is_awaited: Callable[[Item], bool] = lambda _: False
    ) -> Iterator[list[Item]]:
        """Yield what came during each tick, until the end; an empty batch is a heartbeat.

        What somebody `is_awaited` ends the tick. An error of the producer is raised here, after what came before it.
        """
        is_running = True
        while is_running:
            batch: list[Item] = []
            deadline = time.monotonic() + tick()
            while (left_s := deadline - time.monotonic()) > 0:
                try:
                    item = self._queue.get(timeout=left_s)
                except Empty:
                    break
                if isinstance(item, _End):
                    is_running = False
                    break
                batch.append(item)
                if is_awaited(item):
                    break
            yield batch
        if self._error is not None:
            raise self._error

    def _run(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                self._queue.put(item)
        except BaseException as error:  # raised again in the thread that reads
            self._error = error
        finally:
            self._queue.put(_End())
