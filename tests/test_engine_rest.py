"""A stop ends work between two layers: of the vision tower, of a prompt, of a question beside the replies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine import LocalEngine
from pipelines.engine.gaze import GazeWatch
from pipelines.run import answer
from pipelines.types import Progress, Record, Request, Stage
from tests.engine_cases import GREEDY, ignore, inputs_of, oracle, run

Layers = list[Callable[..., Any]]


def layers_of(engine: LocalEngine, part: str) -> Layers:
    """Those of the vision tower, or of the text."""
    scheduler = engine.scheduler
    return scheduler.tower._layers._blocks if part == "tower" else scheduler.stack.lean.layers  # type: ignore[return-value]


@pytest.fixture
def stopping(engine: LocalEngine, request: pytest.FixtureRequest) -> Iterator[tuple[threading.Event, list[int]]]:
    """A stop that is set within the second layer of a part, and the layers that ran."""
    stop, ran, layers = threading.Event(), list[int](), layers_of(engine, request.param)
    real = list(layers)

    def noted(number: int) -> Callable[..., Any]:
        def layer(*given: Any) -> Any:
            ran.append(number)
            if number == 1:
                stop.set()
            return real[number](*given)

        return layer

    layers[:] = [noted(number) for number in range(len(real))]
    yield stop, ran
    layers[:] = real


@pytest.mark.parametrize("stopping", ["tower", "text"], indirect=True)
def test_a_stop_ends_a_request_between_two_layers(
    engine: LocalEngine, stopping: tuple[threading.Event, list[int]]
) -> None:
    stop, ran = stopping
    steps = list(engine.generate(inputs_of(engine, "picture"), GREEDY, ignore, stop))
    engine.scheduler.wait_idle()
    assert steps[-1] == "cancelled"
    assert ran == [0, 1]
    assert engine.scheduler.snapshots.num_bytes == 0
    assert run(engine, inputs_of(engine, "picture")) == oracle(engine, inputs_of(engine, "picture"), 80)


def record_of(engine: LocalEngine, picture: Path, stop: threading.Event) -> Record:
    """What a request took that is stopped."""
    told: list[Progress | Record] = []
    list(answer(Request("Describe the picture.", (picture,), GREEDY), engine, stop, told.append))
    (record,) = (one for one in told if isinstance(one, Record))
    assert record.outcome == "cancelled"
    return record


@pytest.mark.parametrize(("stopping", "stage"), [("tower", "vision"), ("text", "prefill")], indirect=["stopping"])
def test_no_token_has_gone_through_what_a_stop_ended(
    engine: LocalEngine, stopping: tuple[threading.Event, list[int]], picture: Path, stage: Stage
) -> None:
    """All of them counted, so that the stage had gone several times as fast as it can."""
    stop, ran = stopping
    timing = record_of(engine, picture, stop).timing
    assert ran == [0, 1]
    assert timing.stage_ms[stage] > 0
    assert timing.stage_tokens[stage] == 0


def test_the_tokens_of_a_piece_that_was_done_before_the_stop_count(
    engine: LocalEngine, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, prefill = threading.Event(), engine.scheduler.stack.prefill

    def stopping(*given: Any, **others: Any) -> Any:
        hidden = prefill(*given, **others)
        stop.set()
        return hidden

    monkeypatch.setattr(engine.scheduler, "chunk_tokens", 16)
    monkeypatch.setattr(engine.scheduler.stack, "prefill", stopping)
    assert record_of(engine, picture, stop).timing.stage_tokens["prefill"] == 16


@pytest.mark.parametrize("stopping", ["tower", "text"], indirect=True)
def test_a_stop_ends_a_question_beside_the_replies_between_two_layers(
    engine: LocalEngine, stopping: tuple[threading.Event, list[int]]
) -> None:
    stop, ran = stopping
    assert engine.score(inputs_of(engine, "picture"), ["yes", "no"], stop) is None
    assert ran == [0, 1]
    assert engine.score(inputs_of(engine, "picture"), ["yes", "no"], threading.Event()) is not None


@pytest.mark.parametrize("stopping", ["tower"], indirect=True)
def test_a_stop_ends_the_search_for_where_it_looked_between_two_layers(
    engine: LocalEngine, stopping: tuple[threading.Event, list[int]]
) -> None:
    stop, ran = stopping
    inputs = inputs_of(engine, "picture").followed_by([1, 2])
    assert engine.gaze(inputs, stop) is None
    assert ran == [0, 1]
    assert engine.gaze(inputs, threading.Event()) is not None


def test_a_stop_ends_the_search_between_two_layers_of_the_reply(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, attend, num_ran = threading.Event(), GazeWatch._attend, 0

    def stopping(*given: Any) -> Any:
        nonlocal num_ran
        num_ran += 1
        stop.set()
        return attend(*given)

    monkeypatch.setattr(GazeWatch, "_attend", stopping)
    inputs = inputs_of(engine, "picture")
    inputs = inputs.followed_by(run(engine, inputs))
    assert engine.gaze(inputs, stop) is None
    assert num_ran == 1
    assert engine.gaze(inputs, threading.Event()) is not None
    assert num_ran > 2
