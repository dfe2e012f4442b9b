"""Conversations that are kept: found again, searched, renamed, deleted, carried elsewhere; and what can be wrong."""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.archive import Archive, export, import_file
from pipelines.archive.kept import Kept
from pipelines.conversation import Draft, Reply, Round
from pipelines.types import UserError
from tests.hostile.mutants import mutant

REPLY = Reply("A circle.", "Look.", "stop", 2.0, 40, "asked")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "data")


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


def rounds_about(picture: Path, *questions: str) -> list[Round]:
    return [Round(Draft(question, (picture,)), REPLY) for question in questions]


def opened(archive: Archive, id: str, uploads: Path) -> list[Round]:
    kept = archive.find(id)
    assert kept is not None
    return archive.rounds(kept, uploads)


def media(archive: Archive) -> list[Path]:
    return list(archive.path_of("x").parent.iterdir())


def test_a_conversation_is_there_after_the_program_ended(
    archive: Archive, tmp_path: Path, uploads: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it?", "And now?"))
    data = picture.read_bytes()
    picture.unlink()
    first, second = opened(Archive(tmp_path / "data"), "a", uploads)
    assert (first.draft.question, second.draft.question) == ("What is it?", "And now?")
    assert first.reply == REPLY
    assert first.draft.files == second.draft.files
    assert first.draft.files[0].is_relative_to(uploads)
    assert first.draft.files[0].name == "square.png"
    assert first.draft.files[0].read_bytes() == data


def test_a_system_prompt_is_kept_renamed_and_carried_with_its_conversation(
    archive: Archive, tmp_path: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it?"), "Be brief.")
    archive.rename("a", "Other")
    exported = export(archive, "a", tmp_path)
    assert exported is not None
    for kept in (archive.find("a"), archive.find(import_file(archive, exported))):
        assert kept is not None
        assert (kept.title, kept.system) == ("Other", "Be brief.")


def test_a_conversation_from_before_system_prompts_has_none() -> None:
    assert Kept.of_json({"title": "Old", "rounds": []}).system == ""


def test_the_newest_conversation_is_listed_first_and_has_its_first_question_for_a_title(
    archive: Archive, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What  is\nit?"))
    archive.save("b", rounds_about(picture, "x" * 200))
    archive.save("a", rounds_about(picture, "What  is\nit?", "And now?"))
    newest, older = archive.listed()
    assert (newest.id, newest.title, newest.num_rounds) == ("a", "What is it?", 2)
    assert (older.id, older.title) == ("b", "x" * 79 + "…")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("circle", ["a"]),
        ("CIRCLE what", ["a"]),
        ("100%", ["b"]),
        ("%", ["b"]),
        ("é", ["b"]),
        ("nothing", []),
        ("' OR 1", []),
    ],
)
def test_every_word_that_is_searched_is_in_what_is_found(
    search: str, found: list[str], archive: Archive, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    archive.save("b", [Round(Draft("É: 100% of it?"), Reply("Yes."))])
    assert [listed.id for listed in archive.listed(search)] == found


def test_a_title_that_was_given_stays(archive: Archive, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    archive.rename("a", "The square")
    archive.save("a", rounds_about(picture, "What is it?", "And now?"))
    archive.rename("a", "  ")
    archive.rename("no such one", "Nothing")
    assert [(listed.title, listed.num_rounds) for listed in archive.listed()] == [("The square", 2)]
    assert [listed.title for listed in archive.listed("square")] == ["The square"]


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


def test_without_a_folder_nothing_is_kept(picture: Path) -> None:
    archive = Archive()
    archive.save("a", rounds_about(picture, "What is it?"))
    assert not archive.is_on


@pytest.mark.parametrize("damage", ["no database", "cut off", "overwritten"])
def test_a_damaged_database_is_set_aside_and_told(damage: str, archive: Archive, tmp_path: Path, picture: Path) -> None:
    for place in range(50):
        archive.save(f"{place}", rounds_about(picture, "What is it? " * 50))
    database = tmp_path / "data" / "conversations.sqlite3"
    whole = database.read_bytes()
    broken = {
        "no database": b"This is no database. " * 400,
        "cut off": whole[: len(whole) // 3],
        "overwritten": whole[:100] + b"\xff" * 9000 + whole[9100:],
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


def test_a_clock_that_is_set_back_leaves_the_newest_first(tmp_path: Path, picture: Path) -> None:
    clock = iter([3e9, 1e9, 2e9, 1e9])
    archive = Archive(tmp_path / "data", lambda: next(clock))
    for id in ("a", "b", "c", "a"):
        archive.save(id, rounds_about(picture, "What is it?"))
    assert [listed.id for listed in archive.listed()] == ["a", "c", "b"]


def test_two_who_find_the_same_damage_set_it_aside_once(archive: Archive, tmp_path: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    (tmp_path / "data" / "conversations.sqlite3").write_bytes(b"This is no database. " * 400)
    with ThreadPoolExecutor(2) as pool:
        told = [pool.submit(archive.save, id, rounds_about(picture, "And now?")).exception() for id in ("b", "c")]
    assert any("were set aside" in str(error) for error in told)
    assert len(list((tmp_path / "data").glob("conversations-damaged-*"))) == 1
    assert {listed.id for listed in archive.listed()} == {"b", "c"}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond some bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


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


def test_no_mutant_of_a_bundle_does_more_than_be_refused(archive: Archive, tmp_path: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    bundle = export(archive, "a", tmp_path / "out")
    assert bundle is not None
    whole, rng, fates = bundle.read_bytes(), random.Random(5), set()
    for _ in range(200):
        bundle.write_bytes(mutant(whole, whole, rng))
        try:
            import_file(archive, bundle)
            fates.add("kept")
        except UserError:
            fates.add("refused")
    assert "refused" in fates


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


def test_an_exported_conversation_is_the_same_elsewhere(
    archive: Archive, tmp_path: Path, uploads: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it? / \\ ..", "And now?"))
    bundle = export(archive, "a", tmp_path / "out")
    assert bundle is not None
    assert bundle.name == "what-is-it.zip"
    elsewhere = Archive(tmp_path / "elsewhere")
    id = import_file(elsewhere, bundle)
    assert id != "a"
    assert [past.reply for past in opened(elsewhere, id, uploads)] == [REPLY, REPLY]
    assert opened(elsewhere, id, uploads)[0].draft.files[0].read_bytes() == picture.read_bytes()
    assert export(archive, "no such one", tmp_path) is None


WHOLE = {
    "title": "Mine",
    "rounds": [
        {
            "question": "What is it?",
            "files": [{"name": "../../evil.png", "content": "0" * 64}],
            "reply": {
                "answer": "A",
                "reasoning": "",
                "finish_reason": "stop",
                "thought_s": 0,
                "num_thought_tokens": 0,
                "thought_end": None,
            },
        }
    ],
}


def bundle_of(path: Path, description: object, entries: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("conversation.json", description if isinstance(description, str) else json.dumps(description))
        for name, data in (entries or {}).items():
            bundle.writestr(name, data)
    return path


def altered(key: str, value: object) -> object:
    """`WHOLE` with one value changed, wherever its key is."""

    def change(item: object) -> object:
        if isinstance(item, dict):
            return {name: value if name == key else change(inner) for name, inner in item.items()}
        return [change(inner) for inner in item] if isinstance(item, list) else item

    return change(WHOLE)


BAD_BUNDLES = [
    pytest.param("not json", {}, id="no json"),
    pytest.param("[" * 100_000, {}, id="nested too deep"),
    pytest.param([], {}, id="no object"),
    pytest.param(altered("title", 3), {}, id="title"),
    pytest.param(altered("rounds", {}), {}, id="rounds"),
    pytest.param(altered("files", None), {}, id="files"),
    pytest.param(altered("content", "../../etc/passwd"), {}, id="path for content"),
    pytest.param(altered("finish_reason", "why"), {}, id="end"),
    pytest.param(altered("thought_s", -1), {}, id="time"),
    pytest.param(altered("num_thought_tokens", True), {}, id="tokens"),
    pytest.param(altered("reply", "A"), {}, id="reply"),
    pytest.param(WHOLE, {"media/" + "0" * 64: b"other"}, id="content that is another"),
    pytest.param(WHOLE, {f"media/{place}": b"" for place in range(300)}, id="too many"),
]


@pytest.mark.parametrize(("description", "entries"), BAD_BUNDLES)
def test_a_bundle_of_a_stranger_is_refused(
    description: object, entries: dict[str, bytes], archive: Archive, tmp_path: Path
) -> None:
    with pytest.raises(UserError):
        import_file(archive, bundle_of(tmp_path / "bad.zip", description, entries))
    assert archive.listed() == []
    assert media(archive) == []


def test_what_is_no_bundle_is_refused(archive: Archive, picture: Path) -> None:
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, picture)


def test_a_bundle_that_unpacks_to_too_much_is_refused_at_once(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.archive.portable.MAX_BYTES", 10_000)
    with pytest.raises(UserError, match="too large"):
        import_file(archive, bundle_of(tmp_path / "bomb.zip", WHOLE, {"media/" + "0" * 64: bytes(20_000)}))


def test_no_name_of_a_bundle_is_a_path(archive: Archive, tmp_path: Path, uploads: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    content = media(archive)[0].name
    bundle = bundle_of(tmp_path / "whole.zip", altered("content", content))
    (past,) = opened(archive, import_file(archive, bundle), uploads)
    assert past.draft.files == (uploads / content / "evil.png",)


def test_half_a_surrogate_pair_is_kept_as_a_question_mark() -> None:
    assert Kept.of_json({"title": "\ud800", "rounds": []}).title == "?"
