"""What a machine does to a running page: its disk is full, its database damaged or held, its workers are killed.

In the page's own process, from outside, as it would happen; each is told in a sentence, and nothing is lost.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.archive import Archive
from pipelines.archive.store import DATABASE
from pipelines.present.choices import FAST, Choices
from tests.hostile.clips import endless_stts
from tests.hostile.tab import RefusedError, Tab
from tests.page_server import SAY, SCRIPTED, PageServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process, and /proc")
EXAMPLE = Path(__file__).resolve().parent.parent / "assets" / "examples" / "shapes.png"
AT_ONCE = Choices(mode=FAST)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(data: Path) -> Iterator[PageServer]:
    server = PageServer(SCRIPTED, str(data))
    yield server
    assert server.is_running
    server.close()


@contextmanager
def full_disk(server: PageServer) -> Iterator[None]:
    """No file of the page may grow beyond some bytes, which is what a full disk looks like to it."""
    import resource

    before = resource.prlimit(server.number, resource.RLIMIT_FSIZE)
    resource.prlimit(server.number, resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.number, resource.RLIMIT_FSIZE, before)


def ask(tab: Tab, question: str, *paths: Path) -> None:
    """Ask to the end of the answer."""
    for _ in tab.ask(question, [tab.upload(path) for path in paths]):
        pass


def kept(data: Path) -> list[str]:
    """The questions of the newest conversation that is kept."""
    archive = Archive(data)
    assert archive.notice == ""
    found = archive.find(archive.listed()[0].id)
    return [past.question for past in found.rounds] if found else []


def test_a_full_disk_is_told_and_what_it_did_not_take_is_kept_later(server: PageServer, data: Path) -> None:
    with Tab(server.address, AT_ONCE) as tab:
        ask(tab, f"{SAY}One.", EXAMPLE)
        with full_disk(server):
            with pytest.raises(RefusedError, match=r"The server's room for uploads is full: try again in an hour\."):
                tab.upload(EXAMPLE)
            ask(tab, f"{SAY}Two.")
            assert tab.status.startswith("Done")
            assert "see whether the disk is full" in tab.warnings[-1]
            assert kept(data) == [f"{SAY}One."]
        ask(tab, f"{SAY}Three.", EXAMPLE)
    assert kept(data) == [f"{SAY}One.", f"{SAY}Two.", f"{SAY}Three."]
    assert not list(data.rglob("*.part"))


def test_a_database_that_is_damaged_meanwhile_is_set_aside_and_told(server: PageServer, data: Path) -> None:
    with Tab(server.address, AT_ONCE) as tab:
        ask(tab, f"{SAY}One.")
        broken = b"This is no database. " * 400
        (data / DATABASE).write_bytes(broken)
        ask(tab, f"{SAY}Two.")
        assert tab.status.startswith("Done")
        (aside,) = data.glob("conversations-damaged-*.sqlite3")
        assert aside.read_bytes() == broken
        assert tab.warnings == [f'The conversations kept so far are damaged: they were set aside as "{aside.name}".']
        assert kept(data) == [f"{SAY}One.", f"{SAY}Two."]


def test_a_database_that_another_program_holds_is_told_and_waited_for(server: PageServer, data: Path) -> None:
    with Tab(server.address, AT_ONCE) as tab:
        ask(tab, f"{SAY}One.")
        holder = sqlite3.connect(data / DATABASE)
        holder.execute("BEGIN EXCLUSIVE")
        ask(tab, f"{SAY}Two.")
        assert tab.status.startswith("Done")
        assert "in use by another program" in tab.warnings[-1]
        holder.close()
        ask(tab, f"{SAY}Three.")
    assert kept(data) == [f"{SAY}One.", f"{SAY}Two.", f"{SAY}Three."]


def test_a_database_that_is_gone_is_begun_anew(server: PageServer, data: Path) -> None:
    with Tab(server.address, AT_ONCE) as tab:
        ask(tab, f"{SAY}One.")
        (data / DATABASE).unlink()
        ask(tab, f"{SAY}Two.")
        assert "was gone from its folder" in tab.warnings[-1]
    assert kept(data) == [f"{SAY}One.", f"{SAY}Two."]


def descendants(number: int) -> list[int]:
    """The processes that a process has started, and theirs, the youngest first."""
    parents = {
        int(found.parent.name): int(found.read_text().rpartition(")")[2].split()[1])
        for found in Path("/proc").glob("[0-9]*/stat")
    }
    children = [child for child, parent in parents.items() if parent == number]
    return [*(below for child in children for below in descendants(child)), *children]


def test_workers_that_are_killed_take_no_visitor_along(page_server: PageServer, tmp_path: Path) -> None:
    clip = endless_stts(tmp_path / "stts.mp4")
    for path in (EXAMPLE, clip):
        with Tab(page_server.address, AT_ONCE) as tab:
            ask(tab, "How many red shapes are there?", EXAMPLE)
            for worker in descendants(page_server.number):
                os.kill(worker, signal.SIGSEGV)
            ask(tab, "And here?", path)
            assert tab.status.startswith("Done")
    assert page_server.is_running
