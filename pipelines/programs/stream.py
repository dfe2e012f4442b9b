"""A request for a program: run beside whoever waits for it, told as it grows, and ended when nobody waits any more."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace

from pipelines.present.told import Told, told, told_so_far
from pipelines.serving.model import Model
from pipelines.serving.pacing import Pump, tick_s
from pipelines.types import Delta, Look, Progress, Record, Request, Result

WAITED: ContextVar[tuple[float, float] | None] = ContextVar("waited", default=None)
"""From when to when what is asked in this context waited for its turn, by `time.perf_counter`."""


def stream(model: Model, request: Request) -> Iterator[Told]:
    """Yield the result as it grows, at each tick also where nothing came, and last as a whole.

    Only at a yield does a server learn that nobody listens; then, as on every other way out, the answer is stopped.
    Raises UserError for what the program's author can put right.
    """
    request = replace(request, conversation=secrets.token_hex(16), waited_s=WAITED.get())
    stop, pump = threading.Event(), Pump[Delta | Look | Result]()
    text = {"reasoning": "", "answer": "", "tool_call": ""}
    info = model.load().info
    try:
        pump.start(model.answer(request, stop, _unobserved, threading.Event()))
        for batch in pump.batches(lambda: tick_s(sum(map(len, text.values()))), lambda item: _is_first(item, text)):
            for item in batch:
                if isinstance(item, Result):
                    yield told(item)
                    return
                if isinstance(item, Look):
                    text.update(dict.fromkeys(text, ""))  # what follows is thought and said behind it
                else:
                    text[item.channel] += item.text
            yield told_so_far(info, text["reasoning"], text["answer"])
    finally:
        stop.set()
        model.forget(request.conversation)


def _is_first(item: Delta | Look | Result, text: Mapping[str, str]) -> bool:
    """Whether it is the first of its channel, of which there is the `text` so far."""
    return isinstance(item, Delta) and not text[item.channel]


def _unobserved(told: Progress | Record) -> None:
    """A program is told of no stages."""
