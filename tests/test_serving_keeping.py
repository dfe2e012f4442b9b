"""What a visitor does with kept conversations, and what is said where it cannot be done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.archive import Archive
from pipelines.conversation import Draft, Reply, Round
from pipelines.present.listing import Act, Pressed, Remembered
from pipelines.serving.keeping import GONE_FILES, NOT_HERE, PARTED, Done, Keeping, save
from pipelines.serving.session import Session
from pipelines.types import UserError
from tests.archive_values import REPLY, rounds_about

EMPTY: dict[str, object] = {"text": "", "files": []}


@pytest.fixture
def keeping(archive: Archive, tmp_path: Path) -> Keeping:
    def leave(session: Session, typed: Draft) -> Draft | None:
        return session.leave(typed, is_kept=True)

    return Keeping(archive, leave, lambda: tmp_path / "uploads")


def pressed(keeping: Keeping, act: Act, id: str, session: Session | None = None) -> Done:
    return keeping.do(Pressed(act, id, "Mine"), session or Session(), EMPTY, "own prompt")


def test_a_conversation_is_opened_with_its_name_and_prompt(archive: Archive, keeping: Keeping, picture: Path) -> None:
    archive.save("a", rounds_about(picture, "What is it?"), "Be brief.")
    before = Session()
    done = pressed(keeping, "open", "a", before)
    assert (done.is_shown, done.system, done.session.name, done.warnings) == (True, "Be brief.", "a", ())
    assert [past.draft.question for past in done.session.rounds] == ["What is it?"]
    assert done.session.history is before.history
    assert not pressed(keeping, "open", "a", done.session).is_shown


@pytest.mark.parametrize("act", ["open", "export"])
def test_what_is_not_kept_any_more_is_told(act: Act, keeping: Keeping) -> None:
    """Nothing happened at all."""
    session = Session()
    assert pressed(keeping, act, "gone", session) == Done(session, warnings=(NOT_HERE,))


def test_what_cannot_be_read_is_told_and_can_be_deleted(
    archive: Archive, keeping: Keeping, tmp_path: Path, picture: Path
) -> None:
    """No button of it did anything, and it stayed in the list."""
    archive.save("a", rounds_about(picture, "What is it?"))
    with closing(sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")) as connection, connection:
        connection.execute("UPDATE conversation SET body = '{}'")
    acts: tuple[Act, ...] = ("open", "rename", "export")
    for act in acts:
        (warning,) = pressed(keeping, act, "a").warnings
        assert "cannot be read" in warning
    assert "cannot be read" in keeping.restore(Remembered("a"), Session()).warnings[0]
    assert pressed(keeping, "delete", "a").warnings == ()
    assert "No conversation is kept yet" in keeping.listed("", "")


def test_the_open_conversation_is_deleted_with_the_answer_to_it(archive: Archive, keeping: Keeping) -> None:
    """It came back as the answer ended."""
    session = Session([Round(Draft("What is it?"), REPLY)])
    archive.save(session.name, session.rounds)
    session.begin(Draft("And now?"))
    stop, rounds = session.stop, [*session.rounds, Round(Draft("And now?"), REPLY)]
    done = pressed(keeping, "delete", session.name, session)
    assert stop.is_set()
    assert (done.is_shown, done.system, done.session.rounds) == (True, "own prompt", [])
    assert done.session.name != session.name
    archive.save(session.name, session.rounds)
    with pytest.raises(UserError, match="was deleted"):
        archive.save(session.name, rounds)
    assert archive.listed() == []


def test_a_deletion_that_is_refused_leaves_the_conversation_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeping: Keeping, archive: Archive
) -> None:
    monkeypatch.setattr("pipelines.archive.store.BUSY_TIMEOUT_S", 0.05)
    archive.open(tmp_path / "data")
    session = Session([Round(Draft("What is it?"), REPLY)])
    archive.save(session.name, session.rounds)
    with closing(sqlite3.connect(tmp_path / "data" / "conversations.sqlite3")) as writer, writer:
        writer.execute("BEGIN IMMEDIATE")
        done = pressed(keeping, "delete", session.name, session)
    assert "in use" in done.warnings[0]
    assert (done.is_shown, len(session.rounds), session.is_closed) == (False, 1, False)


def test_conversations_that_are_not_listed_are_told(
    archive: Archive, keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of many vanished from the list without a word."""
    for place in range(5):
        archive.save(str(place), [Round(Draft(f"Question {place} of five"), Reply("Yes."))])
    monkeypatch.setattr("pipelines.archive.table.MAX_LISTED", 3)
    assert "2 more: search for them." in keeping.listed("", "")
    assert " more:" not in keeping.listed("five 3", "")


def test_a_question_that_was_sent_before_a_reload_was_done_is_given_back(archive: Archive, keeping: Keeping) -> None:
    """Its conversation made room for the one that was kept, and it was gone."""
    archive.save("a", [Round(Draft("Old?"), Reply("Yes."))])
    for typed in ("", "typed before"):
        quick = Session()
        quick.begin(Draft("asked at once"))
        done = keeping.restore(Remembered("a", typed), quick)
        assert done.session.returned == Draft("\n".join(filter(None, (typed, "asked at once"))))


