"""The database of the conversations: damaged, in use, gone, and opened by several at once."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from pipelines.archive import Archive
from pipelines.conversation import Draft, Reply, Round
from pipelines.types import UserError
from tests.archive_values import opened, rounds_about


@pytest.mark.parametrize("damage", ["no database", "cut off", "overwritten", "another format"])
def test_a_damaged_database_is_set_aside_and_told(damage: str, archive: Archive, tmp_path: Path, picture: Path) -> None:
    for place in range(50):
        archive.save(f"{place}", rounds_about(picture, "What is it? " * 50))
    database = tmp_path / "data" / "conversations.sqlite3"
    whole = database.read_bytes()
    broken = {
        "no database": b"This is no database. " * 400,
        "cut off": whole[: len(whole) // 3],
        "overwritten": whole[:100] + b"\xff" * 9000 + whole[9100:],
        "another format": whole[:44] + b"\0\0\0\x09" + whole[48:],
    }
    database.write_bytes(broken[damage])
    fresh = Archive(tmp_path / "data")
    assert "damaged" in fresh.notice
    (aside,) = (tmp_path / "data").glob("conversations-damaged-*.sqlite3")
    assert aside.name in fresh.notice
    assert aside.read_bytes() == broken[damage]
    fresh.save("a", rounds_about(picture, "What is it?"))
    assert len(fresh.listed()) == 1
    assert Archive(tmp_path / "data").notice == ""


def test_a_locked_database_is_left_and_a_fresh_one_begun(
    archive: Archive, tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.archive.store.BUSY_TIMEOUT_S", 0.05)
    archive.save("a", rounds_about(picture, "What is it?"))
    holder = sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")
    holder.execute("BEGIN EXCLUSIVE")
    fresh = Archive(tmp_path / "data")
    assert "in use by another program" in fresh.notice
    fresh.save("b", rounds_about(picture, "And now?"))
    assert [listed.id for listed in fresh.listed()] == ["b"]
    holder.close()
    again = Archive(tmp_path / "data")
    assert [listed.id for listed in again.listed()] == ["a"]


def test_two_who_find_the_same_damage_set_it_aside_once(archive: Archive, tmp_path: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    (tmp_path / "data" / "conversations.sqlite3").write_bytes(b"This is no database. " * 400)
    with ThreadPoolExecutor(2) as pool:
        told = [pool.submit(archive.save, id, rounds_about(picture, "And now?")).exception() for id in ("b", "c")]
    assert any("were set aside" in str(error) for error in told)
    assert len(list((tmp_path / "data").glob("conversations-damaged-*"))) == 1
    assert {listed.id for listed in archive.listed()} == {"b", "c"}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--data"):
        Archive(tmp_path / "file" / "data")


def test_a_disk_that_takes_nothing_is_told(
    archive: Archive, tmp_path: Path, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data" / "conversations.sqlite3").unlink()
    (tmp_path / "data" / "conversations.sqlite3").mkdir()
    with pytest.raises(UserError, match="could not be kept"):
        archive.save("a", rounds_about(picture, "What is it?"))
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize("search", ["word " * 1001, "x" * 60_000])
def test_a_search_that_is_too_long_for_sqlite_is_cut(search: str, archive: Archive, picture: Path) -> None:
    """SQLite refused it, which was taken for damage: with a busy database it was set aside."""
    archive.save("a", rounds_about(picture, "What is it?"))
    assert archive.listed(search) == []
    assert archive.notice == ""


def test_damage_that_is_not_seen_again_sets_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that another program writes to just then was renamed."""
    monkeypatch.setattr("pipelines.archive.store.BUSY_TIMEOUT_S", 0.05)
    database = tmp_path / "data" / "conversations.sqlite3"
    archive = Archive(tmp_path / "data")
    database.unlink()
    with closing(sqlite3.connect(database)) as writer, writer:
        writer.execute("CREATE TABLE other (id)")
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="in use"):
            archive.listed()
        writer.rollback()
    assert [path.name for path in database.parent.glob("*.sqlite3")] == [database.name]
    with pytest.raises(UserError, match="was gone"):
        archive.listed()
    assert archive.listed() == []
    database.write_bytes(b"This is no database. " * 400)
    with pytest.raises(UserError, match="set aside"):
        archive.listed()
    database.unlink()
    with pytest.raises(UserError, match="was gone"):  # and not what happened before
        archive.listed()


