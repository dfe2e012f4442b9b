"""The pictures and clips of kept conversations: whole or not there, and gone only with the last who has them."""

from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.archive import Archive, export, import_file
from pipelines.conversation import Draft, Round
from pipelines.digests import DIGESTS, identity
from pipelines.types import UserError
from tests.archive_values import REPLY, full_disk, media, opened, rounds_about


def test_what_is_deleted_takes_only_its_own_files_along(archive: Archive, tmp_path: Path, picture: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"other")
    archive.save("a", [Round(Draft("Both?", (picture, other)), REPLY)])
    archive.save("b", rounds_about(picture, "What is it?"))
    assert len(media(archive)) == 2
    archive.delete("a")
    assert archive.find("a") is None
    assert [path.read_bytes() for path in media(archive)] == [picture.read_bytes()]


def test_a_file_that_is_gone_is_left_out(archive: Archive, uploads: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    media(archive)[0].unlink()
    assert [past.draft.files for past in opened(archive, "a", uploads)] == [()]


def test_on_a_full_disk_nothing_is_half_written(archive: Archive, tmp_path: Path, uploads: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    bundle = export(archive, "a", tmp_path / "out")
    kept = archive.find("a")
    assert bundle is not None
    assert kept is not None
    elsewhere, other = Archive(tmp_path / "elsewhere"), tmp_path / "other.png"
    other.write_bytes(b"other" * 100)
    with full_disk():
        for act in (
            lambda: archive.save("b", rounds_about(other, "And this?")),
            lambda: archive.rounds(kept, uploads),
            lambda: export(archive, "a", tmp_path / "out2"),
            lambda: import_file(elsewhere, bundle),
        ):
            with pytest.raises(UserError, match="disk is full"):
                act()
    assert [listed.id for listed in archive.listed()] == ["a"]
    assert [path.read_bytes() for path in media(archive)] == [picture.read_bytes()]
    assert elsewhere.listed() == []
    assert not media(elsewhere)
    assert not list((tmp_path / "out2").glob("*"))
    assert opened(archive, import_file(elsewhere, bundle) and "a", uploads)[0].draft.files[0].exists()


def test_a_file_is_kept_again_that_went_with_another_conversation(
    archive: Archive, tmp_path: Path, uploads: Path, picture: Path
) -> None:
    """It was there when the second conversation was about to be kept, and gone before it was."""
    archive.save("a", rounds_about(picture, "What is it?"))
    with (
        ThreadPoolExecutor(1) as pool,
        closing(sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")) as deleter,
        deleter,
    ):
        deleter.execute("BEGIN IMMEDIATE")
        saved = pool.submit(archive.save, "b", rounds_about(picture, "And this?"))
        with pytest.raises(TimeoutError):
            saved.result(0.3)
        deleter.execute("DELETE FROM conversation")
        media(archive)[0].unlink()
        deleter.commit()
        saved.result()
    assert opened(archive, "b", uploads)[0].draft.files[0].read_bytes() == picture.read_bytes()


def test_a_deletion_that_is_refused_leaves_the_files(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.archive.store.BUSY_TIMEOUT_S", 0.05)
    archive = Archive(tmp_path / "data")
    for id in ("a", "b"):
        archive.save(id, [Round(Draft("What is it?", (picture,) if id == "a" else ()), REPLY)])
    reader = sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")
    reading = reader.execute("SELECT * FROM conversation")
    reading.fetchone()
    with pytest.raises(UserError, match="in use"):
        archive.delete("a")
    reading.close()
    reader.close()
    assert len(media(archive)) == 1
    archive.save("a", rounds_about(picture, "What is it?", "And now?"))
    assert len(archive.listed()) == 2
    archive.delete("a")
    assert media(archive) == []


@pytest.mark.parametrize("other", ["conversations-damaged-20260102-030405", "conversations-20260102-030405"])
def test_files_stay_while_another_database_may_have_them(
    other: str, archive: Archive, tmp_path: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    beside = tmp_path / "data" / f"{other}.sqlite3"
    beside.write_bytes(b"")
    archive.delete("a")
    assert len(media(archive)) == 1
    beside.unlink()
    archive.save("b", rounds_about(picture, "What is it?"))
    archive.delete("b")
    assert media(archive) == []


def test_half_a_file_is_never_taken_for_the_whole(archive: Archive, uploads: Path, picture: Path) -> None:
    """What a full disk or an end in the middle had left was shown, and kept, as the picture itself."""
    archive.save("a", rounds_about(picture, "What is it?"))
    kept = archive.find("a")
    assert kept is not None
    with full_disk(), pytest.raises(UserError, match="disk is full"):
        archive.rounds(kept, uploads)
    assert [path for path in uploads.rglob("*") if path.is_file()] == []
    (brought,) = opened(archive, "a", uploads)[0].draft.files
    brought.write_bytes(picture.read_bytes()[:50])
    assert opened(archive, "a", uploads)[0].draft.files[0].read_bytes() == picture.read_bytes()
    media(archive)[0].write_bytes(b"")
    archive.save("b", rounds_about(picture, "What is it?"))
    assert media(archive)[0].read_bytes() == picture.read_bytes()


def test_files_of_a_conversation_that_is_opened_again_are_new_to_the_sweep(
    archive: Archive, uploads: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    (brought,) = opened(archive, "a", uploads)[0].draft.files
    os.utime(brought, (0, 0))
    opened(archive, "a", uploads)
    assert brought.stat().st_mtime > 0


def test_an_upload_that_was_swept_is_still_known(archive: Archive, tmp_path: Path, uploads: Path) -> None:
    """An answer to an older conversation was not kept, and a full disk blamed for it."""
    pictures = [tmp_path / "one.png", tmp_path / "two.png"]
    for path in pictures:
        path.write_bytes(path.name.encode())
    rounds = [Round(Draft("What?", (path,)), REPLY) for path in pictures]
    archive.save("a", rounds)
    pictures[0].unlink()
    archive.save("a", [*rounds, Round(Draft("And?", (tmp_path / "never-kept.png",)), REPLY)])
    kept = opened(archive, "a", uploads)
    assert [[path.read_bytes() for path in past.draft.files] for past in kept] == [[b"one.png"], [b"two.png"], []]


def test_a_file_is_not_read_again_to_tell_what_it_holds(archive: Archive, picture: Path) -> None:
    """Each answer read all files of its conversation again: 0.7 s for a clip of 512 MB before it was told as done."""
    known = DIGESTS.get(identity(picture), lambda: "f" * 64)
    archive.save("a", rounds_about(picture, "What is it?", "And now?"))
    assert [path.name for path in media(archive)] == [known]


def test_parts_of_who_was_killed_are_cleared_away(archive: Archive, tmp_path: Path) -> None:
    old, new = (archive.path_of(f"{name}.part") for name in ("old", "new"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    Archive(tmp_path / "data")
    assert media(archive) == [new]
