"""One large file of a hub: taken in pieces, by one at a time, and no more of it than it should have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from pipelines.catalogue.transfer import RemoteFile, Stopped, fetch
from pipelines.models import DEMO_FOLDER
from pipelines.types import UserError
from tests.hub_server import COMMIT, WEIGHTS, HubServer, digest, hub_server


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server(DEMO_FOLDER, "Qwen/Qwen3.5-0.8B") as server:
        yield server


def large_file(hub: HubServer, num_bytes: int) -> RemoteFile:
    """The weights, with as many bytes as the hub is made to say that they have."""
    url = f"{hub.address}/{hub.hub_id}/resolve/{COMMIT}/{WEIGHTS}"
    return RemoteFile(WEIGHTS, url, {}, num_bytes, digest(hub.files[WEIGHTS]))


def test_two_that_want_the_same_file_leave_each_other_alone(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both wrote to the end of one part, which arrived damaged. The second waits, and may be stopped meanwhile."""
    monkeypatch.setattr("pipelines.catalogue.transfer.WAIT_S", 0.01)
    monkeypatch.setattr("huggingface_hub.get_session", httpx2.Client)  # tests are offline, and this hub is here
    hub.holds_at = 20_000_000
    data, place = hub.files[WEIGHTS], tmp_path / "blob"
    file = large_file(hub, len(data))
    begun, waiting, stop = threading.Event(), threading.Event(), threading.Event()

    def begin(num_bytes: int) -> None:
        if num_bytes == hub.holds_at:
            begun.set()

    def wait(_num_bytes: int) -> None:
        waiting.set()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(fetch, file, place, begin, threading.Event())
        assert begun.wait(30)
        second = pool.submit(fetch, file, place, wait, threading.Event())
        third = pool.submit(fetch, file, place, lambda _: stop.set(), stop)
        assert isinstance(third.exception(30), Stopped)
        assert waiting.wait(30)
        assert not first.done()
        assert not second.done()
        hub.may_go_on.set()
        first.result(30)
        second.result(30)
    assert hub.ranges == [""]
    assert place.read_bytes() == data
    assert f"another download brings {WEIGHTS}" in caplog.text


def test_a_file_that_is_shorter_than_the_hub_says_is_told_as_a_damaged_one(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for without end, and then told as a connection that broke, which to try again never mended."""
    monkeypatch.setattr("huggingface_hub.get_session", httpx2.Client)
    size = len(hub.files[WEIGHTS])
    with pytest.raises(UserError, match="arrived damaged, and was removed"):
        fetch(large_file(hub, size + 1), tmp_path / "blob", lambda _: None, threading.Event())
    assert hub.ranges == ["", f"bytes={size}-"]
    assert list(tmp_path.glob("*part")) == []


def test_no_more_is_taken_of_a_file_than_the_hub_says(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that had no end would have filled the disk."""
    monkeypatch.setattr("huggingface_hub.get_session", httpx2.Client)
    came: list[int] = []
    with pytest.raises(UserError, match="arrived damaged, and was removed"):
        fetch(large_file(hub, 1000), tmp_path / "blob", came.append, threading.Event())
    assert came[-1] < len(hub.files[WEIGHTS])
    assert list(tmp_path.glob("*part")) == []
