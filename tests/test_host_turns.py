"""Whose turn it is among the questions of one visitor, and what the end of the server is for all of them."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from pipelines.checkpoint import Checkpoint
from pipelines.conversation import Draft
from pipelines.engine import ScriptedEngine
from pipelines.host import Turns, Visitor
from pipelines.host.turns import ENDING
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.serving.asking import ask_in_turn
from pipelines.serving.session import Session
from pipelines.types import Delta, Deltas, Observe, Request, Result, Settings, UserError
from tests.present_values import result

HOME = Visitor("a", "1.2.3.4")
PATIENCE_S = 20.0


def test_one_question_runs_one_waits_and_a_third_is_refused() -> None:
    turns = Turns(9)
    with turns.place(HOME) as first, turns.place(HOME) as second:
        assert list(turns.wait(first)) == []
        waiting = turns.wait(second)
        next(waiting)
        with pytest.raises(UserError, match="One of your questions runs and one waits"), turns.place(HOME):
            pass
        with turns.place(Visitor("b", HOME.address)) as other:
            assert list(turns.wait(other)) == []
    assert turns.num_questions == 0


def test_the_second_begins_when_the_first_has_ended() -> None:
    turns = Turns(9)
    began = threading.Event()

    def second() -> None:
        with turns.place(HOME) as turn:
            list(turns.wait(turn))
            began.set()

    with turns.place(HOME):
        thread = threading.Thread(target=second)
        thread.start()
        assert not began.is_set()
    assert began.wait(PATIENCE_S)
    thread.join()


def test_what_is_asked_about_an_answer_has_a_share_too() -> None:
    """Up to 32 checks of marks at once stood beside the questions, of one page."""
    turns = Turns(2)
    with turns.place(HOME) as running, turns.beside(HOME):
        assert list(turns.wait(running)) == [], "it takes no turn from the questions"
        for asked in (turns.beside(HOME), turns.beside(Visitor("b", HOME.address))):
            with pytest.raises(UserError, match="as many questions here as it may"), asked:
                pass
        with turns.beside(Visitor("c", "elsewhere")):
            pass
    assert turns.num_questions == 0


def test_one_address_has_a_share() -> None:
    turns = Turns(2)
    with turns.place(Visitor("a", "x")), turns.place(Visitor("b", "x")):
        with (
            pytest.raises(UserError, match="as many questions here as it may"),
            turns.place(Visitor("c", "x")),
        ):
            pass
        with turns.place(Visitor("d", "y")):
            assert turns.num_questions == 3


def talking(_request: Request, stop: threading.Event, _observe: Observe, _hurry: threading.Event) -> Deltas:
    """An answer that goes on until it is stopped."""
    yield Delta("answer", "Well, ")
    if not stop.wait(PATIENCE_S):
        raise AssertionError("nobody stopped it")
    yield result(reasoning="", answer="Well, ", finish_reason="cancelled")


def begun(question: str = "What is it?") -> Session:
    session = Session()
    session.begin(Draft(question))
    return session


def test_the_end_of_the_server_ends_every_stream_with_a_word() -> None:
    turns = Turns(99)
    sessions = [begun() for _ in range(4)]
    last: list[str] = []

    def follow(number: int, session: Session) -> None:
        *_, update = ask_in_turn(session, Settings(), talking, turns, Visitor(str(number), "x"))
        last.append(update.status)

    threads = [threading.Thread(target=follow, args=pair) for pair in enumerate(sessions)]
    for thread in threads:
        thread.start()
    while not all(session.is_running for session in sessions):
        threads[0].join(0.01)
    assert turns.end(PATIENCE_S)
    for thread in threads:
        thread.join()
    assert len(last) == 4
    assert all(ENDING in status for status in last)
    assert all(session.rounds[-1].reply.answer == "Well, " for session in sessions)
    (update,) = ask_in_turn(begun(), Settings(), talking, turns, HOME)
    assert ENDING in update.status


def test_the_end_of_the_server_stops_a_question_that_is_just_taken_on_its_way() -> None:
    turns, session = Turns(9), Session()

    def take() -> None:
        ending.start()
        while not turns.is_ending:
            ending.join(0.01)
        session.begin(Draft("What is it?"))

    ending = threading.Thread(target=turns.end, args=(PATIENCE_S,))
    *_, update = ask_in_turn(session, Settings(), talking, turns, HOME, take)
    ending.join()
    assert ENDING in update.status
    assert session.rounds[-1].reply.answer == "Well, "


def test_a_question_that_is_not_let_begin_goes_back_to_its_author() -> None:
    turns, session = Turns(0), begun("Mine?")
    (update,) = ask_in_turn(session, Settings(), talking, turns, HOME)
    assert "Your address has as many questions here as it may (0)" in update.status
    assert session.returned == Draft("Mine?")


def test_a_question_that_is_stopped_while_it_waits_goes_back_at_once() -> None:
    turns, session = Turns(9), begun("Mine?")
    with turns.place(HOME):
        updates = ask_in_turn(session, Settings(), talking, turns, HOME)
        assert "Waiting for your question before this one" in next(updates).status
        session.stop.set()
        (update,) = updates
    assert "Stopped by you before it began" in update.status
    assert session.returned == Draft("Mine?")
    assert turns.num_questions == 0


def test_a_second_question_is_taken_when_the_first_has_ended() -> None:
    turns, session = Turns(9), begun("First?")
    first = ask_in_turn(session, Settings(), talking, turns, HOME)
    next(first)
    second = ask_in_turn(session, Settings(), at_once, turns, HOME, lambda: session.begin(Draft("Second?")))
    assert "Waiting for your question before this one" in next(second).status
    assert turns.num_questions == 2
    session.stop.set()
    list(first)
    list(second)
    assert [kept.draft.question for kept in session.rounds] == ["First?", "Second?"]
    # it was asked when it came, and not when it was taken
    assert session.sent is not None
    assert session.sent.waited_s is not None
    assert session.sent.asked_s == session.sent.waited_s[0]


def test_a_question_that_need_not_wait_did_not() -> None:
    turns, session = Turns(9), begun("Mine?")
    list(ask_in_turn(session, Settings(), at_once, turns, HOME))
    assert session.sent is not None
    assert session.sent.asked_s is not None
    assert session.sent.waited_s is None


def test_waiting_for_a_turn_is_queue_in_the_times_of_a_request() -> None:
    """From the first question's end on, all is the page's overhead again."""
    turns = Turns(9)
    with ExitStack() as stack:
        stack.enter_context(turns.place(HOME))
        second = stack.enter_context(turns.place(HOME))
        waiting = turns.wait(second)
        next(waiting)
        next(waiting)
        assert second.waited_s is not None
        since_s, until_s = second.waited_s
        assert until_s > since_s
    request = Request("Who?", settings=Settings(thinking=False), asked_s=since_s - 1, waited_s=second.waited_s)
    engine = ScriptedEngine("I do not know.", Checkpoint.open(DEMO_FOLDER))
    *_, last = answer(request, engine)
    assert isinstance(last, Result)
    before, queue, after = last.timing.spans[:3]
    assert (before.stage, queue.stage, after.stage) == ("deliver", "queue", "deliver")
    assert before.duration_ms == pytest.approx(1000)
    assert queue.duration_ms == pytest.approx((until_s - since_s) * 1000)


def at_once(_request: Request, _stop: threading.Event, _observe: Observe, _hurry: threading.Event) -> Deltas:
    """An answer that is there."""
    yield result(reasoning="", answer="Yes.")
