"""The events of the page that wait in its queue: so many of all visitors, and of one address a share, in bytes too.

Questions have turns of their own; this is for all else that a page, or a stranger without one, sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr
from starlette.requests import Request

from pipelines.host import Policy
from pipelines.host.asgi import address_of
from pipelines.host.gate import MAX_BODY_BYTES

MAX_WAITING = 256
MAX_OF_ADDRESS = 64
"""A page that is opened sends five."""
MAX_BYTES_OF_ADDRESS = 4 * MAX_BODY_BYTES
BUSY = "Your address has too much waiting here: try again in a moment."


def share_queue(page: gr.Blocks, policy: Callable[[], Policy], max_of_address: int = MAX_OF_ADDRESS) -> None:
    """Let no address have more than `max_of_address` events waiting in the queue of a page, nor more than its bytes."""
    queue = page._queue
    push: Callable[..., Awaitable[Any]] = queue.push

    async def push_within_share(body: Any, request: Request, username: str | None) -> Any:
        def address(of: Request) -> str:
            return address_of(of.scope, policy().trusts_proxy)

        own = address(request)
        waiting = (event.request for line in queue.event_queue_per_concurrency_id.values() for event in line.queue)
        of_own = [_num_bytes(other) for other in waiting if address(other) == own]
        if len(of_own) >= max_of_address or (of_own and sum(of_own) + _num_bytes(request) > MAX_BYTES_OF_ADDRESS):
            return False, BUSY, "queue_full"
        return await push(body=body, request=request, username=username)

    vars(queue)["push"] = push_within_share


def _num_bytes(request: Request) -> int:
    """Of what a request brought: where it did not say, the most that it could."""
    told = request.headers.get("content-length", "")
    return int(told) if told.isdecimal() else MAX_BODY_BYTES
