"""The engine's thread goes on, and everybody has a turn, whatever the others ask for and whatever fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from pipelines.engine import LocalEngine, Waiting
from pipelines.engine.placement import choose_placement
from pipelines.models import DEMO_FOLDER
from pipelines.types import UserError, Work
from tests.engine_cases import GREEDY, ignore, inputs_of, kept_busy, oracle, run, until_asked

NUM_ASIDE = 40
BROKEN = "the device is broken"


def test_questions_beside_the_replies_take_turns_with_them(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of three who ask beside has the next piece ready as soon as one is done."""
    done: list[str] = []
    step = engine.scheduler._running.step

    def noted() -> None:
        done.append("step")
        step()

    def beside() -> None:
        for _ in range(NUM_ASIDE):
            engine.scheduler.between(lambda: done.append("aside"))

    monkeypatch.setattr(engine.scheduler._running, "step", noted)
    inputs = inputs_of(engine, "picture")
    expected = oracle(engine, inputs, 80)
    with ThreadPoolExecutor(4) as pool:
        with kept_busy(engine):
            reply = pool.submit(run, engine, inputs)
            until_asked(engine, 1)
            asides = [pool.submit(beside) for _ in range(3)]
        assert reply.result() == expected
        for aside in asides:
            aside.result()
    assert done.count("aside") == 3 * NUM_ASIDE
    assert not any(pair == ("aside", "aside") for pair in pairwise(done))


def test_a_thread_that_cannot_begin_is_told_and_nothing_of_it_is_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, done = LocalEngine.load(DEMO_FOLDER, "demo"), list[str]()
    inputs = inputs_of(engine, "text")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError, match="new thread"):
            run(engine, inputs)
        with pytest.raises(RuntimeError, match="new thread"):
            engine.scheduler.between(lambda: done.append("aside"))
        assert engine.scheduler.num_busy == 0
    assert run(engine, inputs) == oracle(engine, inputs, 80)
    engine.scheduler.wait_idle()
    assert not done


