"""A conversation that goes back and on: questions edited, asked again, taken back, and offered by a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.conversation import Draft, Reply, Round
from pipelines.host import Turns, Visitor
from pipelines.present.pointing import Pointed
from pipelines.serving.asking import ask, ask_in_turn
from pipelines.serving.session import Session
from pipelines.types import Settings, UserError
from tests.present_values import result
from tests.serving_values import answered, failing, last, questions, replying, replying_with, session_with, texts


def on_its_way(session: Session) -> Draft:
    assert session.pending is not None
    return session.pending.draft


def test_an_earlier_question_that_is_edited_replaces_what_came_after() -> None:
    session = answered("One", "Two", "Three")
    session.edit(1, Draft("typed already"))
    assert session.take_returned() == Draft("Two", (Path("Two.png"),))
    session.begin(Draft("Two again"))
    assert texts(session.shown())[-1] == "Two again"
    assert session.request(Settings()).history == (session.rounds[0].turn,)
    last(ask(session, Settings(), replying()))
    assert questions(session) == ["One", "Two again"]
    assert session.take_returned() == Draft("typed already")


def test_an_edited_question_that_fails_leaves_the_conversation_as_it_was() -> None:
    session = answered("One", "Two")
    session.edit(0, Draft("typed already"))
    session.begin(Draft("One again"))
    update = last(ask(session, Settings(), failing(UserError("No."))))
    assert questions(session) == ["One", "Two"]
    assert texts(update.chat)[0] == "One"
    assert "No. Editing question 1: sending it replaces it and all that follows." in update.status
    assert "gb-error gb-editing" in update.status
    assert session.take_returned() == Draft("One again")
    session.begin(Draft("One at last"))  # still in the place of the first
    last(ask(session, Settings(), replying()))
    assert questions(session) == ["One at last"]


@pytest.mark.parametrize("file", ["One.png", "Other.png"])
def test_a_marked_part_goes_with_the_medium_that_an_edit_takes_away(file: str) -> None:
    """The next question was about another picture then, or about one that was not there at all."""
    session, part = answered("One", "Two"), Path("part.png")
    of_first, of_second = (
        Pointed(f"In this region of Picture {number}", (part,), session.files[:number]) for number in (1, 2)
    )
    for pointed, is_there in ((of_second, False), (of_first, file == "One.png")):
        session.pointed = pointed
        session.edit(0, Draft(""))
        draft = Draft("What is it?", (Path(file),))
        session.begin(draft)
        about = Draft(f"In this region of Picture 1: {draft.question}", (*draft.files, part), 0)
        assert on_its_way(session) == (about if is_there else draft)
        last(ask(session, Settings(), failing(UserError("No."))))
        assert session.pointed is pointed


def test_a_marked_part_goes_with_the_medium_that_was_taken_back() -> None:
    session = answered("One", "Two")
    session.pointed = Pointed("In this region of Picture 2", (Path("part.png"),), session.files)
    session.undo(Draft(""))
    session.begin(Draft("What is it?"))
    assert on_its_way(session) == Draft("What is it?")


def test_an_edit_that_is_left_gives_back_what_was_typed() -> None:
    session = answered("One")
    session.edit(0, Draft("typed already"))
    session.leave_edit()
    assert session.take_returned() == Draft("typed already")
    session.begin(Draft("Two"))
    last(ask(session, Settings(), replying()))
    assert questions(session) == ["One", "Two"]


@pytest.mark.parametrize("place", [-1, 2])
def test_only_a_question_that_was_asked_can_be_edited(place: int) -> None:
    session = answered("One", "Two")
    session.edit(place, Draft(""))
    assert (session.editing, session.returned) == (None, None)


def test_retry_asks_the_last_question_again_and_keeps_the_reply_where_it_fails() -> None:
    session = answered("One", "Two")
    session.retry()
    assert session.request(Settings()).files == (Path("One.png"), Path("Two.png"))
    last(ask(session, Settings(), failing(UserError("No."))))
    assert questions(session) == ["One", "Two"]
    assert session.take_returned() is None
    session.retry()
    last(ask(session, Settings(), replying_with(result(answer="Another."))))
    assert [past.reply.answer for past in session.rounds] == ["A circle.", "Another."]


def test_where_nothing_is_on_its_way_the_conversation_is_shown_as_it_is() -> None:
    """Retry, while an earlier question was edited, gave the page no update at all: it blanked the whole chat."""
    session = answered("One", "Two")
    session.edit(0, Draft(""))
    session.retry()
    (update,) = ask_in_turn(session, Settings(), replying(), Turns(9), Visitor("a", "x"))
    assert update.chat == session.shown()
    assert "Editing question 1" in update.status


def test_undo_takes_the_last_question_back_into_the_composer() -> None:
    session = answered("One", "Two")
    session.undo(Draft(""))
    assert questions(session) == ["One"]
    assert session.take_returned() == Draft("Two", (Path("Two.png"),))
    assert texts(session.shown()) == ["One", "Look.", "A circle."]


def test_undo_leaves_what_is_typed_already() -> None:
    session = answered("One", "Two")
    session.undo(Draft("typed already", (Path("typed.png"), Path("Two.png"))))
    assert session.take_returned() == Draft("Two\ntyped already", (Path("Two.png"), Path("typed.png")))
    session.undo(Draft(" ", (Path("typed.png"),)))
    assert session.take_returned() == Draft("One", (Path("One.png"), Path("typed.png")))


def test_undo_takes_the_next_question_of_a_card_for_none_that_was_typed() -> None:
    """Sent again, it asked both in one, and the card was left."""
    session = Session(script=("One?", "Two?"))
    for _ in range(2):
        session.begin(Draft("One?"))
        session.keep(result(reasoning="", answer="Yes."))
        offered = session.take_returned()
        assert offered is not None
        assert offered.question == "Two?"
        session.undo(offered)
        assert session.take_returned() == Draft("One?")


@pytest.mark.parametrize("act", [Session.undo, lambda session, typed: session.edit(0, typed)], ids=["undo", "edit"])
def test_a_question_about_a_part_is_still_about_its_medium_when_it_is_asked_otherwise(
    act: Callable[[Session, Draft], None],
) -> None:
    """Its places were drawn on the part that was cut out."""
    part = Draft("In this region [0, 0, 9, 9]: What?", (Path("One.png"), Path("part.png")), 0)
    session = Session(rounds=[Round(part, Reply("A circle."))])
    act(session, Draft(""))
    session.begin(Draft("In this region [0, 0, 9, 9]: Why?", part.files))
    assert on_its_way(session).about == 0
    session.give_back()
    session.begin(Draft("Something else?", (Path("other.png"),)))
    assert on_its_way(session).about is None


def undo(session: Session) -> None:
    session.undo(Draft("typed already"))


@pytest.mark.parametrize("act", [Session.retry, undo, Session.resume], ids=["retry", "undo", "resume"])
def test_nothing_is_rewound_while_a_question_is_on_its_way_or_edited(act: Callable[[Session], None]) -> None:
    running, edited, empty = answered("One"), answered("One"), Session()
    running.begin(Draft("Two"))
    edited.edit(0, Draft(""))
    for session in (running, edited, empty):
        before = list(session.rounds), session.pending
        act(session)
        assert (session.rounds, session.pending) == before


def test_only_what_was_cut_off_can_go_on() -> None:
    session = session_with("What is it?")
    last(ask(session, Settings(), replying()))
    session.resume()
    assert session.pending is None


def test_the_next_question_of_a_card_is_offered_until_another_one_is_asked() -> None:
    session = Session(script=("One?", "Two?", "Three?"))
    for question, offered in (("One?", Draft("Two?")), ("Two?", Draft("Three?")), ("Three?", None)):
        session.begin(Draft(question))
        session.keep(result(reasoning="", answer="Yes."))
        assert session.take_returned() == offered
    session.script = ("One?", "Two?")
    session.begin(Draft("Another?"))
    session.keep(result(reasoning="", answer="Yes."))
    assert session.take_returned() is None
    assert not session.script


def test_a_question_that_is_asked_again_leaves_the_card_as_it_is() -> None:
    session = Session(script=("One?", "Two?", "Three?"))
    session.begin(Draft("One?"))
    session.keep(result(reasoning="", answer="Yes."))
    session.retry()
    session.keep(result(reasoning="", answer="Yes."))
    assert session.script == ("Two?", "Three?")
