"""The engine that has a server answer.

One loop holds all connections: whoever asks reads from a queue, and a stop cancels the exchange, wherever it
is, which closes the connection and so ends the server's work.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from contextvars import ContextVar
from dataclasses import replace
from functools import cache, partial
from queue import Empty, SimpleQueue
from threading import Event as Flag
from typing import Any, Self

import httpx2
import openai

from pipelines.engine.base import Closed, Enter, Piece, Step
from pipelines.engine.remote.habits import Ask, Habits, wait_s
from pipelines.engine.remote.messages import write
from pipelines.engine.remote.reading import Reading
from pipelines.engine.remote.refusals import BLIND_MODEL, ENDED_EARLY, refused
from pipelines.engine.remote.server import Server, host_of, look_up
from pipelines.inputs import ModelInputs
from pipelines.timing import Clock, HostClock
from pipelines.types import (
    EngineInfo,
    Gaze,
    Limits,
    Reported,
    Roofline,
    ServerFailedError,
    Settings,
    ThoughtEnd,
    UserError,
    Vision,
    Work,
)

VISION = Vision(Limits(32 * 32, 16_777_216), Limits(4_096, 25_165_824), 2.0, 4, 768)
"""Qwen3.5's own limits, but a small picture travels as it is: the server enlarges it where its model wants that."""
TIMEOUT_S = 300.0
CONNECT_S = 10.0
TICK_S = 0.05
SENT: ContextVar[Callable[[], None]] = ContextVar("sent")
"""In the context of an exchange: whom to tell when its question is on the way to the server."""
NO_KEY = "none"
"""A server of one's own asks for no key, and the client insists on one."""


