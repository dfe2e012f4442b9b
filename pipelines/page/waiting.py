"""The events of the page that wait in its queue: so many of all visitors, and of one address a share of that.

Questions have turns of their own; this is for all else that a page, or a stranger without one, sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr
from starlette.requests import Request

from pipelines.host import Policy
from pipelines.host.gate import address_of

MAX_WAITING = 256
MAX_OF_ADDRESS = 64
"""A page that is opened sends five."""
BUSY = "Your address has too much waiting here: try again in a moment."


def share_queue(page: gr.Blocks, policy: Callable[[], Policy], max_of_address: int = MAX_OF_ADDRESS) -> None:
    """Let no address have more than `max_of_address` events waiting in the queue of a page."""
    queue = page._queue
    push: Callable[..., Awaitable[Any]] = queue.push

    async def push_within_share(body: Any, request: Request, username: str | None) -> Any:
        def address(of: Request) -> str:
            return address_of(of.scope, policy().trusts_proxy)

        own = address(request)
        waiting = (event for line in queue.event_queue_per_concurrency_id.values() for event in line.queue)
        if sum(address(event.request) == own for event in waiting) >= max_of_address:
            return False, BUSY, "queue_full"
        return await push(body=body, request=request, username=username)

    vars(queue)["push"] = push_within_share
