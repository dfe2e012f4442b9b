"""Thoughts where a server was asked for none, and thoughts that have to end."""

from __future__ import annotations

import threading

import pytest

from pipelines.engine.remote.engine import RemoteEngine
from pipelines.run import answer
from pipelines.types import Delta, Request, Result, Settings
from tests.dialect_server import HELD, Chunk, Stream, delta, dialect_server, said

INLINE = Stream(said("<thi", "nk>", "\nI look", ".\n", "</think>", "\n\n", "It is", " blue."))
APART = Stream([*(delta({"reasoning_content": word}) for word in ("I", " look.")), *said("It is blue.")])
PLAIN = Stream(said("It is", " blue."))


def asked(engine: RemoteEngine, settings: Settings) -> Result:
    *_, result = answer(Request("What is it?", settings=settings), engine)
    assert isinstance(result, Result)
    return result


@pytest.mark.parametrize("sent", [INLINE, APART], ids=["in the text", "told apart"])
def test_a_thought_that_was_not_asked_for_is_no_answer(sent: Stream) -> None:
    with dialect_server(sent) as server:
        result = asked(RemoteEngine.connect(server.base_url), Settings(thinking=False))
    assert (result.reasoning, result.answer) == ("I look.", "It is blue.")


def test_a_thought_after_a_plain_reply_is_no_answer() -> None:
    with dialect_server(PLAIN, INLINE) as server:
        engine = RemoteEngine.connect(server.base_url)
        replies = [asked(engine, Settings()) for _ in range(3)]
    assert [reply.reasoning for reply in replies] == ["", "I look.", "I look."]
    assert [reply.answer for reply in replies] == ["It is blue."] * 3


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
