"""A request as ASGI hands it on: where it comes from, and which way it wants to go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def address_of(scope: Scope, trusts_proxy: bool) -> str:
    """Where a request comes from; behind a proxy, what that wrote last into `X-Forwarded-For`.

    A visitor may send such a header too: a proxy writes its own behind that, into the same line or on one more.
    """
    if trusts_proxy:
        told = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
        if told:
            return str(told[-1].decode("latin-1").rpartition(",")[2].strip())
    client = scope.get("client")
    return str(client[0]) if client else ""


def route_of(scope: Scope) -> str:
    """The path of a request as the page's framework looks it up: below the one that the page is served at, if any."""
    path = str(scope["path"])
    below = path.removeprefix(str(scope.get("root_path", "")))
    return below if below[:1] in ("", "/") else path
