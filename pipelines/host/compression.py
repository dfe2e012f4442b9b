"""Compresses the page's event stream as it runs, and has no proxy hold it back.

Each update of an answer comes in an envelope of some 300 bytes that is nearly the same every time. A stream that is
flushed at each update and never forgets costs a quarter of that, and no update waits for the next: nginx, unless it is
told otherwise, collects kilobytes before it hands anything on.
"""

from __future__ import annotations

import zlib

from pipelines.host.asgi import Application, Message, Receive, Scope, Send

GZIP_WINDOW = zlib.MAX_WBITS | 16
STREAM = b"text/event-stream"
UNHELD = (b"x-accel-buffering", b"no")
"""What nginx listens to; others hand streams on as they come."""


class StreamCompression:
    """Sends event streams of an ASGI application as gzip to those who take it."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response back, compressed where it is a stream."""
        takes_gzip = scope["type"] == "http" and b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b"")
        await self._app(scope, receive, _Sender(send, takes_gzip=takes_gzip).send)


class _Sender:
    """Sends one response."""

    def __init__(self, send: Send, *, takes_gzip: bool) -> None:
        self._send, self._takes_gzip = send, takes_gzip
        self._compressor: zlib._Compress | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            if headers.get(b"content-type", b"").startswith(STREAM):
                message["headers"] = [*message["headers"], UNHELD]
                if self._takes_gzip and b"content-encoding" not in headers:
                    self._compressor = zlib.compressobj(wbits=GZIP_WINDOW)
                    message["headers"] += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        elif self._compressor and message["type"] == "http.response.body":
            mode = zlib.Z_SYNC_FLUSH if message.get("more_body") else zlib.Z_FINISH
            body = message.get("body", b"")
            message["body"] = self._compressor.compress(body) + self._compressor.flush(mode)
        await self._send(message)
