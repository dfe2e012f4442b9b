"""The times of requests that the real engine answers, on a clock that the test turns by hand.

Nothing but what a test slows down takes any time, so that every millisecond has to be where it was spent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

import pipelines.answering
import pipelines.messages
from pipelines.clocks import HostClock
from pipelines.engine import LocalEngine
from pipelines.present.figures.rates import DECODING
from pipelines.run import answer
from pipelines.types import Progress, Record, Request, Result, Sampling, Settings, Stage, UserError

QUESTION = "How many objects are there?"
SETTINGS = Settings(sampling=Sampling(), max_new_tokens=24)


class Hands:
    """A clock, and work that turns it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def slowed(self, work: Callable[..., Any], by_s: float) -> Callable[..., Any]:
        """The same work, slower by so much."""

        def slow(*arguments: Any, **keywords: Any) -> Any:
            self.seconds += by_s
            return work(*arguments, **keywords)

        return slow


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def engine(loaded: LocalEngine, hands: Hands) -> LocalEngine:
    loaded.clock = HostClock(lambda: hands.seconds)
    loaded.scheduler.wait_idle()
    loaded.scheduler.snapshots.clear()
    loaded.scheduler.tower.clear()
    return loaded


class Heard:
    """A request that was answered to its end, and what was heard of it."""

    def __init__(self, engine: LocalEngine, *files: Path, stop: threading.Event | None = None) -> None:
        self.records: list[Record] = []
        self.result: Result | None = None
        self.error: Exception | None = None
        try:
            for step in answer(Request(QUESTION, files, SETTINGS), engine, stop, self._hear):
                if isinstance(step, Result):
                    self.result = step
                elif stop is not None:
                    stop.set()
        except (UserError, RuntimeError) as error:
            self.error = error

    def _hear(self, told: Progress | Record) -> None:
        if isinstance(told, Record):
            self.records.append(told)

    @property
    def record(self) -> Record:
        (record,) = self.records
        return record


def slow_down(monkeypatch: pytest.MonkeyPatch, engine: LocalEngine, hands: Hands, stage: Stage, by_s: float) -> None:
    """Make what a stage does slower, each time that it does it."""
    places: dict[Stage, tuple[object, str]] = {
        "open": (pipelines.answering, "open_once"),
        "fuse": (pipelines.messages, "inputs_for"),
        "vision": (engine.model.model.visual.merger, "forward"),
        "prefill": (engine.scheduler.stack, "prefill"),
        "think": (engine.scheduler.stack, "decode"),
        "deliver": (pipelines.answering, "parse_grounding"),
    }
    owner, name = places[stage]
    monkeypatch.setattr(owner, name, hands.slowed(getattr(owner, name), by_s))