def test_a_new_chat_that_was_begun_before_a_reload_was_done_stays(archive: Archive, keeping: Keeping) -> None:
    """The conversation before it came back."""
    archive.save("a", [Round(Draft("Old?"), Reply("Yes."))])
    fresh = Session().another(None)
    for is_linked in (False, True):
        done = keeping.restore(Remembered("a", "typed before", is_linked=is_linked), fresh)
        assert (done.session, done.session.rounds, done.warnings) == (fresh, [], ())
        assert done.session.returned == Draft("typed before" if not is_linked else "typed before\ntyped before")


def test_a_new_chat_that_is_begun_while_a_conversation_is_opened_stays(archive: Archive, tmp_path: Path) -> None:
    """What was opened took its place, and what was typed before a reload was to go on in that."""
    archive.save("a", [Round(Draft("Old?"), Reply("Yes."))])
    left = Session()

    def uploads() -> Path:
        left.close()
        return tmp_path

    keeping = Keeping(archive, lambda session, typed: session.leave(typed, is_kept=True), uploads)
    done = keeping.restore(Remembered("a", "typed before"), left)
    assert (done.session.is_closed, done.session.rounds, done.session.returned) == (False, [], Draft("typed before"))
    assert done.is_shown
    left = Session()
    assert pressed(keeping, "open", "a", left) == Done(left)


def test_a_reload_without_a_conversation_says_nothing(keeping: Keeping) -> None:
    assert keeping.restore(Remembered("gone", "typed"), Session()).warnings == ()
    quick = Session()
    quick.begin(Draft("asked before all was there"))
    assert not keeping.restore(Remembered("gone"), quick).is_shown, "its answer is on its way"
    done = keeping.restore(Remembered("gone", is_linked=True), Session())
    assert done.warnings == (NOT_HERE,)


def asked_in(archive: Archive, session: Session, question: str) -> str:
    session.rounds.append(Round(Draft(question), REPLY))
    return save(archive, session)


def questions_in(archive: Archive) -> dict[str, list[str]]:
    """Those of each conversation that is kept, under its name."""
    found = ((one.id, archive.find(one.id)) for one in archive.listed())
    return {id: [past.question for past in kept.rounds] for id, kept in found if kept}


def test_what_two_tabs_ask_in_one_conversation_is_kept_of_both(archive: Archive, keeping: Keeping) -> None:
    """What the other tab had asked was gone from what is kept, as was what it had been called."""
    first = Session()
    assert asked_in(archive, first, "One") == ""
    id = first.name
    second = pressed(keeping, "open", id).session
    archive.rename(id, "Mine")
    assert [asked_in(archive, first, "Two"), asked_in(archive, first, "Three")] == ["", ""]
    assert asked_in(archive, second, "Other") == PARTED
    assert asked_in(archive, second, "Another") == ""
    assert asked_in(archive, first, "Four") == ""
    assert first.name == id != second.name
    both = {id: ["One", "Two", "Three", "Four"], second.name: ["One", "Other", "Another"]}
    assert questions_in(archive) == both
    assert {one.title for one in archive.listed()} == {"Mine"}


def test_a_question_that_is_taken_back_leaves_what_another_tab_asked_behind_it(
    archive: Archive, keeping: Keeping
) -> None:
    """The only question of one tab took the whole conversation of the other with it."""
    first = Session()
    asked_in(archive, first, "One")
    id, second = first.name, pressed(keeping, "open", first.name).session
    asked_in(archive, second, "Two")
    first.undo(Draft(""))
    assert save(archive, first) == PARTED
    assert questions_in(archive) == {id: ["One", "Two"]}
    asked_in(archive, first, "Put better")
    assert questions_in(archive) == {id: ["One", "Two"], first.name: ["Put better"]}


def test_a_conversation_goes_on_in_a_fresh_database(archive: Archive, tmp_path: Path) -> None:
    """It is kept in there as the old one is set aside, and nobody else had changed it."""
    session = Session()
    asked_in(archive, session, "One")
    (tmp_path / "data" / "conversations.sqlite3").write_bytes(b"no database" * 1000)
    assert "set aside" in asked_in(archive, session, "Two")
    id = session.name
    assert asked_in(archive, session, "Three") == ""
    assert questions_in(archive) == {id: ["One", "Two", "Three"]}


def test_a_file_that_is_gone_is_told(archive: Archive, keeping: Keeping, tmp_path: Path, picture: Path) -> None:
    """Nothing was said, and a question about the other one was about none."""
    other = tmp_path / "other.png"
    other.write_bytes(b"other")
    drafts = Draft("One", (other,)), Draft("Two", (picture,), 1), Draft("Three", (), 0)
    archive.save("a", [Round(draft, REPLY) for draft in drafts])
    kept = archive.find("a")
    assert kept is not None
    assert pressed(keeping, "open", "a").warnings == ()
    archive.path_of(kept.rounds[0].files[0].content).unlink()
    for done in (pressed(keeping, "open", "a"), keeping.restore(Remembered("a"), Session())):
        assert done.warnings == (GONE_FILES,)
        assert [len(past.draft.files) for past in done.session.rounds] == [0, 1, 0]
        assert [past.draft.about for past in done.session.rounds] == [None, 0, None]