def test_two_servers_that_start_at_once_lose_nothing_of_a_damaged_database(tmp_path: Path, picture: Path) -> None:
    """Each set aside what it found, the second one the fresh database of the first under the very same name."""
    for place in range(10):
        folder = tmp_path / str(place)
        Archive(folder).save("a", rounds_about(picture, "precious words"))
        database = folder / "conversations.sqlite3"
        database.write_bytes(b"damaged header!!" + database.read_bytes()[16:])
        start = Barrier(2)

        def begin(folder: Path = folder, start: Barrier = start) -> None:
            start.wait()
            Archive(folder)

        with ThreadPoolExecutor(2) as pool:
            for told in [pool.submit(begin), pool.submit(begin)]:
                told.result()
        (aside,) = folder.glob("conversations-damaged-*.sqlite3")
        assert b"precious words" in aside.read_bytes()


def test_what_was_set_aside_is_never_written_over(tmp_path: Path) -> None:
    for content in (b"first " * 1000, b"second " * 1000):
        (tmp_path / "conversations.sqlite3").write_bytes(content)
        Archive(tmp_path)
    assert {path.read_bytes()[:5] for path in tmp_path.glob("*damaged*.sqlite3")} == {b"first", b"secon"}


def test_conversations_from_while_the_database_was_in_use_are_taken_in_later(
    archive: Archive, tmp_path: Path, uploads: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lay in a database of their own beside it, which no later start ever read."""
    monkeypatch.setattr("pipelines.archive.store.BUSY_TIMEOUT_S", 0.05)
    archive.save("a", [Round(Draft("Before?"), Reply("Yes."))])
    holder = sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")
    holder.execute("BEGIN IMMEDIATE")
    beside = Archive(tmp_path / "data")
    beside.save("b", rounds_about(picture, "Meanwhile?"))
    holder.close()
    assert [listed.id for listed in Archive(tmp_path / "data").listed()] == ["a"]  # it is in use itself
    del beside
    again = Archive(tmp_path / "data")
    assert [listed.id for listed in again.listed()] == ["b", "a"]
    assert opened(again, "b", uploads)[0].draft.files[0].read_bytes() == picture.read_bytes()
    assert [path.name for path in (tmp_path / "data").glob("conversations-*")] == []


def test_a_damaged_database_is_not_taken_in(tmp_path: Path) -> None:
    beside = tmp_path / "conversations-20260102-030405.sqlite3"
    beside.write_bytes(b"This is no database. " * 400)
    assert Archive(tmp_path).listed() == []
    assert beside.exists()


def test_a_rename_leaves_an_answer_that_is_kept_meanwhile(archive: Archive, tmp_path: Path, picture: Path) -> None:
    """The conversation was read before the answer came, and written behind it."""
    archive.save("longer", rounds_about(picture, "What is it?", "And now?"))
    archive.save("a", rounds_about(picture, "What is it?"))
    with (
        ThreadPoolExecutor(1) as pool,
        closing(sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")) as writer,
        writer,
    ):
        writer.execute("BEGIN IMMEDIATE")
        renamed = pool.submit(archive.rename, "a", "Mine")
        with pytest.raises(TimeoutError):
            renamed.result(0.3)
        writer.execute("UPDATE conversation SET body = (SELECT body FROM conversation WHERE id = 'longer')")
        writer.commit()
        renamed.result()
    kept = archive.find("a")
    assert kept is not None
    assert (kept.title, len(kept.rounds)) == ("Mine", 2)
