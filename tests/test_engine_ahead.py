"""A step that is begun before the tokens of the one before it are read, as on a GPU: nobody sees a difference."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipelines.clocks import HostClock
from pipelines.engine import Closed, LocalEngine
from pipelines.fusion import fuse
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.timing import Stopwatch
from pipelines.types import Sampling, Settings, Token, Work
from tests.engine_cases import CASES, GREEDY, ignore, oracle, run

WILD = Sampling(temperature=1.0, top_k=20, top_p=0.95, presence_penalty=1.5, repetition_penalty=1.1)


@pytest.fixture(scope="module")
def plain() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


@pytest.fixture(scope="module")
def ahead() -> LocalEngine:
    engine = LocalEngine.load(DEMO_FOLDER, "demo")
    engine.scheduler._running.runs_ahead = True
    return engine


def prompts(engine: LocalEngine) -> list[ModelInputs]:
    return [fuse(*case, engine.checkpoint, thinking) for case in CASES.values() for thinking in (True, False)]


def at_once(engine: LocalEngine, asked: Sequence[ModelInputs], settings: Settings) -> list[list[int]]:
    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(lambda inputs: run(engine, inputs, settings), asked))


def test_greedy_replies_are_those_of_generate_alone_and_in_a_crowd(ahead: LocalEngine) -> None:
    asked = prompts(ahead)
    expected = [oracle(ahead, inputs, GREEDY.max_new_tokens) for inputs in asked]
    assert [run(ahead, inputs) for inputs in asked] == expected
    assert at_once(ahead, asked, GREEDY) == expected


def test_draws_and_penalties_are_the_same(plain: LocalEngine, ahead: LocalEngine) -> None:
    """Penalties count the token that was fed, though the host does not know it yet."""
    asked = prompts(plain)
    settings = Settings(sampling=WILD, seed=3, max_new_tokens=60)
    expected = [run(plain, inputs, settings) for inputs in asked]
    assert [run(ahead, inputs, settings) for inputs in asked] == expected
    assert len({tuple(reply) for reply in expected}) == len(expected)


@pytest.mark.parametrize("sampling", [Sampling(), WILD], ids=["greedy", "drawn"])
def test_a_closed_reasoning_is_closed_at_the_same_place(
    plain: LocalEngine, ahead: LocalEngine, sampling: Sampling
) -> None:
    """What is forced stands in for what the device chose meanwhile, in the reply and in what is fed."""
    inputs = fuse(*CASES["picture"], plain.checkpoint, True)
    settings = Settings(sampling=sampling, max_thinking_tokens=9, max_new_tokens=60)
    steps = [list(engine.generate(inputs, settings, ignore, threading.Event())) for engine in (plain, ahead)]
    told = [[step for step in part if isinstance(step, Token | Closed)] for part in steps]
    assert Closed("budget") in told[1]
    assert [one.id if isinstance(one, Token) else one for one in told[1]] == [
        one.id if isinstance(one, Token) else one for one in told[0]
    ]


@pytest.mark.parametrize("cut", [1, 2, 7, 30])
def test_a_reply_that_was_cut_off_goes_on_as_if_it_had_not_been(ahead: LocalEngine, cut: int) -> None:
    """Its last token is not fed before it is asked for: the state that is kept ends before it."""
    inputs = replace(fuse(*CASES["picture"], ahead.checkpoint, True), conversation=f"cut at {cut}")
    whole = oracle(ahead, inputs, GREEDY.max_new_tokens)
    assert run(ahead, inputs, replace(GREEDY, max_new_tokens=cut)) == whole[:cut]
    before = ahead.scheduler.stack.num_prefilled
    assert run(ahead, inputs.followed_by(tuple(whole[:cut])), GREEDY)[: len(whole) - cut] == whole[cut:]
    assert ahead.scheduler.stack.num_prefilled == before + 1


@pytest.mark.parametrize("cut", [1, 8, 9, 10, 11, 12, 15])
def test_a_draw_within_a_budget_goes_on_as_if_it_had_not_been_cut_off(
    plain: LocalEngine, ahead: LocalEngine, cut: int
) -> None:
    """Also in the middle of what closes its reasoning."""
    inputs = fuse(*CASES["picture"], plain.checkpoint, True)
    settings = Settings(sampling=WILD, seed=3, max_thinking_tokens=9, max_new_tokens=60)
    whole = run(plain, inputs, settings)
    assert run(ahead, inputs, replace(settings, max_new_tokens=cut)) == whole[:cut]
    rest = replace(settings, max_new_tokens=len(whole) - cut)
    assert run(ahead, inputs.followed_by(whole[:cut]), rest) == whole[cut:]


class DeviceClock(HostClock):
    """Reads as the host's, and is another one."""


def test_a_step_in_vain_is_no_part_of_the_request(ahead: LocalEngine) -> None:
    """The tokens are told once each, and what comes behind a step that gave none begins where that began."""
    inputs = fuse(*CASES["picture"], ahead.checkpoint, True)
    watch, told, begun = Stopwatch(DeviceClock(), HostClock()), 0, list[Work]()

    def enter(work: Work) -> None:
        begun.append(work)
        watch.enter(work)

    for step in ahead.generate(inputs, GREEDY, enter, threading.Event()):
        if isinstance(step, Token):
            watch.note_token("answer")
            told += 1
    timing = watch.stop()
    steps = [number for number, work in enumerate(begun) if work.task == "decode"]
    assert begun[steps[-1]].num_before == told + 1  # behind the step whose token ended the reply
    assert sum(span.num_tokens for span in timing.spans if span.stage == "answer") == told - 1
    decoded, delivered = timing.spans[-2:]
    assert (decoded.stage, delivered.stage) == ("answer", "deliver")
    assert decoded.start_ms + decoded.duration_ms < delivered.start_ms  # here, where nothing goes on meanwhile


def test_a_stopped_reply_leaves_its_neighbours_as_they_are(ahead: LocalEngine) -> None:
    asked = prompts(ahead)[:4]
    expected = [oracle(ahead, inputs, GREEDY.max_new_tokens) for inputs in asked]
    stop = threading.Event()

    def stopped() -> None:
        for number, _ in enumerate(ahead.generate(asked[0], GREEDY, ignore, stop)):
            if number == 5:
                stop.set()

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(run, ahead, inputs, GREEDY) for inputs in asked[1:]]
        pool.submit(stopped).result()
        assert [other.result() for other in others] == expected[1:]
    assert run(ahead, asked[0]) == expected[0]
