"""Signing in with a Hugging Face account, which a Space offers where its README.md says `hf_oauth: true`.

The page's framework speaks to the hub and keeps the name in a signed cookie; here nobody is let through without one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Literal, get_args

from pipelines.host.asgi import Application, Receive, Scope, Send, route_of
from pipelines.types import UserError

Login = Literal["none", "huggingface"]
LOGINS: tuple[Login, ...] = get_args(Login)
GIVEN = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
"""What a Space that offers to sign in has in its environment."""
NEEDED = ("authlib", "itsdangerous")
OPEN = ("/login/huggingface", "/login/callback", "/logout", "/gradio_api/startup-events")
"""The way to the hub and back, and what the framework asks itself at the start."""
SENTENCE = "Sign in with your Hugging Face account to use this page."
PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Glassbox</title>
<meta name="viewport" content="width=device-width"><style>
body {{ font: 1.1rem system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh }}
body > * {{ text-align: center }}
a {{ display: inline-block; padding: .7em 1.2em; border-radius: .5em; background: #0f5c52; color: #fff }}
</style></head><body><h1>Glassbox</h1><p>{SENTENCE}</p>
<p><a href="/login/huggingface" target="_blank" rel="opener">Sign in with Hugging Face</a></p></body></html>"""
"""In a tab of its own: inside of the hub's page a browser may keep no cookie."""


def check_login(environment: Mapping[str, str], has: Callable[[str], object] = find_spec) -> None:
    """Raise UserError where visitors could not sign in, with what is missing."""
    if environment.get("SYSTEM") != "spaces" or "SPACE_ID" not in environment:
        raise UserError(
            "Visitors can sign in with Hugging Face on a Space alone: elsewhere set a password in GLASSBOX_PASSWORD."
        )
    if missing := [name for name in GIVEN if not environment.get(name)]:
        raise UserError(
            f"This Space offers no way to sign in ({', '.join(missing)} missing): "
            'put "hf_oauth: true" into the front matter of its README.md.'
        )
    if missing := [name for name in NEEDED if not has(name)]:
        raise UserError(
            f"To sign in, {' and '.join(missing)} must be installed: pip install -r requirements-login.txt."
        )


class SignedIn:
    """Lets nobody through to an ASGI application who has not signed in, where that is asked for."""

    def __init__(self, app: Application, login: Callable[[], Login], now_s: Callable[[], float] = time.time) -> None:
        self._app, self._login, self._now_s = app, login, now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a page that leads to the hub, or with a sentence."""
        if scope["type"] not in ("http", "websocket") or self._login() == "none" or self._knows(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._ask(scope, send)

    def _knows(self, scope: Scope) -> bool:
        if route_of(scope).rstrip("/") in OPEN:
            return True
        told = (scope.get("session") or {}).get("oauth_info") or {}
        return bool(told.get("userinfo")) and told.get("expires_at", float("inf")) > self._now_s()

    async def _ask(self, scope: Scope, send: Send) -> None:
        is_page = scope["method"] == "GET" and not route_of(scope).rstrip("/")
        kind, text = ("text/html", PAGE) if is_page else ("text/plain", SENTENCE)
        headers = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})
