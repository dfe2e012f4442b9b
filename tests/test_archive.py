"""Conversations that are kept: found again, searched, renamed, deleted, carried elsewhere; and what can be wrong."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import struct
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.archive import Archive, export, import_file
from pipelines.archive.kept import Kept
from pipelines.conversation import Draft, Reply, Round, Seen
from pipelines.types import Sight, UserError
from tests.archive_values import REPLY, media, opened, rounds_about
from tests.hostile.mutants import mutant


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


def test_a_title_that_was_given_outlives_a_question_that_is_put_better(archive: Archive, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    archive.rename("a", "Mine")
    archive.save("b", rounds_about(picture, "What is it?"))
    for id in ("a", "b"):
        archive.save(id, [])
        archive.save(id, rounds_about(picture, "What is it, in a word?"))
    assert [listed.title for listed in archive.listed()] == ["What is it, in a word?", "Mine"]


def test_the_title_follows_a_first_question_that_is_edited(archive: Archive, picture: Path) -> None:
    """The list went on to tell, and the search to find, a question that is in no conversation any more."""
    for question in ("How many quokkas are there?", "How many dugongs are there?"):
        archive.save("a", rounds_about(picture, question))
    assert [listed.title for listed in archive.listed()] == ["How many dugongs are there?"]
    assert archive.listed("quokkas") == []


def test_what_was_deleted_does_not_come_back_with_an_answer(archive: Archive, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    archive.delete("a")
    with pytest.raises(UserError, match="was deleted"):
        archive.save("a", rounds_about(picture, "What is it?", "And now?"))
    assert archive.listed() == []
    assert media(archive) == []


def test_an_import_that_is_refused_leaves_none_of_its_files(archive: Archive, tmp_path: Path) -> None:
    """Those before the one that was not what it said stayed for good."""
    data = [str(number).encode() for number in range(8)]
    whole = [{"name": "a.png", "content": hashlib.sha256(text).hexdigest()} for text in data]
    entries = {f"media/{file['content']}": text for file, text in zip(whole, data, strict=True)}
    description = altered("files", [*whole, {"name": "b.png", "content": "0" * 64}])
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, bundle_of(tmp_path / "bad.zip", description, {**entries, "media/" + "0" * 64: b"other"}))
    assert media(archive) == []


def test_a_long_screenshot_comes_back(archive: Archive, uploads: Path, picture: Path) -> None:
    """What was kept of it was refused when it was read, as higher than any picture."""
    seen = (Seen(Sight(928, 17_600, 1, 15_950)),)
    archive.save("a", [Round(Draft("Read it.", (picture,)), Reply("Text.", seen=seen))])
    assert opened(archive, "a", uploads)[0].reply.seen == seen


def test_what_cannot_have_been_seen_is_left_out(archive: Archive, uploads: Path, picture: Path) -> None:
    seen = (Seen(Sight(10, 10, 1, 4)), Seen(Sight(10**6, 10, 1, 4)))
    archive.save("a", [Round(Draft("Read it.", (picture,)), Reply("Text.", seen=seen))])
    (past,) = opened(archive, "a", uploads)
    assert (past.reply.answer, past.reply.seen) == ("Text.", ())


def test_what_cannot_be_read_is_told_and_can_be_deleted(archive: Archive, tmp_path: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    with closing(sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")) as connection, connection:
        connection.execute("""UPDATE conversation SET body = replace(body, '"stop"', '"of a later version"')""")
    for act in (archive.find, lambda id: archive.rename(id, "Mine"), lambda id: export(archive, id, tmp_path)):
        with pytest.raises(UserError, match="cannot be read"):
            act("a")
    archive.delete("a")
    assert archive.listed() == []
    assert media(archive) == []


def test_half_a_surrogate_pair_in_a_question_is_kept_and_searched(archive: Archive) -> None:
    archive.save("a", [Round(Draft("a\ud800b"), REPLY)])
    assert [listed.title for listed in archive.listed("a\ud800")] == ["a?b"]


def test_without_a_folder_nothing_is_kept(picture: Path) -> None:
    archive = Archive()
    archive.save("a", rounds_about(picture, "What is it?"))
    assert not archive.is_on


def test_a_clock_that_is_set_back_leaves_the_newest_first(tmp_path: Path, picture: Path) -> None:
    clock = iter([3e9, 1e9, 2e9, 1e9])
    archive = Archive(tmp_path / "data", lambda: next(clock))
    for id in ("a", "b", "c", "a"):
        archive.save(id, rounds_about(picture, "What is it?"))
    assert [listed.id for listed in archive.listed()] == ["a", "c", "b"]


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
    pytest.param(WHOLE, {f"media/{place}": b"" for place in range(10_001)}, id="too many"),
]


@pytest.mark.parametrize(("description", "entries"), BAD_BUNDLES)
def test_a_bundle_of_a_stranger_is_refused(
    description: object, entries: dict[str, bytes], archive: Archive, tmp_path: Path
) -> None:
    with pytest.raises(UserError):
        import_file(archive, bundle_of(tmp_path / "bad.zip", description, entries))
    assert archive.listed() == []
    assert media(archive) == []


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_bundle_that_is_packed_in_another_way_is_refused(packing: int, archive: Archive, tmp_path: Path) -> None:
    """LZMA that was damaged was a raw exception."""
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", packing) as bundle:
        bundle.writestr("conversation.json", json.dumps(altered("files", [])))
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, tmp_path / "bad.zip")


def test_what_is_no_bundle_is_refused(archive: Archive, picture: Path) -> None:
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, picture)


def test_a_bundle_that_unpacks_to_too_much_is_refused_at_once(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.archive.portable.MAX_BYTES", 10_000)
    with pytest.raises(UserError, match="too large"):
        import_file(archive, bundle_of(tmp_path / "bomb.zip", WHOLE, {"media/" + "0" * 64: bytes(20_000)}))


def test_a_list_of_millions_of_entries_is_not_read(archive: Archive, tmp_path: Path) -> None:
    """Two million of them, in 94 MB, took a minute and 760 MB before they were counted."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, *[0] * 8, 1, *[0] * 6) + b"a"
    entries = entry * 100_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(entries), 0, 0)
    hostile = tmp_path / "hostile.zip"
    hostile.write_bytes(entries + end)
    with pytest.raises(UserError, match="not an exported conversation"):
        import_file(archive, hostile)


