"""Headers that keep the page to itself: nothing is fetched from elsewhere, whatever ends up in an answer.

Scripts and styles may be inline, and scripts may be evaluated, because the page's framework does both.
"""

from __future__ import annotations

import logging

from pipelines.host.asgi import Application, Message, Receive, Scope, Send

LOGGER = logging.getLogger(__name__)
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self' https://huggingface.co",
}
HEADERS = (
    (b"content-security-policy", "; ".join(f"{name} {value}" for name, value in POLICY.items()).encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


FAULT = b"Something went wrong on the server. Try again."


class SecurityHeaders:
    """Adds the headers to every response of an ASGI application, streams included.

    A fault that nobody caught is logged, and told in a sentence: what the framework would answer then has no headers.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response back with the headers."""

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if has_begun:
                raise
            LOGGER.exception("a request failed")
            kind = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(FAULT)).encode())]
            await send_with_headers({"type": "http.response.start", "status": 500, "headers": kind})
            await send({"type": "http.response.body", "body": FAULT})
