"""How long files were on their way to the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.host.arrivals import MAX_KEPT, Arrivals, ArrivalWatch
from pipelines.host.asgi import Receive, Scope, Send
from pipelines.types import Upload

UPLOAD = {"type": "http", "method": "POST", "path": "/gradio_api/upload"}


class Server:
    """What keeps uploads, on a clock that the test turns by hand: each part of a body takes a second."""

    def __init__(self, told: object, status: int = 200) -> None:
        self.arrivals, self.seconds = Arrivals(), 50.0
        self._told, self._status = json.dumps(told).encode() if not isinstance(told, bytes) else told, status
        self._watch = ArrivalWatch(self._keep, self.arrivals, lambda: self.seconds)
        self.sent: list[Any] = []

    def bring(self, scope: Scope = UPLOAD, bodies: Sequence[bytes] = (b"ab", b"cde", b"")) -> None:
        """Send a request in pieces."""
        waiting = list(bodies)

        async def receive() -> Any:
            self.seconds += 1
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

        async def send(message: Any) -> None:
            self.sent.append(message)

        asyncio.run(self._watch(dict(scope), receive, send))

    async def _keep(self, _scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        self.seconds += 0.5  # to keep it
        await send({"type": "http.response.start", "status": self._status, "headers": []})
        await send({"type": "http.response.body", "body": self._told[:4], "more_body": True})
        await send({"type": "http.response.body", "body": self._told[4:]})


def test_an_upload_lasts_from_its_first_byte_until_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    server = Server([str(path)])
    server.bring()
    assert server.arrivals.of([path, tmp_path / "other.png"]) == (Upload("a.png", 5, 3500.0),)
    assert [message["type"][14:] for message in server.sent] == ["start", "body", "body"]


def test_files_that_came_together_are_one_upload(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.mp4"]
    server = Server([str(path) for path in paths])
    server.bring()
    assert [upload.name for upload in server.arrivals.of(paths)] == ["a.png, b.mp4"]
    assert server.arrivals.of(paths[1:]) == server.arrivals.of(paths)


def test_a_file_that_is_uploaded_again_was_on_its_way_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    server = Server([str(path)])
    server.bring()
    server.bring(bodies=(b"abcd",))
    assert server.arrivals.of([path]) == (Upload("a.png", 4, 1500.0),)


@pytest.mark.parametrize(
    ("scope", "told", "status"),
    [
        pytest.param({**UPLOAD, "path": "/gradio_api/queue/join"}, ["a.png"], 200, id="a question"),
        pytest.param({**UPLOAD, "method": "GET"}, ["a.png"], 200, id="a look"),
        pytest.param(UPLOAD, ["a.png"], 413, id="refused"),
        pytest.param(UPLOAD, b"no json", 200, id="not told"),
        pytest.param(UPLOAD, {"path": "a.png"}, 200, id="no list"),
        pytest.param(UPLOAD, [7, None], 200, id="no names"),
    ],
)
def test_what_brought_no_file_is_passed_on_and_not_noted(scope: Scope, told: object, status: int) -> None:
    server = Server(told, status)
    server.bring(scope)
    assert server.arrivals.of([Path("a.png")]) == ()
    assert server.sent[0]["status"] == status


def test_the_oldest_uploads_give_way() -> None:
    arrivals = Arrivals()
    for number in range(MAX_KEPT + 1):
        arrivals.note([f"{number}.png"], 1, 1.0)
    assert arrivals.of([Path("0.png")]) == ()
    assert arrivals.of([Path("1.png"), Path(f"{MAX_KEPT}.png")]) == (
        Upload("1.png", 1, 1.0),
        Upload("4096.png", 1, 1.0),
    )