def test_what_is_exported_can_be_imported(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than 199 files it could not, and nobody was told as it was exported."""
    files = [tmp_path / f"{place}.png" for place in range(201)]
    for place, path in enumerate(files):
        path.write_bytes(bytes(place))
    archive.save("a", [Round(Draft("What are they?", tuple(files)), REPLY)])
    bundle = export(archive, "a", tmp_path / "out")
    assert bundle is not None
    assert import_file(archive, bundle)
    monkeypatch.setattr("pipelines.archive.portable.MAX_BYTES", 10_000)
    with pytest.raises(UserError, match="too large"):
        export(archive, "a", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_two_conversations_of_one_title_are_exported_side_by_side(
    archive: Archive, tmp_path: Path, picture: Path
) -> None:
    """Both were written to one file at once."""
    for id in ("a", "b"):
        archive.save(id, [Round(Draft("What is it?", (picture,)), Reply(id))])
    first, second = (export(archive, id, tmp_path / "out") for id in ("a", "b"))
    assert first is not None
    assert second is not None
    assert first.name == second.name
    for id, bundle in {"a": first, "b": second}.items():
        kept = archive.find(import_file(archive, bundle))
        assert kept is not None
        assert kept.rounds[0].reply.answer == id


def test_a_file_from_before_zips_is_exported(archive: Archive, tmp_path: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    os.utime(media(archive)[0], (0, 0))
    assert export(archive, "a", tmp_path / "out") is not None


def test_a_long_name_of_letters_that_need_many_bytes_is_cut(
    archive: Archive, tmp_path: Path, uploads: Path, picture: Path
) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    description = json.dumps(altered("content", media(archive)[0].name)).replace("evil", "漢" * 100)
    (past,) = opened(archive, import_file(archive, bundle_of(tmp_path / "a.zip", description)), uploads)
    assert past.draft.files[0].name.endswith("漢.png")


def test_no_name_of_a_bundle_is_a_path(archive: Archive, tmp_path: Path, uploads: Path, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"))
    content = media(archive)[0].name
    bundle = bundle_of(tmp_path / "whole.zip", altered("content", content))
    (past,) = opened(archive, import_file(archive, bundle), uploads)
    assert past.draft.files == (uploads / content / "evil.png",)


def test_half_a_surrogate_pair_is_kept_as_a_question_mark() -> None:
    assert Kept.of_json({"title": "\ud800", "rounds": []}).title == "?"