@pytest.mark.parametrize("stage", ["open", "fuse", "vision", "deliver"])
def test_a_stage_that_is_slower_by_so_much_shows_so_much(
    engine: LocalEngine, hands: Hands, picture: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    slow_down(monkeypatch, engine, hands, stage, 0.25)
    timing = Heard(engine, picture).record.timing
    spent = {name: duration for name, duration in timing.stage_ms.items() if duration}
    assert spent == pytest.approx({stage: 250})
    assert timing.total_ms == pytest.approx(250)
    assert timing.other_ms == pytest.approx(0)


def test_every_piece_of_a_prompt_and_every_step_counts(
    engine: LocalEngine, hands: Hands, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.scheduler, "chunk_tokens", 16)
    slow_down(monkeypatch, engine, hands, "prefill", 0.1)
    slow_down(monkeypatch, engine, hands, "think", 0.01)
    record = Heard(engine, picture).record
    timing, tokens = record.timing, record.tokens
    pieces = [span for span in timing.spans if span.stage == "prefill" and span.num_tokens]
    assert sum(span.num_tokens for span in pieces) == tokens.text + tokens.visual
    assert timing.stage_ms["prefill"] == pytest.approx(100 * len(pieces))
    assert [span.duration_ms for span in pieces] == pytest.approx([100] * len(pieces))
    assert len(pieces) > 2
    assert timing.stage_tokens["think"] == tokens.reasoning - 1
    assert timing.stage_ms["think"] == pytest.approx(10 * (tokens.reasoning - 1))
    assert timing.time_to_first_token_ms is not None
    assert timing.time_to_first_token_ms >= 100 * len(pieces) - 0.1  # the reader may be late
    assert timing.gaps is not None
    assert (timing.gaps.p50_ms, timing.gaps.max_ms) == pytest.approx((10, 10))
    assert timing.other_ms == pytest.approx(0)


def test_requests_that_share_steps_do_not_leak_into_each_other(
    engine: LocalEngine, hands: Hands, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first decodes: its look is its own, and for the first the turn of others."""
    second_picture = tmp_path / "second.png"
    second_picture.write_bytes(picture.read_bytes() + b"\0")  # other content, so that the tower looks again
    slow_down(monkeypatch, engine, hands, "vision", 0.25)
    decode, has_begun, goes_on = engine.scheduler.stack.decode, threading.Event(), threading.Event()
    calls = count(1)

    def gated(*arguments: Any) -> Any:
        if next(calls) == 3:
            has_begun.set()
            goes_on.wait(60)
        hands.seconds += 0.01
        return decode(*arguments)

    monkeypatch.setattr(engine.scheduler.stack, "decode", gated)
    monkeypatch.setattr(
        engine.scheduler,
        "submit",
        _then(engine.scheduler.submit, lambda: goes_on.set() if has_begun.is_set() else None),
    )
    heard: list[Heard] = []
    first = threading.Thread(target=lambda: heard.append(Heard(engine, picture)))
    first.start()
    assert has_begun.wait(60)
    late = Heard(engine, second_picture).record
    first.join(60)
    early = heard[0].record
    assert (early.timing.stage_ms["vision"], late.timing.stage_ms["vision"]) == pytest.approx((250, 250))
    assert early.timing.stage_ms["others"] == pytest.approx(250)
    # a step of the first behind its look and the one piece of its prompt
    assert late.timing.stage_ms["others"] == pytest.approx(20)
    for record in (early, late):
        assert {span.num_rows for span in record.timing.spans if span.stage in DECODING} == {1, 2}
        assert record.timing.other_ms == pytest.approx(0)
        spent_ms = sum(record.timing.stage_ms.get(stage, 0.0) for stage in DECODING)
        num_tokens = record.tokens.reasoning + record.tokens.answer
        num_steps = num_tokens - (record.outcome == "length")  # the first comes without one, and its end with none
        assert spent_ms == pytest.approx(10 * num_steps)


def _then(work: Callable[..., Any], after: Callable[[], object]) -> Callable[..., Any]:
    def both(*arguments: Any) -> Any:
        result = work(*arguments)
        after()
        return result

    return both


def test_a_stopped_request_has_its_times_up_to_there(engine: LocalEngine, picture: Path) -> None:
    heard = Heard(engine, picture, stop=threading.Event())
    assert heard.result is not None
    assert heard.record.outcome == "cancelled"
    assert {"open", "fuse", "vision", "prefill"} <= heard.record.timing.stage_ms.keys()
    assert heard.record.usage is not None


def test_a_request_whose_reader_left_has_its_times_up_to_there(engine: LocalEngine, picture: Path) -> None:
    records: list[Progress | Record] = []
    steps = answer(Request(QUESTION, (picture,), SETTINGS), engine, observe=records.append)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    last = records[-1]
    assert isinstance(last, Record)
    assert last.outcome == "cancelled"
    assert last.timing.stage_ms.keys() >= {"open", "vision", "prefill"}


@pytest.mark.parametrize(
    ("error", "outcome"), [(torch.OutOfMemoryError, "out of memory"), (RuntimeError, "failed")], ids=["memory", "fault"]
)
def test_a_failed_request_has_its_times_up_to_there(
    engine: LocalEngine,
    hands: Hands,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    outcome: str,
) -> None:
    slow_down(monkeypatch, engine, hands, "vision", 0.25)

    def failing(*_: object) -> None:
        hands.seconds += 0.02
        raise error

    monkeypatch.setattr(engine.scheduler.stack, "decode", failing)
    heard = Heard(engine, picture)
    assert heard.error is not None
    assert heard.record.outcome == outcome
    timing = heard.record.timing
    assert timing.stage_ms["vision"] == pytest.approx(250)
    assert timing.stage_ms["think"] == pytest.approx(20)
    assert timing.other_ms == pytest.approx(0)
    assert heard.record.usage is not None


def test_a_refused_request_has_its_times_up_to_there(engine: LocalEngine, tmp_path: Path) -> None:
    heard = Heard(engine, tmp_path / "none.png")
    assert isinstance(heard.error, UserError)
    assert (heard.record.outcome, heard.record.media) == ("refused", ("none.png",))
    assert "open" in heard.record.timing.stage_ms
