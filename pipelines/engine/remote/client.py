"""The way to a server: who asks there, through what, and what is taken from it at most."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar

import httpx2
import openai

from pipelines.types import UserError

CONNECT_S = 10.0
MAX_LIST_BYTES = 4 * 2**20
MAX_ERROR_BYTES = 64 * 2**10
"""Read at most of what is no stream: of a list of models, of an error."""
NO_KEY = "none"
"""A server of one's own asks for no key, and the client insists on one."""
MOVED = (301, 302)
SENT: ContextVar[Callable[[], None]] = ContextVar("sent")
"""In the context of an exchange: whom to tell when its question is on the way to the server."""
BAD_KEY = "OPENAI_API_KEY, or another setting of OpenAI's, holds what no key holds: copy it anew."
BAD_WAY = "The settings for a proxy or for certificates cannot be used: put {names} right."
WAYS = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


def connect(base_url: str, timeout_s: float) -> openai.AsyncOpenAI:
    """A client with the key of `OPENAI_API_KEY`. Raises UserError where the environment's settings are of no use."""
    key = os.environ.get("OPENAI_API_KEY", "").strip() or NO_KEY
    if not (key.isascii() and key.isprintable()):
        raise UserError(BAD_KEY)
    timeout = httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
    try:
        web = openai.DefaultAsyncHttpxClient(
            limits=httpx2.Limits(max_keepalive_connections=0),  # none lies idle when a server or this program ends
            headers={"Accept-Encoding": "identity"},
            event_hooks={"request": [_watch_sending], "response": [_keep_asking, _leave_packed, _bound]},
        )
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
        there = [name for name in WAYS if os.environ.get(name) or os.environ.get(name.lower())]
        raise UserError(BAD_WAY.format(names=", ".join(there or WAYS))) from error
    address = httpx2.URL(base_url)
    return openai.AsyncOpenAI(
        base_url=str(address.copy_with(query=None)),  # the client would write its paths behind the query
        default_query=dict(address.params),
        api_key=key,
        timeout=timeout,
        max_retries=0,
        http_client=web,
    )


async def _watch_sending(request: httpx2.Request) -> None:
    """Have an exchange told when the last byte of its question has left."""
    sent = SENT.get(None)

    async def trace(event: str, _: object) -> None:
        if sent is not None and event.endswith("send_request_body.complete"):
            sent()

    request.extensions = {**request.extensions, "trace": trace}


async def _keep_asking(response: httpx2.Response) -> None:
    """A question that is sent on elsewhere stays one: by these statuses it would go there without its words."""
    if response.request.method == "POST" and response.status_code in MOVED:
        response.status_code = 308


async def _leave_packed(response: httpx2.Response) -> None:
    """Unpack nothing, as none of it was asked for packed: a megabyte can hold gigabytes."""
    response.headers.pop("content-encoding", None)


async def _bound(response: httpx2.Response) -> None:
    """Read no more than is of use of an answer that is no stream."""
    max_bytes = MAX_ERROR_BYTES if response.is_error else MAX_LIST_BYTES
    is_short = response.is_error or response.request.method == "GET"
    if is_short and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream, max_bytes)


class _Bounded(httpx2.AsyncByteStream):
    """The beginning of a body."""

    def __init__(self, whole: httpx2.AsyncByteStream, max_bytes: int) -> None:
        self._whole, self._max_bytes = whole, max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        num_left = self._max_bytes
        async for part in self._whole:
            yield part[:num_left]
            num_left -= len(part)
            if num_left <= 0:
                return

    async def aclose(self) -> None:
        await self._whole.aclose()
