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


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([(b"content-length", b"100000000")], id="told"),
        pytest.param([], id="not-told"),
        pytest.param([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], id="told-falsely"),
    ],
)
def test_uploads_on_their_way_count(told: list[tuple[bytes, bytes]], tmp_path: Path) -> None:
    """Only what lay on the disk did, so that thirty at once had the room of one each."""
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": [(b"host", b"x"), *told]}
    statuses: list[int] = []

    async def come_during_each_other(_scope: Any, _receive: Any, send: Any) -> None:
        if not statuses:
            await gate(dict(scope), receive, send)
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> Any:
        raise AssertionError("nothing of them has come yet")

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    gate = Gate(come_during_each_other, lambda: POLICY, lambda: tmp_path)
    asyncio.run(gate(dict(scope), receive, send))
    assert statuses == [507, 200, 200]


def test_what_came_counts_until_the_disk_is_looked_at_again(tmp_path: Path) -> None:
    clock = Clock()
    room = Room(lambda: tmp_path, clock)
    (tmp_path / "old").write_bytes(bytes(1000))
    assert room.taken_bytes() == 1000
    with room.awaiting(500) as come:
        come(200)
        assert room.taken_bytes() == 1500
    assert room.taken_bytes() == 1200, "it broke off after 200"
    clock.now_s += FOUND_LASTS_S + 1
    assert room.taken_bytes() == 1000, "and nothing of it was kept"


def test_what_is_found_of_an_upload_on_its_way_counts_once(tmp_path: Path) -> None:
    clock = Clock()
    room = Room(lambda: tmp_path, clock)
    with room.awaiting(500) as come:
        (tmp_path / "begun").write_bytes(bytes(200))
        come(200)
        clock.now_s += FOUND_LASTS_S + 1
        assert room.taken_bytes() == 500


def test_an_upload_that_grows_beyond_its_length_counts_whole(tmp_path: Path) -> None:
    room = Room(lambda: tmp_path, Clock())
    assert room.taken_bytes() == 0
    with room.awaiting(500) as come, room.awaiting(50):
        come(700)
        assert room.taken_bytes() == 750
    assert room.taken_bytes() == 700
