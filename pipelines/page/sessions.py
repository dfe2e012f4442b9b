"""What visitors leave behind is cleared away: their sessions, their undelivered results, and their uploads.

The page's framework keeps a session until it holds thousands, one for each question of a program among them, and the
uploads by a clock that can be set.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

import gradio as gr
from starlette.applications import Starlette

from pipelines.host.audience import Audience
from pipelines.host.sweeping import Sweep
from pipelines.page.host import Host, uploads
from pipelines.serving.session import Session

LOGGER = logging.getLogger(__name__)
LOOK_S = 1.0
LOOSE_S = 40.0
"""For a session without an open page and without a conversation: a program's, or of a page that was only looked at.

A page opens its stream after its first events, on a busy machine and a slow line long after.
"""
MAX_SESSIONS = 500
"""Beyond, those go whose page is not open, and who were away longest."""


class Sessions:
    """The sessions of a page, and when each was used last."""

    def __init__(
        self, page: gr.Blocks, audience: Audience, keep_left_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._page, self._audience, self._keep_left_s, self._clock_s = page, audience, keep_left_s, clock_s
        self._used: dict[str, tuple[datetime | None, float]] = {}

    def forget(self) -> list[Callable[[], None]]:
        """Let go of those that nobody comes back to. What is to be done for each is returned: it may take a while."""
        holder, used = self._page.state_holder, self._used
        self._used = {}
        for name, last in list(holder.time_last_used.items()):
            known = used.get(name)
            self._used[name] = known if known and known[0] == last else (last, self._clock_s())
        away = [name for name in list(holder.session_data) if not self._audience.hears(name)]
        away.sort(key=self._idle_s, reverse=True)
        num_surplus = len(holder.session_data) - MAX_SESSIONS
        gone = [
            name
            for place, name in enumerate(away)
            if place < num_surplus or self._idle_s(name) > self._patience_s(name)
        ]
        return [callback for name in gone for callback in self._dropped(name)]

    def _idle_s(self, name: str) -> float:
        """How long nothing was done in a session, and its page was not open."""
        since_s = self._clock_s() - self._used.get(name, (None, self._clock_s()))[1]
        left_s = self._audience.left_s(name)
        return since_s if left_s is None else min(since_s, left_s)

    def _patience_s(self, name: str) -> float:
        values = self._page.state_holder.session_data[name].state_data.values()
        has_conversation = any(isinstance(value, Session) and (value.rounds or value.pending) for value in values)
        return max(LOOSE_S, self._keep_left_s) if has_conversation else LOOSE_S

    def _dropped(self, name: str) -> list[Callable[[], None]]:
        """Take a session out; what its components want to be called for it."""
        holder, queue = self._page.state_holder, self._page._queue
        session = holder.session_data.pop(name, None)
        holder.time_last_used.pop(name, None)
        queue.pending_event_ids_session.pop(name, None)
        queue.pending_messages_per_session.pop(name, None)
        if session is None:
            return []
        return [_calling(component.delete_callback, value) for component, value, _ in session.state_components]


def _calling(callback: Callable[[object], None], value: object) -> Callable[[], None]:
    return lambda: callback(value)


def spared(page: gr.Blocks) -> set[str]:
    """Files that the page itself shows, such as its examples."""
    return {str(name) for block in page.blocks.values() for name in getattr(block, "keep_in_cache", ())}


def keeping_house(host: Host, page: gr.Blocks) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """The lifespan of the server of a page: it is looked after from its start to its end."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_look_after(host, page))
        try:
            yield
        finally:
            task.cancel()

    return lifespan


async def _look_after(host: Host, page: gr.Blocks) -> None:
    policy = host.policy()
    sessions = Sessions(page, host.audience, policy.keep_left_s)
    sweep = await asyncio.to_thread(Sweep, uploads(), policy.keep_uploads_s, lambda: spared(page))
    swept_s = 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            await asyncio.to_thread(_call, sessions.forget())
            if time.monotonic() - swept_s >= sweep.every_s:
                swept_s = time.monotonic()
                await asyncio.to_thread(sweep)
        except Exception:
            LOGGER.exception("what visitors left behind could not be cleared away")


def _call(callbacks: Collection[Callable[[], None]]) -> None:
    for callback in callbacks:
        callback()
