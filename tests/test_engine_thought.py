"""The end of a reasoning: by budget, on request, or because it goes in a circle."""

from __future__ import annotations

import threading
from itertools import cycle, islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import Closed, LocalEngine
from pipelines.engine.sampler import Chosen, paired
from pipelines.engine.thought import LEAST_REPEATED, LoopGuard, Thought
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.types import Delta, Request, Result, Settings, Token
from tests.engine_cases import CASES, GREEDY, ignore

END, CLOSING = frozenset({99}), (10, 99, 11)


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


def circles_at(ids: list[int], texts: list[str] | None = None) -> int | None:
    guard = LoopGuard()
    pairs = zip(ids, texts or [""] * len(ids), strict=True)
    return next((place for place, (token, text) in enumerate(pairs, 1) if guard.feed(token, text)), None)


@pytest.mark.parametrize("period", [1, 2, 7, 30, 64])
def test_the_same_tokens_over_and_over_are_seen(period: int) -> None:
    start = list(range(1000, 1020))
    ids = start + list(islice(cycle(range(period)), 400))
    found = circles_at(ids)
    assert found is not None
    assert (
        len(start) + max(4 * period, LEAST_REPEATED) <= found <= len(start) + max(4 * period, LEAST_REPEATED) + period
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=LEAST_REPEATED))
def test_a_short_text_never_circles(ids: list[int]) -> None:
    assert circles_at(ids) is None


def test_a_numbered_list_is_no_circle() -> None:
    """Lines that differ in a number only, as a model writes that lists what it sees."""
    lines = [f"{number}. red circle ({number * 7},{number * 5})\n" for number in range(1, 60)]
    assert circles_at([ord(letter) for line in lines for letter in line], [x for line in lines for x in line]) is None


def test_the_same_line_again_and_again_is_seen() -> None:
    """Other lines stand between, so that no tokens circle."""
    lines = [line for number in range(10) for line in ("Wait, let me look again.\n", f"There are {number}.\n")]
    assert circles_at(list(range(len(lines))), lines) == 11


def test_why_a_thought_ends_is_told_once() -> None:
    thought = Thought(True, 3, threading.Event(), END, CLOSING)
    assert [thought.after(token, "x") for token in (1, 2, 3, 10, 99, 11, 4)] == [None, None, "budget", *[None] * 4]
    hurry = threading.Event()
    thought = Thought(True, None, hurry, END, CLOSING)
    assert thought.after(1, "x") is None
    hurry.set()
    assert [thought.after(2, "x"), thought.after(10, "x")] == ["asked", None]


def test_a_thought_that_is_over_is_left_alone() -> None:
    hurry = threading.Event()
    hurry.set()
    assert Thought(False, 1, hurry, END, CLOSING).after(1, "x") is None
    thought = Thought(True, 2, threading.Event(), END, CLOSING)
    assert [thought.after(token, "x") for token in (1, 99, 3, 4)] == [None] * 4


@pytest.mark.parametrize(
    ("reply", "forced"),
    [
        pytest.param([1, 2], None, id="within"),
        pytest.param([1, 2, 3], 10, id="at the end"),
        pytest.param([1, 2, 3, 10], 99, id="being closed"),
        pytest.param([1, 2, 3, 10, 99], 11, id="just closed"),
        pytest.param([1, 2, 3, 10, 99, 11], None, id="closed"),
        pytest.param([1, 2, 3, 10, 99, 11, 10], None, id="in the answer"),
        pytest.param([1, 99, 3, 10], None, id="closed by itself"),
        pytest.param([1, 2, 3, 4, 5], 10, id="beyond a budget that was larger"),
        pytest.param([1, 2, 3, 10, 5], 10, id="beyond it, by what looked like its end"),
        pytest.param([1, 2, 3, 10, 99, 5], None, id="closed by itself, beyond it"),
    ],
)
def test_a_thought_that_was_cut_off_goes_on_within_its_budget(reply: list[int], forced: int | None) -> None:
    thought = Thought(True, 3, threading.Event(), END, CLOSING)
    reason = thought.recall(Token(token, "x") for token in reply)
    assert thought.forced == forced
    assert reason == (None if forced is None else "budget")


def test_a_budget_closes_the_reasoning_and_the_answer_begins(engine: LocalEngine, picture: Path) -> None:
    settings = Settings(max_thinking_tokens=6, sampling=GREEDY.sampling)
    *deltas, result = answer(Request("How many objects are there?", (picture,), settings), engine)
    assert isinstance(result, Result)
    assert result.thought_end == "budget"
    assert result.finish_reason == "stop"
    assert result.answer.strip()
    assert "</think>" not in result.answer + result.reasoning
    assert len(engine.checkpoint.encode(result.reasoning)) <= 6
    assert "".join(d.text for d in deltas if isinstance(d, Delta) and d.channel == "answer") == result.answer


def test_answer_now_ends_the_reasoning(engine: LocalEngine) -> None:
    hurry = threading.Event()
    inputs = fuse(*CASES["picture"], engine.checkpoint, True)
    steps = engine.generate(inputs, GREEDY, ignore, threading.Event(), hurry)
    taken = [next(steps)]
    hurry.set()
    taken += list(steps)
    text = "".join(step.text for step in taken if isinstance(step, Token))
    assert Closed("asked") in taken or text.index("</think>") < 400
    assert taken[-1] == "stop"
    assert text.count("</think>") == 1


def test_a_model_that_circles_is_interrupted(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is made to say one line for ever, until the reasoning is closed for it."""
    line = engine.checkpoint.encode("red circle, blue star\n")
    place = iter(range(10_000))
    end = engine.checkpoint.token_id("</think>")
    ends = next(iter(engine.checkpoint.eos_token_ids))
    inputs = fuse(*CASES["text"], engine.checkpoint, True)
    said: list[int] = []

    def circling(*_: object) -> Chosen:
        ids = torch.tensor([ends if end in said else line[next(place) % len(line)]])
        return Chosen(ids, paired(ids, torch.zeros(1)))

    monkeypatch.setattr("pipelines.engine.stack.pick", circling)
    steps = []
    for step in engine.generate(inputs, Settings(max_new_tokens=500), ignore, threading.Event()):
        steps.append(step)
        if isinstance(step, Token):
            said.append(step.id)
    assert Closed("loop") in steps
    assert steps[-1] == "stop"
    assert len(said) < 100
