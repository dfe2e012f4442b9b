"""What all uploads take together: on the disk, and on their way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.host import PUBLIC_HOST, Gate
from pipelines.host.policy import MEGABYTE
from pipelines.host.room import FOUND_LASTS_S, Room

POLICY = replace(PUBLIC_HOST, quota_bytes=250 * MEGABYTE)
"""Two uploads of the largest size have room, and no third."""


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("told", [[(b"content-length", b"100000000")], []], ids=["told", "not told"])
def test_uploads_on_their_way_count(told: list[tuple[bytes, bytes]], tmp_path: Path) -> None:
    """Only what lay on the disk did, so that thirty at once had the room of one each."""
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": [(b"host", b"x"), *told]}
    statuses: list[int] = []

    async def come_during_each_other(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await gate(dict(scope), piece, send)
        await send({"type": "http.response.start", "status": 200})

    async def piece() -> Any:
        return {"type": "http.request", "body": bytes(100_000_000), "more_body": True}

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    gate = Gate(come_during_each_other, lambda: POLICY, lambda: tmp_path)
    asyncio.run(gate(dict(scope), piece, send))
    assert statuses == [507, 200, 200]


def test_what_is_announced_and_does_not_come_takes_no_room(tmp_path: Path) -> None:
    """Some connections that sent nothing would have kept everybody's files out."""
    head = [(b"host", b"x"), (b"content-length", b"100000000")]
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": head}
    admitted = 0

    async def wait_for_more(_scope: Any, receive: Any, send: Any) -> None:
        nonlocal admitted
        admitted += 1
        if admitted < 10:
            await gate(dict(scope), receive, send)

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is received or sent")

    gate = Gate(wait_for_more, lambda: POLICY, lambda: tmp_path)
    asyncio.run(gate(dict(scope), nothing, nothing))
    assert admitted == 10


def test_what_came_counts_until_the_disk_is_looked_at_again(tmp_path: Path) -> None:
    clock = Clock()
    room = Room(lambda: tmp_path, clock)
    (tmp_path / "old").write_bytes(bytes(1000))
    assert room.taken_bytes() == 1000
    room.come(200)
    assert room.taken_bytes() == 1200
    clock.now_s += FOUND_LASTS_S + 1
    assert room.taken_bytes() == 1000, "and nothing of it was kept"