class RemoteEngine:
    """A model on a server that speaks OpenAI's chat completions."""

    def __init__(self, client: openai.AsyncOpenAI, server: Server, timeout_s: float) -> None:
        self._client, self._server, self._timeout_s = client, server, timeout_s
        self._habits = Habits(server)
        self.vision = VISION
        self.clock: Clock = HostClock()
        name = f"{server.name} at {server.host}"
        self.info = EngineInfo(server.model, name, "", server.context_tokens, engine="openai", server=server.host)

    @classmethod
    def connect(cls, base_url: str, model: str | None = None, timeout_s: float = TIMEOUT_S) -> Self:
        """Find the server, and the model on it: the only one that it has where `model` is None.

        The key is that of `OPENAI_API_KEY`. Raises UserError where nothing answers or the model cannot be told.
        """
        host = host_of(base_url)
        timeout = httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        key = os.environ.get("OPENAI_API_KEY") or NO_KEY
        # a connection for each exchange: none lies idle when a server or this program ends
        hooks = {"request": [_watch_sending]}
        web = openai.DefaultAsyncHttpxClient(limits=httpx2.Limits(max_keepalive_connections=0), event_hooks=hooks)
        client = openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=timeout, max_retries=0, http_client=web)
        try:
            server = _begin(look_up(client, host, model)).result()
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            told = Server("a server", host, model or "")
            raise refused(error, told, has_media=False, timeout_s=timeout_s) from error
        return cls(client, server, timeout_s)

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Yield the reply piece by piece. A thought that is to end is ended by asking again without one.

        From outside, what can be told apart is the sending, up to the last byte of the question, and the prefill with
        all that the server does before it. Raises UserError for what the server refuses or fails at.
        """
        if inputs.media and self._habits.sees is False:
            raise UserError(BLIND_MODEL.format(model=self._server.model, host=self._server.host))
        enter(Work("send"))
        watch, num_tokens = _Watch(settings, hurry or Flag()), 0
        with closing(self._reply(inputs, settings, settings.max_new_tokens, enter, stop)) as reply:
            for step in reply:
                yield step
                if isinstance(step, Piece):
                    num_tokens += step.num_tokens
                    if (reason := watch.after(step)) is not None:
                        yield Closed(reason)
                        break
            else:
                return
        plainly, left = replace(settings, thinking=False), max(1, settings.max_new_tokens - num_tokens)
        for step in self._reply(inputs, plainly, left, enter, stop):
            yield replace(step, reply=None, reasoning=None) if isinstance(step, Reported) else step

    def roofline(self) -> Roofline | None:
        """What the server's device could do at best, nobody tells."""
        return None

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:  # noqa: ARG002
        """No server tells where its model looked."""
        return None

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:  # noqa: ARG002
        """Few servers tell how likely a given text is, each in a way of its own: none is asked."""
        return None

    def anticipate(self, inputs: ModelInputs) -> None:
        """A server keeps what it was asked by itself, where it keeps anything."""

    def forget(self, conversation: str) -> None:
        """Nothing is kept here of any conversation."""

    def _reply(
        self, inputs: ModelInputs, settings: Settings, max_new_tokens: int, enter: Enter, stop: Flag
    ) -> Generator[Step]:
        """The steps of one exchange, which ends when whoever reads them leaves."""
        outbox = SimpleQueue[Step | Exception]()
        exchange = _begin(self._exchange(inputs, settings, max_new_tokens, enter, outbox.put))
        try:
            while not stop.is_set():
                try:
                    item = outbox.get(timeout=TICK_S)
                except Empty:
                    continue
                if isinstance(item, Exception):
                    raise item
                yield item
                if isinstance(item, str):
                    return
            yield "cancelled"
        finally:
            exchange.cancel()

    async def _exchange(
        self,
        inputs: ModelInputs,
        settings: Settings,
        max_new_tokens: int,
        enter: Enter,
        put: Callable[[Step | Exception], None],
    ) -> None:
        """Ask, and tell all that comes; last why it ended, or what went wrong."""
        reading: Reading | None = None
        try:
            SENT.set(partial(enter, Work("prefill")))
            stream = await self._open(inputs, settings, max_new_tokens, enter)
            is_plain = not settings.thinking or self._habits.answers_plainly
            reading = Reading(self._server.host, is_plain=is_plain)
            async with stream:
                async for chunk in stream:
                    for piece in reading.take(chunk):
                        put(piece)
            if reading.finish_reason is None:
                raise ServerFailedError(ENDED_EARLY.format(host=self._server.host))
            if settings.thinking and reading.finish_reason == "stop":
                self._habits.answers_plainly = not (reading.is_told_apart or reading.has_tags)
            put(reading.reported)
            put(reading.finish_reason)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            has_media, has_begun = bool(inputs.media), reading is not None
            put(refused(error, self._server, has_media=has_media, timeout_s=self._timeout_s, has_begun=has_begun))
        except Exception as error:  # raised again where the reply is read
            put(error)

    async def _open(self, inputs: ModelInputs, settings: Settings, max_new_tokens: int, enter: Enter) -> Any:
        """The stream of the reply, asked for as the server takes it, and again where that is safe."""
        num_tries = 0
        while True:
            enter(Work("send"))
            form = self._habits.form
            sent = await asyncio.to_thread(write, inputs.messages, inputs.media, form.clips)
            has_clip = any(item.is_clip for item in inputs.media)
            ask = Ask(sent, settings, settings.thinking, max_new_tokens, bool(inputs.media), has_clip, form)
            create: Callable[..., Any] = self._client.chat.completions.create
            try:
                return await create(**self._habits.body(ask))
            except openai.OpenAIError as error:
                if self._habits.adapt(error, ask):
                    continue
                pause_s = wait_s(error, num_tries)
                if pause_s is None:
                    raise
                num_tries += 1
                await asyncio.sleep(pause_s)


class _Watch:
    """Sees when the thought of a reply has to end: its tokens are used up, or the user wants the answer."""

    def __init__(self, settings: Settings, hurry: Flag) -> None:
        self._is_open, self._left, self._hurry = settings.thinking, settings.max_thinking_tokens, hurry
        self._text = ""

    def after(self, piece: Piece) -> ThoughtEnd | None:
        """Take in the next piece; why the thought ends behind it, where it does."""
        self._text = (self._text + piece.text)[-32:] if piece.channel is None else ""
        if piece.channel in ("answer", "tool_call") or "</think>" in self._text:
            self._is_open = False
        if not self._is_open:
            return None
        if self._left is not None:
            self._left -= piece.num_tokens
        return "asked" if self._hurry.is_set() else "budget" if self._left is not None and self._left <= 0 else None


async def _watch_sending(request: httpx2.Request) -> None:
    """Have an exchange told when the last byte of its question has left."""
    sent = SENT.get(None)

    async def trace(event: str, _: object) -> None:
        if sent is not None and event.endswith("send_request_body.complete"):
            sent()

    request.extensions = {**request.extensions, "trace": trace}


def _begin(work: Coroutine[Any, Any, Any]) -> Future[Any]:
    """Begin a piece of work; cancelling the future cancels it."""
    return asyncio.run_coroutine_threadsafe(work, _loop())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all exchanges, in a thread that does not keep the program alive."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="remote").start()
    return loop