def _no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_an_error_that_stays_is_told_to_all_and_the_next_request_works(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes again as what met it is tidied away."""
    expected = oracle(engine, inputs_of(engine, "clip"), 80)
    is_broken, stack = threading.Event(), engine.scheduler.stack

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def work(*given: Any, **others: Any) -> Any:
            if is_broken.is_set():
                raise RuntimeError(BROKEN)
            return real(*given, **others)

        return work

    def enter(work: Work) -> None:
        if work.num_before == 3:
            is_broken.set()

    def asked(case: str) -> str:
        try:
            list(engine.generate(inputs_of(engine, case), GREEDY, enter, threading.Event()))
        except RuntimeError as error:
            return str(error)
        return ""

    places = [(stack, "decode"), (stack, "prefill"), (stack, "embed"), (stack.slots, "move")]
    with monkeypatch.context() as patched, ThreadPoolExecutor(7) as pool:
        for owner, name in places:
            patched.setattr(owner, name, failing(getattr(owner, name)))
        with kept_busy(engine):
            cases = ("clip", "picture", "two pictures", "text", "odd clip", "clip and picture")
            replies = [pool.submit(asked, case) for case in cases]
            until_asked(engine, len(cases))
        told = [reply.result(30) for reply in replies]
    assert set(told) == {BROKEN}
    assert run(engine, inputs_of(engine, "clip")) == expected
    assert engine.scheduler.num_busy == 0


def test_who_asked_is_told_also_where_making_room_fails(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError(BROKEN)

    def asking_too_much() -> None:
        raise torch.OutOfMemoryError

    expected = oracle(engine, inputs_of(engine, "clip"), 80)
    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr(engine.scheduler, "_make_room", failing)
        with pytest.raises(UserError, match="ran out of memory"):
            pool.submit(engine.scheduler.between, asking_too_much).result(30)
        engine.scheduler.wait_idle()
    assert run(engine, inputs_of(engine, "clip")) == expected


def test_who_asked_is_told_also_where_what_it_used_cannot_be(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError(BROKEN)

    expected = oracle(engine, inputs_of(engine, "clip"), 80)
    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr(engine.scheduler.stack, "embed", failing)
        patched.setattr(engine.scheduler._gauge, "end", failing)
        with pytest.raises(RuntimeError, match=BROKEN):
            pool.submit(run, engine, inputs_of(engine, "picture")).result(30)
        engine.scheduler.wait_idle()
    assert run(engine, inputs_of(engine, "clip")) == expected


def test_the_thread_goes_on_where_memory_cannot_be_given_back(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ended by that, and who asked next waited for it for ever."""

    def failing() -> None:
        raise RuntimeError(BROKEN)

    expected = oracle(engine, inputs_of(engine, "clip"), 80)
    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr("pipelines.engine.scheduler.MAX_IDLE_CAPACITY", 0)
        patched.setattr(engine.scheduler.stack, "release", failing)
        for _ in range(2):
            assert pool.submit(run, engine, inputs_of(engine, "clip")).result(30) == expected
            pool.submit(engine.scheduler.wait_idle).result(30)


def test_who_asks_is_told_where_the_thread_cannot_even_begin_a_turn(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the driver of a GPU has failed: they waited for ever, and so did the end of the program."""

    def failing(*_: object) -> None:
        raise RuntimeError(BROKEN)

    expected = oracle(engine, inputs_of(engine, "clip"), 80)
    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr(torch, "set_flush_denormal", failing)
        for _ in range(2):
            with pytest.raises(RuntimeError, match=BROKEN):
                pool.submit(run, engine, inputs_of(engine, "clip")).result(30)
            with pytest.raises(RuntimeError, match=BROKEN):
                pool.submit(engine.scheduler.between, lambda: None).result(30)
            pool.submit(engine.scheduler.wait_idle).result(30)
    assert run(engine, inputs_of(engine, "clip")) == expected
    assert engine.scheduler.num_busy == 0


@pytest.mark.parametrize("task", ["send", "vision", "prefill", "decode", "others", "deliver"])
def test_a_listener_that_fails_ends_its_own_request_alone(engine: LocalEngine, task: str) -> None:
    def fail(work: Work) -> None:
        if work.task == task:
            raise ValueError(task)

    cases = ("clip", "picture", "text")
    expected = [oracle(engine, inputs_of(engine, case), 80) for case in cases]
    stop = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        with kept_busy(engine):
            replies = [pool.submit(run, engine, inputs_of(engine, case)) for case in cases[:1]]
            until_asked(engine, 1)
            failed = pool.submit(list, engine.generate(inputs_of(engine, "two pictures"), GREEDY, fail, stop))
            until_asked(engine, 2)
            replies += [pool.submit(run, engine, inputs_of(engine, case)) for case in cases[1:]]
            until_asked(engine, 4)
        with pytest.raises(ValueError, match=task):
            failed.result(30)
        assert [reply.result(30) for reply in replies] == expected
    engine.scheduler.wait_idle()
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows


def test_those_who_wait_move_up_where_one_leaves(loaded: LocalEngine) -> None:
    engine = LocalEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER), max_running=1)
    stops = {name: threading.Event() for name in "abc"}
    places: dict[str, list[int]] = {name: [] for name in stops}

    def asked(name: str) -> None:
        short = replace(GREEDY, max_new_tokens=2)
        for step in engine.generate(inputs_of(engine, "text"), short, ignore, stops[name]):
            if isinstance(step, Waiting):
                places[name].append(step.place)

    with ThreadPoolExecutor(3) as pool:
        with kept_busy(engine):
            replies = []
            for number, name in enumerate(stops, 1):
                replies.append(pool.submit(asked, name))
                until_asked(engine, number)
            stops["b"].set()
        for reply in replies:
            reply.result(30)
    assert places == {"a": [], "b": [2], "c": [3, 2, 1]}
    engine.scheduler.close()
