"""Thoughts where a server was asked for none, and thoughts that have to end."""

from __future__ import annotations

import threading

import pytest

from pipelines.engine.remote.engine import RemoteEngine
from pipelines.run import answer
from pipelines.types import Delta, Request, Result, Settings
from tests.dialect_server import HELD, Chunk, Stream, delta, dialect_server, said, usage

INLINE = Stream(said("<thi", "nk>", "\nI look", ".\n", "</think>", "\n\n", "It is", " blue."))
APART = Stream([*(delta({"reasoning_content": word}) for word in ("I", " look.")), *said("It is blue.")])
UNOPENED = Stream(said("I look", ".\n", "</thi", "nk>\n\n", "It is", " blue."))
PLAIN = Stream(said("It is", " blue."))


def asked(engine: RemoteEngine, settings: Settings) -> Result:
    *_, result = answer(Request("What is it?", settings=settings), engine)
    assert isinstance(result, Result)
    return result


@pytest.mark.parametrize("sent", [INLINE, APART, UNOPENED], ids=["in the text", "told apart", "never opened"])
def test_a_thought_that_was_not_asked_for_is_no_answer(sent: Stream) -> None:
    with dialect_server(sent) as server:
        result = asked(RemoteEngine.connect(server.base_url), Settings(thinking=False))
    assert (result.reasoning, result.answer) == ("I look.", "It is blue.")


def test_a_thought_of_white_space_is_none() -> None:
    """transformers' server sends one where it was asked for none: `1 tokens thought` stood below the answer."""
    sent = Stream([delta({"reasoning_content": "\n\n"}), *said("It is", " blue."), usage(10, 4)])
    with dialect_server(sent) as server:
        result = asked(RemoteEngine.connect(server.base_url), Settings(thinking=False))
    assert (result.reasoning, result.answer) == ("", "It is blue.")
    assert (result.tokens.reasoning, result.tokens.answer) == (0, 4)
    assert result.timing.stage_tokens.get("think", 0) == 0


@pytest.mark.parametrize("sent", [INLINE, UNOPENED], ids=["opened", "never opened"])
def test_a_thought_after_a_plain_reply_is_no_answer(sent: Stream) -> None:
    with dialect_server(PLAIN, sent) as server:
        engine = RemoteEngine.connect(server.base_url)
        replies = [asked(engine, Settings()) for _ in range(3)]
    assert [reply.reasoning for reply in replies] == ["", "I look.", "I look."]
    assert [reply.answer for reply in replies] == ["It is blue."] * 3


def test_a_thought_that_was_never_opened_is_counted_as_one() -> None:
    """It was shown as the answer, and what it named was drawn."""
    first = delta({"content": 'I see [{"bbox_2d": [1, 2, 30, 40]}].\n'})
    whole = Stream([first, *said("</think>\n\n", "It is", " blue.")])
    with dialect_server(whole) as server:
        result = asked(RemoteEngine.connect(server.base_url), Settings(thinking=False))
    assert (result.answer, result.grounding.regions) == ("It is blue.", ())
    assert (result.tokens.reasoning, result.tokens.answer) == (2, 2)
    answered_ms, began_ms = result.timing.time_to_answer_ms, result.timing.time_to_first_token_ms
    assert answered_ms is not None
    assert began_ms is not None
    assert answered_ms > began_ms


@pytest.mark.parametrize(
    "words",
    [
        "The tag </think> ends it.",
        "It is blue.\n</think>",
        "Write <b>\n<think>\n</think>\nbefore it.",
        "So:\n```\n</think>\n```\nends it.",
    ],
    ids=["in a sentence", "at the end", "opened in the answer", "in code"],
)
def test_an_answer_may_tell_of_a_tag(words: str) -> None:
    with dialect_server(Stream(said(words))) as server:
        result = asked(RemoteEngine.connect(server.base_url), Settings(thinking=False))
    assert (result.reasoning, result.tokens.reasoning) == ("", 0)


def test_an_answer_that_is_called_a_thought_is_one() -> None:
    """A server whose parser waits for a `</think>` calls a reply without one a thought: nothing was answered."""
    called = Stream([*(delta({"reasoning_content": word}) for word in ("It is", " blue.")), delta({}, "stop")])
    with dialect_server(called) as server:
        engine = RemoteEngine.connect(server.base_url)
        replies = [asked(engine, Settings(thinking=thinking)) for thinking in (False, True)]
    assert [(reply.reasoning, reply.answer) for reply in replies] == [("", "It is blue."), ("It is blue.", "")]


@pytest.mark.parametrize(("sent", "budget"), [(INLINE, 3), (APART, 1)], ids=["in the text", "told apart"])
def test_a_server_that_thinks_on_begins_a_new_line(sent: Stream, budget: int) -> None:
    """The tag of its second thought stood in the answer, or that thought was glued to the first."""
    with dialect_server(sent) as server:
        engine = RemoteEngine.connect(server.base_url)
        *deltas, result = answer(Request("What is it?", settings=Settings(max_thinking_tokens=budget)), engine)
    assert isinstance(result, Result)
    assert (result.reasoning.split("\n", 1)[1].strip(), result.answer) == ("I look.", "It is blue.")
    written = [step.text for step in deltas if isinstance(step, Delta) and step.channel == "reasoning"]
    assert "".join(written) == result.reasoning


def test_an_answer_wanted_now_comes_while_the_server_is_quiet() -> None:
    hurry = threading.Event()
    quiet: list[Chunk | bytes] = [delta({"reasoning_content": "I look."}), HELD]
    with dialect_server(Stream(quiet), PLAIN) as server:
        engine = RemoteEngine.connect(server.base_url)
        steps = answer(Request("What is it?"), engine, hurry=hurry)
        next(steps)
        hurry.set()
        *_, result = steps
        assert server.left.wait(20)
    assert isinstance(result, Result)
    assert (result.reasoning, result.answer, result.thought_end) == ("I look.", "It is blue.", "asked")
