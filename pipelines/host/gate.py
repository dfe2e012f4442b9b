"""Who may speak to the server, and how much they may send: checked before the page's framework sees a request.

A page of another site must not act through a visitor's browser, so a request with an `Origin` of its own is refused; a
name that somebody points at this machine must not reach it either, so the `Host` has to be known. Bodies are bounded,
also where their length is not told, so are the values of what is no upload, and so are the files of one request and
what all uploads take together, those on their way included.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.disk import is_full
from pipelines.host.asgi import Application, Message, Receive, Scope, Send, address_of, route_of
from pipelines.host.policy import MEGABYTE, Policy
from pipelines.host.room import Room
from pipelines.values import Values

LOGGER = logging.getLogger(__name__)
MAX_BODY_BYTES = 8 * MEGABYTE
"""The largest request that uploads nothing: a conversation of many turns is far below it."""
MAX_VALUES = 10_000
"""Of such a request; the page sends some thirty, and a dozen for each file."""
FORM_BYTES = MEGABYTE
MANY_VALUES = f"The request holds too many values: send at most {MAX_VALUES:,}."
NOT_UTF_8 = "The request is not written in UTF-8: send its JSON in UTF-8."
FULL = "The server's room for uploads is full: try again in an hour."
PART_MARK = b"content-disposition:"
"""Begins each part of an upload, in letters of any size; how a part then names its file can be written in many ways."""
MAX_TARGET_CHARACTERS = 2048
"""Of a path and its query, in which visitors give names to what is then kept under them; paths of files are shorter."""
NAME = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]/@]+)(:\d+)?")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_ADDRESSES = 10_000
SHUT = re.compile(
    r"/(gradio_api/)?(file[=/]https?:|(proxy=|stream/|monitoring|run-history|vibe-|undo-vibe-|dev/)"
    r"|(process_recording|component_server|custom_component|deep_link)(/|$))",
    re.IGNORECASE,
)
"""Doors of the page's framework that the page has no use for: they fetch what a visitor names, have a program of the
machine read a recording, or write what no quota counts."""
UPLOAD = re.compile(r"/gradio_api/upload/?$")
"""The one way in for files; like the framework's own, it lets a line end behind it."""


class Refusal(Exception):
    """A request that is not let through: a status, and a sentence for whoever sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Gate:
    """Lets requests through to an ASGI application, or answers them itself with a sentence."""

    def __init__(self, app: Application, policy: Callable[[], Policy], uploads: Callable[[], Path]) -> None:
        self._app, self._policy, self._room = app, policy, Room(uploads)
        self._recent: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on where nothing is wrong with it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun, refused = False, None

        async def take() -> Message:
            nonlocal refused
            try:
                return await bounded()
            except Refusal as refusal:
                refused = refusal
                raise

        async def note(message: Message) -> None:
            nonlocal has_begun
            if refused is not None and not has_begun:  # the framework would say that it cannot read the body
                raise refused
            has_begun = True
            await send(message)

        try:
            self._check(scope)
            bounded = self._bounded(scope, receive)
            await self._app(scope, take, note)
        except Refusal as refusal:
            if not has_begun:
                await _refuse(refusal, send)
        except OSError as error:
            if not is_full(error) or has_begun:
                raise
            LOGGER.error("the disk takes no more: %s", error)
            await _refuse(Refusal(507, FULL), send)

    def _check(self, scope: Scope) -> None:
        """Raise Refusal for what is not let through."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self._knows(host):
            raise Refusal(421, "This server is not known by that name: use its address, or start it with --allow-host.")
        if len(scope["path"]) + len(scope.get("query_string", b"")) > MAX_TARGET_CHARACTERS:
            raise Refusal(414, "This address is too long: open the page itself.")
        if SHUT.match(route_of(scope)):
            raise Refusal(404, "There is nothing here: open the page itself.")
        if scope["method"] in SAFE_METHODS:
            return
        origin = headers.get("origin")
        is_foreign = origin is not None and _site(origin) != host.lower()
        if is_foreign or headers.get("sec-fetch-site") == "cross-site":
            raise Refusal(403, "Pages of other sites may not send anything here: open the page itself.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most(scope):
            raise Refusal(413, self._too_much())
        if is_upload(scope):
            self._admit(address_of(scope, self._policy().trusts_proxy), int(length))

    def _knows(self, host: str) -> bool:
        hosts = self._policy().hosts
        if hosts is None:
            return True
        match = NAME.fullmatch(host.lower())
        name = match["name"] if match else ""
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name == "localhost" or name.endswith(".localhost") or name in hosts
        return True

    def _most(self, scope: Scope) -> int:
        policy = self._policy()
        return policy.max_file_bytes + FORM_BYTES if is_upload(scope) else MAX_BODY_BYTES

    def _admit(self, address: str, num_bytes: int) -> None:
        """Count an upload. Raises Refusal for too many of one address, or where the disk would hold too much."""
        policy, now_s = self._policy(), time.monotonic()
        if len(self._recent) > MAX_ADDRESSES:
            self._recent = {name: times for name, times in self._recent.items() if times and times[-1] > now_s - 60}
        recent = self._recent.setdefault(address, deque())
        while recent and recent[0] <= now_s - 60:
            recent.popleft()
        if len(recent) >= policy.max_uploads_a_minute:
            raise Refusal(429, "That are too many uploads in a minute: wait a little and add the rest.")
        self._hold(num_bytes)
        recent.append(now_s)

    def _hold(self, num_bytes: int) -> None:
        """Raise Refusal where so much more than has come would be too much."""
        if self._room.taken_bytes() + num_bytes > self._policy().quota_bytes:
            raise Refusal(507, FULL)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, which raises Refusal once more has come than may."""
        most, num_bytes, num_files, tail = self._most(scope), 0, 0, b""
        values = Values()

        async def bounded() -> Message:
            nonlocal num_bytes, num_files, tail
            message = await receive()
            body = message.get("body", b"")
            num_bytes += len(body)
            if num_bytes > most:
                raise Refusal(413, self._too_much())
            if is_upload(scope):
                self._hold(len(body))
                self._room.come(len(body))
                joined = tail + body.lower()
                num_files += joined.count(PART_MARK)
                tail = joined[-len(PART_MARK) + 1 :]
                if num_files > self._policy().max_files_a_request:
                    raise Refusal(413, f"At most {self._policy().max_files_a_request} files can be sent at once.")
            else:
                if b"\0" in body:  # as all JSON in UTF-16 and UTF-32, which the framework reads too
                    raise Refusal(400, NOT_UTF_8)
                values.feed(body)
                if values.number > MAX_VALUES:
                    raise Refusal(413, MANY_VALUES)
            return message

        return bounded

    def _too_much(self) -> str:
        return f"That is too large: a file may have {self._policy().max_file_bytes // MEGABYTE} MB, a question 8 MB."


class Unshared:
    """Stands where the page's framework would let pages of other sites read: here they may read nothing."""

    def __init__(self, app: Application, **_: object) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; without a header that allows it, a browser keeps the response from other sites."""
        await self._app(scope, receive, send)


def is_upload(scope: Scope) -> bool:
    """Whether a request brings files."""
    return UPLOAD.match(route_of(scope)) is not None


def _site(origin: str) -> str:
    """The name and the port of an origin; empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = refusal.sentence.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": refusal.status, "headers": [*headers, (b"connection", b"close")]}
    )
    await send({"type": "http.response.body", "body": body})
