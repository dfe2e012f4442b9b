"""The page's handlers without the page: a question on its way, its end, and everything that can go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.conversation import Draft, Reply
from pipelines.present.pointing import Pointed
from pipelines.present.status import SERVER_FAULT
from pipelines.serving.asking import Answer, ask
from pipelines.serving.exchange import Exchange, replied
from pipelines.serving.pacing import Pump, tick_s
from pipelines.serving.session import Session
from pipelines.types import Delta, Deltas, Observe, Progress, Request, Settings, UserError
from tests.present_values import result
from tests.serving_values import (
    PATIENCE_S,
    answered,
    failing,
    last,
    questions,
    replying,
    replying_with,
    session_with,
    texts,
    until_stopped,
)


def never(_request: Request, stop: threading.Event, _observe: Observe, _hurry: threading.Event) -> Deltas:
    """An answer that does not begin before it is stopped."""
    stop.wait(PATIENCE_S)
    yield from ()


def test_an_answer_ends_with_the_folded_thought_and_the_text() -> None:
    session = session_with("What is it?")
    update = last(ask(session, Settings(), replying(Delta("reasoning", "Look."), Delta("answer", "A circle."))))
    assert texts(update.chat) == ["What is it?", "Look.", "A circle."]
    assert update.chat[1]["metadata"] == {"title": "Thought", "status": "done", "log": "40 tokens", "duration": 2.0}
    assert "Done · 3.0 s · 40 tokens thought · 10 answered · 20 tok/s" in update.status


def test_the_next_question_builds_on_the_turn_without_its_reasoning() -> None:
    session = session_with("What is it?", Path("a.png"))
    last(ask(session, Settings(), replying()))
    session.begin(Draft("And its colour?"))
    request = session.request(Settings())
    assert [(turn.question, turn.media, turn.answer) for turn in request.history] == [
        ("What is it?", (Path("a.png"),), "A circle.")
    ]
    assert request.files == (Path("a.png"),)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(UserError("That is not a picture: add a PNG."), "That is not a picture: add a PNG.", id="user"),
        pytest.param(RuntimeError("secret path"), SERVER_FAULT, id="server"),
    ],
)
def test_what_fails_gives_the_question_back(error: Exception, sentence: str, caplog: pytest.LogCaptureFixture) -> None:
    session = session_with("What is it?", Path("a.png"))
    update = last(ask(session, Settings(), failing(error)))
    assert sentence in update.status
    assert "secret" not in update.status
    assert update.chat == []
    assert session.returned == Draft("What is it?", (Path("a.png"),))
    assert ("Traceback" in caplog.text) == (sentence == SERVER_FAULT)


@pytest.mark.parametrize("question", ["", "What is it?"], ids=["empty", "refused"])
def test_what_was_pointed_at_stays_where_the_question_about_it_fails(question: str) -> None:
    pointed = Pointed("In this region [100, 100, 200, 200]", (Path("region.png"),), (Path("One.png"),))
    session = answered("One")
    session.pointed = pointed
    session.begin(Draft(question))
    assert session.pointed is None
    last(ask(session, Settings(), failing(UserError("No."))))
    assert (session.take_returned() or Draft(""), session.pointed) == (Draft(question), pointed)
    session.begin(Draft("And now?"))
    last(ask(session, Settings(), replying()))
    assert questions(session)[-1] == "In this region [100, 100, 200, 200]: And now?"
    session.retry()
    last(ask(session, Settings(), failing(UserError("No."))))
    assert session.pointed is None


def test_after_a_failure_the_next_question_is_answered() -> None:
    session = session_with("What is it?")
    last(ask(session, Settings(), failing(UserError("No."))))
    session.begin(Draft("What is it now?"))
    assert texts(last(ask(session, Settings(), replying())).chat)[0] == "What is it now?"


def test_stop_keeps_what_is_there() -> None:
    session = session_with("What is it?")
    updates = ask(session, Settings(), until_stopped)
    shown = next(update for update in updates if "Look." in texts(update.chat))
    assert shown.chat[-1]["metadata"]["status"] == "pending"
    session.stop.set()
    update = last(updates)
    assert texts(update.chat) == ["What is it?", "Look.", "*Stopped by you.*"]
    assert update.chat[1]["metadata"]["status"] == "done"
    assert "Stopped by you" in update.status


def test_a_page_that_is_closed_sets_the_stop() -> None:
    session = session_with("What is it?")
    updates = ask(session, Settings(), until_stopped)
    next(updates)
    stop = session.stop
    assert not stop.is_set()
    updates.close()  # type: ignore[attr-defined]
    assert stop.is_set()


def test_an_answer_that_was_told_stops_no_question_after_it() -> None:
    session = session_with("What is it?")
    updates = ask(session, Settings(), replying())
    while session.pending is not None:
        next(updates)
    session.begin(Draft("And now?"))
    updates.close()  # type: ignore[attr-defined]
    assert not session.stop.is_set()


def left_while(answer: Answer, typed: str = "", *, is_kept: bool = True) -> tuple[Session, Draft | None]:
    """A session that was left while this answers its question, and what then goes into the composer."""
    session = session_with("What is it?", Path("a.png"))
    updates = ask(session, Settings(), answer)
    next(updates)
    follower = threading.Thread(target=list, args=(updates,))
    follower.start()
    left = session.leave(Draft(typed), is_kept=is_kept)
    follower.join()
    return session, left


def test_a_conversation_that_is_left_ends_its_answer_as_stop_does() -> None:
    session, left = left_while(until_stopped)
    assert texts(session.shown()) == ["What is it?", "Look.", "*Stopped by you.*"]
    assert left is None


def test_a_question_that_is_left_without_a_reply_or_not_kept_goes_on() -> None:
    question = Draft("What is it?", (Path("a.png"),))
    assert left_while(never)[1] == question
    assert left_while(until_stopped, is_kept=False)[1] == question
    assert left_while(never, "typed already")[1] == Draft("What is it?\ntyped already", question.files)


def test_what_is_typed_goes_on_from_a_conversation_that_is_left() -> None:
    typed = Draft("typed already", (Path("typed.png"),))
    assert answered("One").leave(typed, is_kept=True) is None  # it stays where it is
    edited = answered("One")
    edited.edit(0, typed)
    assert edited.leave(Draft("One", (Path("elsewhere/One.png"),)), is_kept=True) == typed
    edited.edit(0, Draft(""))
    assert edited.leave(Draft("One again"), is_kept=True) == Draft("typed already\nOne again", typed.files)


def test_what_the_page_offered_does_not_go_on() -> None:
    session = Session(script=("One?", "Two?"))
    session.begin(Draft("One?"))
    session.keep(result(reasoning="", answer="Yes."))
    assert session.leave(Draft("Two?"), is_kept=True) == Draft("")


def test_what_is_discarded_is_not_there_when_its_answer_ends() -> None:
    session = session_with("What is it?")
    updates = ask(session, Settings(), until_stopped)
    next(updates)
    session.discard()
    session.close()
    list(updates)
    assert session.rounds == []


def test_stopped_while_it_waits_gives_the_question_back() -> None:
    session = session_with("What is it?")
    updates = ask(session, Settings(), never)
    assert "Waiting for the model" in next(updates).status
    session.stop.set()
    assert "before it began" in last(updates).status
    assert session.returned == Draft("What is it?")


def test_a_silent_engine_still_gives_heartbeats() -> None:
    updates = ask(session_with("What is it?"), Settings(), until_stopped)
    began_s = time.monotonic()
    for _ in range(4):
        next(updates)
    updates.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began_s < PATIENCE_S


def test_the_producer_runs_at_its_own_speed() -> None:
    """Yielding inside of the generator made the page slow the model down."""
    made = threading.Event()

    def numbers() -> Iterator[int]:
        yield from range(1000)
        made.set()

    pump = Pump[int]()
    pump.start(numbers())
    assert made.wait(PATIENCE_S)
    assert [number for batch in pump.batches(lambda: 0.1) for number in batch] == list(range(1000))


def test_an_error_of_the_producer_comes_after_what_came_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    pump = Pump[int]()
    pump.start(broken())
    batches = pump.batches(lambda: PATIENCE_S)
    assert next(batches) == [1]
    with pytest.raises(ValueError, match="no"):
        next(batches)


def test_what_is_awaited_ends_the_tick() -> None:
    """The first token was told at the end of the tick that it came in."""
    held = threading.Event()

    def numbers() -> Iterator[int]:
        yield from (1, 2)
        held.wait(PATIENCE_S)

    pump = Pump[int]()
    pump.start(numbers())
    assert next(pump.batches(lambda: PATIENCE_S, lambda number: number == 2)) == [1, 2]
    held.set()


def test_the_first_of_a_thought_and_of_an_answer_is_awaited() -> None:
    exchange = Exchange()
    for delta, is_first in (
        (Delta("reasoning", "a"), True),
        (Delta("reasoning", "b"), False),
        (Delta("answer", "c"), True),
        (Delta("answer", "d"), False),
    ):
        assert exchange.is_awaited(delta) == is_first
        exchange.take(delta)
    assert not exchange.is_awaited(Progress("answer", 2))


def test_the_speed_is_of_what_came_since_it_was_told_first() -> None:
    """39 tokens that came at once were told as 259,910 a second."""
    times = iter([0.0, 1.0, 1.5])
    exchange = Exchange(clock=lambda: next(times))
    for done in (1, 39):
        exchange.take(Progress("think", done))
    assert "tok/s" not in exchange.status()
    exchange.take(Progress("think", 49))
    assert " · 49 tokens · 20 tok/s · 1.5 s" in exchange.status()


def test_longer_texts_are_shown_less_often() -> None:
    assert [tick_s(length) for length in (0, 1_999, 2_000, 15_999, 16_000)] == [0.1, 0.1, 0.2, 0.2, 0.35]


def test_an_answer_in_a_long_conversation_is_shown_less_often() -> None:
    assert [tick_s(0, count) for count in (0, 100, 300)] == pytest.approx([0.1, 0.4, 1.0])


def test_the_thought_closes_when_the_answer_begins() -> None:
    times = iter([0.0, 1.0, 3.5])
    exchange = Exchange(clock=lambda: next(times))
    for delta in (Delta("reasoning", "a"), Delta("reasoning", "b"), Delta("answer", "c")):
        exchange.take(delta)
    thought, answer = exchange.messages()
    assert thought["metadata"] == {"title": "Thought", "status": "done", "duration": 2.5}
    assert texts([answer]) == ["c"]


@pytest.mark.parametrize(
    ("finish_reason", "note"), [("length", "*No answer: it was still"), ("stop", "*It ended without")], ids=str
)
def test_a_reply_that_never_got_to_an_answer_says_so(finish_reason: str, note: str) -> None:
    ended = result(answer=" ", finish_reason=finish_reason)  # type: ignore[arg-type]
    assert texts(replied(Reply.of(ended)))[-1].startswith(note)


def test_a_reply_that_was_cut_off_goes_on_in_its_place() -> None:
    session = session_with("What is it?", Path("a.png"))
    cut = result(reasoning="Look.", answer="A red", finish_reason="length")
    asked: list[Request] = []

    def answer(request: Request, _stop: threading.Event, _observe: Observe, _hurry: threading.Event) -> Deltas:
        asked.append(request)
        if request.resumed is not None:
            yield Delta("answer", " circle.")
        yield cut if request.resumed is None else result(reasoning="Look.", answer="A red circle.")

    begun = Settings(max_new_tokens=5, max_pixels=65_536, system="Be brief.")
    first = last(ask(session, begun, answer))
    assert "gb-cut" in first.status
    session.resume()
    *growing, update = ask(session, Settings(max_new_tokens=100, thinking=False, look_closer=True), answer)
    assert texts(update.chat) == ["What is it?", "Look.", "A red circle."]
    assert "gb-cut" not in update.status
    assert all(texts(shown.chat)[:2] == ["What is it?", "Look."] for shown in growing)
    assert [(request.question, request.media, request.history) for request in asked] == [
        ("What is it?", (Path("a.png"),), ())
    ] * 2
    assert asked[1].resumed is not None
    assert asked[1].resumed.answer == "A red"
    assert asked[1].settings == replace(begun, max_new_tokens=100)
    assert asked[0].conversation == asked[1].conversation != ""
    assert [past.reply.answer for past in session.rounds] == ["A red circle."]
    assert [(past.reply.num_thought_tokens, past.reply.thought_s) for past in session.rounds] == [(80, 4.0)]


def test_a_rest_that_fails_leaves_what_was_there() -> None:
    session = session_with("What is it?")
    last(ask(session, Settings(), replying_with(result(reasoning="", answer="A red", finish_reason="length"))))
    session.resume()
    update = last(ask(session, Settings(), failing(UserError("The GPU ran out of memory."))))
    assert texts(update.chat) == ["What is it?", "A red"]
    assert "out of memory" in update.status
    assert "gb-cut" in update.status  # it may go on with less, and there was no button for that
    assert session.returned is None
    assert [past.reply.answer for past in session.rounds] == ["A red"]


def test_every_session_is_another_conversation() -> None:
    """A page gives each visitor a copy of one session."""
    first = Session()
    assert deepcopy(first).name != deepcopy(first).name
