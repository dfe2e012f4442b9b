"""Conversations that are kept: found again, searched, renamed, deleted; and what can be wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.archive import Archive, export, import_file
from pipelines.archive.kept import Kept
from pipelines.conversation import Draft, Reply, Round, Seen
from pipelines.types import Sight, UserError
from tests.archive_values import REPLY, media, opened, rounds_about


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


def test_half_a_surrogate_pair_is_kept_as_a_question_mark() -> None:
    assert Kept.of_json({"title": "\ud800", "rounds": []}).title == "?"
