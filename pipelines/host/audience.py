"""Who listens: the streams that visitors hold open, so that no work is done for those who have left.

A page holds one for as long as it is open, and a second one while it waits for answers; a program holds one for each
question. Whoever asks and opens none, or closes the last, is known here, and not to the handler that answers.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple, TypeVar, cast
from urllib.parse import parse_qs

from pipelines.host.asgi import Application, Receive, Scope, Send

Item = TypeVar("Item")
PAGE = re.compile(r"/heartbeat/([^/]+)/?$")
ANSWERS = re.compile(r"/queue/data/?$")
PROGRAM = re.compile(r"/call/(?:v2/)?[^/]+/([^/]+)/?$")
UNHEARD_S = 20.0
"""A program opens its stream right after it has asked; this is for slow lines."""
MAX_KNOWN = 10_000


class Stream(NamedTuple):
    """A stream that a visitor holds open: of the session or the event of that name, as a page or for answers."""

    name: str
    is_page: bool


class Audience:
    """The open streams of each visitor, by the name of a session or of an event. Safe to use from several threads."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._num_waiting = 0
        self._closed_s: dict[str, float] = {}

    @contextmanager
    def listening(self, stream: Stream) -> Iterator[None]:
        """A stream is open meanwhile."""
        name, is_page = stream
        with self._lock:
            self._open[name] += 1
            self._num_waiting += not is_page
        try:
            yield
        finally:
            with self._lock:
                self._num_waiting -= not is_page
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]
                self._closed_s.pop(name, None)  # one that is closed again is the newest
                self._closed_s[name] = self._clock_s()
                while len(self._closed_s) > MAX_KNOWN:  # the oldest first
                    del self._closed_s[next(iter(self._closed_s))]

    @property
    def num_waiting(self) -> int:
        """Streams on which answers are still awaited."""
        with self._lock:
            return self._num_waiting

    def hears(self, name: str) -> bool:
        """Whether a stream of that name is open."""
        with self._lock:
            return name in self._open

    def left_s(self, name: str) -> float | None:
        """How long ago the last stream of that name was closed: None while one is open, or where none ever was."""
        with self._lock:
            closed_s = self._closed_s.get(name)
            return None if closed_s is None or name in self._open else self._clock_s() - closed_s

    def heard(self, updates: Iterator[Item], *names: str) -> Iterator[Item]:
        """The updates, until for `UNHEARD_S` no stream of any of the names was open.

        However it ends, they are closed: else an engine would go on for nobody.
        """
        is_lost = self.lost(*names)
        with closing(cast(Generator[Item, None, None], updates)):
            for update in updates:
                if is_lost():
                    return
                yield update

    def lost(self, *names: str) -> Callable[[], bool]:
        """What tells, asked again and again, whether for `UNHEARD_S` no stream of any of the names was open."""
        heard_s = self._clock_s()

        def is_lost() -> bool:
            nonlocal heard_s
            now_s = self._clock_s()
            if any(map(self.hears, names)):
                heard_s = now_s
            return now_s - heard_s > UNHEARD_S

        return is_lost


class Listening:
    """Tells an audience of the streams of an ASGI application."""

    def __init__(self, app: Application, audience: Audience) -> None:
        self._app, self._audience = app, audience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        stream = stream_of(scope)
        if stream is None:
            await self._app(scope, receive, send)
            return
        with self._audience.listening(stream):
            await self._app(scope, receive, send)


def stream_of(scope: Scope) -> Stream | None:
    """The stream that a request opens; None for any other request."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    path = str(scope["path"])
    if ANSWERS.search(path):
        query = parse_qs(bytes(scope.get("query_string", b"")).decode("latin-1"))
        return Stream(query["session_hash"][0], is_page=False) if "session_hash" in query else None
    if found := PAGE.search(path):
        return Stream(found[1], is_page=True)
    found = PROGRAM.search(path)
    return Stream(found[1], is_page=False) if found else None
