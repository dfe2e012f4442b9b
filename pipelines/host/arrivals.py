"""How long files were on their way to this server, as far as it can see.

A file comes before anything is asked about it. Its time runs from the first byte of the request that brings it until
the page's framework has kept it; what a browser needs before that, nobody here can know.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter

from pipelines.host.asgi import Application, Message, Receive, Scope, Send
from pipelines.host.gate import is_upload
from pipelines.types import Upload

MAX_KEPT = 4096
MAX_NAMED_BYTES = 65_536
"""The largest response that names what was kept."""


class Arrivals:
    """The last uploads, found by the files that they brought."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Upload] = OrderedDict()

    def note(self, paths: Sequence[str], num_bytes: int, duration_ms: float) -> None:
        """Remember what one request brought."""
        upload = Upload(", ".join(Path(path).name for path in paths), num_bytes, duration_ms)
        for path in paths:
            self._kept[_key(path)] = upload
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)

    def of(self, paths: Iterable[Path]) -> tuple[Upload, ...]:
        """The uploads that brought these files, each once; files that came otherwise have none."""
        found = (self._kept.get(_key(path)) for path in paths)
        return tuple(dict.fromkeys(upload for upload in found if upload is not None))


class ArrivalWatch:
    """Times the uploads of an ASGI application."""

    def __init__(self, app: Application, arrivals: Arrivals, seconds: Callable[[], float] = perf_counter) -> None:
        self._app, self._arrivals, self._seconds = app, arrivals, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response back."""
        if scope["type"] != "http" or scope["method"] != "POST" or not is_upload(scope):
            await self._app(scope, receive, send)
            return
        began_s, num_bytes, is_kept, told = self._seconds(), 0, False, b""

        async def counting() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            return message

        async def noting(message: Message) -> None:
            nonlocal is_kept, told
            if message["type"] == "http.response.start":
                is_kept = message["status"] == 200
            elif is_kept and len(told) < MAX_NAMED_BYTES:
                told += message.get("body", b"")
                if not message.get("more_body"):
                    self._arrivals.note(_paths(told), num_bytes, (self._seconds() - began_s) * 1000)
            await send(message)

        await self._app(scope, counting, noting)


def _key(path: str | Path) -> str:
    return str(Path(path).resolve())


def _paths(told: bytes) -> list[str]:
    """What the framework answers: the paths that it gave to the files."""
    try:
        paths = json.loads(told)
    except ValueError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []
