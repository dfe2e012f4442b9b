"""One question to a server and its reply, as work on the loop of all connections.

Whoever asks reads from a queue, and cancelling the work, wherever it is, closes the connection and so ends the
server's work.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import httpx2
import openai

from pipelines.engine.base import Enter, Step
from pipelines.engine.remote.client import SENT
from pipelines.engine.remote.events import Events, SentEvent
from pipelines.engine.remote.habits import Ask, Habits, wait_s
from pipelines.engine.remote.messages import write
from pipelines.engine.remote.reading import Reading
from pipelines.engine.remote.refusals import ENDED_EARLY, NO_REPLY, NoStreamError, SaidError, refused
from pipelines.engine.remote.server import Server
from pipelines.inputs import ModelInputs
from pipelines.types import FinishReason, ServerFailedError, Settings, Work

Put = Callable[[Step | Exception], None]
"""Takes what came: the steps of a reply, or what went wrong."""
LINGER_S = 2.0
"""How long what may follow the end of a reply is waited for: what was used, and that nothing more comes."""


@dataclass(frozen=True)
class Exchange:
    """A question to a server, which may be silent for `timeout_s`."""

    client: openai.AsyncOpenAI
    server: Server
    habits: Habits
    inputs: ModelInputs
    settings: Settings
    max_new_tokens: int
    timeout_s: float

    async def run(self, enter: Enter, put: Put) -> None:
        """Ask, and tell all that comes; last why it ended, or what went wrong."""
        is_plain = not self.settings.thinking or self.habits.answers_plainly
        reading = Reading(self.server.host, is_plain=is_plain)
        try:
            SENT.set(partial(enter, Work("prefill")))
            async with AsyncExitStack() as stack:
                response = await self._open(stack, enter)
                end = await self._read(response, reading, put)
            put(reading.reported)
            put(end)
        except (openai.OpenAIError, httpx2.HTTPError, SaidError) as error:
            has_media, has_begun = bool(self.inputs.media), reading.has_begun
            put(refused(error, self.server, has_media=has_media, timeout_s=self.timeout_s, has_begun=has_begun))
        except Exception as error:  # raised again where the reply is read
            put(error)

    async def _open(self, stack: AsyncExitStack, enter: Enter) -> Any:
        """The response with the reply, asked for as the server takes it, and again where that is safe."""
        create: Callable[..., Any] = self.client.chat.completions.with_streaming_response.create
        num_tries = 0
        while True:
            enter(Work("send"))
            ask = await self._ask()
            try:
                return await stack.enter_async_context(create(**self.habits.body(ask)))
            except openai.OpenAIError as error:
                if self.habits.adapt(error, ask):
                    continue
                pause_s = wait_s(error, num_tries)
                if pause_s is None:
                    raise
                num_tries += 1
                await asyncio.sleep(pause_s)

    async def _ask(self) -> Ask:
        form, media = self.habits.form, self.inputs.media
        sent = await asyncio.to_thread(write, self.inputs.messages, media, form.clips)
        has_clip = any(item.is_clip for item in media)
        return Ask(sent, self.settings, self.settings.thinking, self.max_new_tokens, bool(media), has_clip, form)

    async def _read(self, response: Any, reading: Reading, put: Put) -> FinishReason:
        """Hand the reply on, up to its end or shortly behind it: some servers leave the connection open."""
        host = self.server.host
        try:
            async with asyncio.timeout(None) as limit, aclosing(self._events(response)) as events:
                async for event in events:
                    for piece in reading.take(event):
                        put(piece)
                    self.habits.note(reading, self.settings)
                    if reading.finish_reason is not None and limit.when() is None:
                        limit.reschedule(asyncio.get_running_loop().time() + LINGER_S)
        except Exception as error:
            is_whole = reading.finish_reason is not None  # whatever comes behind it
            if isinstance(error, ValueError) and not is_whole:
                raise ServerFailedError(NO_REPLY.format(host=host)) from error
            if not is_whole:
                raise
        if reading.finish_reason is None:
            raise ServerFailedError(ENDED_EARLY.format(host=host))
        return reading.finish_reason

    async def _events(self, response: Any) -> AsyncGenerator[SentEvent]:
        """The events of a stream up to the one that says that it is done."""
        events = Events()
        async for data in response.iter_bytes():
            for event in events.feed(data):
                if event.data.startswith("[DONE]"):
                    return
                yield event
            if events.is_none:
                break
        events.flush()
        is_stream = "event-stream" in response.headers.get("content-type", "") and not events.stray
        if not events.num_events and not is_stream:
            raise NoStreamError(events.stray)


def begin(work: Coroutine[Any, Any, Any]) -> Future[Any]:
    """Begin a piece of work; cancelling the future cancels it."""
    return asyncio.run_coroutine_threadsafe(work, _loop())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all exchanges, in a thread that does not keep the program alive."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="remote").start()
    return loop
