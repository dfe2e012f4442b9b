"""Every kind of request on the real engine: each stage holds what was spent in it, and all of them are the whole.

The clock is turned by the work itself, each piece by an amount of its own, so that nothing can hide in another stage.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

import pipelines.answering
import pipelines.engine.tower
import pipelines.messages
import pipelines.tools
from pipelines.clocks import HostClock
from pipelines.engine import LocalEngine
from pipelines.engine.placement import choose_placement
from pipelines.media import open_once
from pipelines.models import DEMO_FOLDER
from pipelines.present.figures.rates import DECODING
from pipelines.run import answer
from pipelines.types import Deltas, Progress, Record, Request, Result, Sampling, Settings, UserError
from tests.media_makers import write_clip
from tests.test_engine_timing import Hands
from tests.test_tools import zoom_cases

QUESTION = "How many objects are there?"
SETTINGS = Settings(sampling=Sampling(), max_new_tokens=24)
FRAME_S = 0.007
SLOW_S = {
    "fuse": 0.02, "restore": 0.03, "send": 0.04, "vision": 0.25, "prefill": 0.1, "decode": 0.01, "look": 0.05,
    "deliver": 0.5,
}  # fmt: skip


class Ledger(Hands):
    """A clock that work turns, and what each kind of work has spent."""

    def __init__(self) -> None:
        super().__init__()
        self.spent_ms: dict[str, float] = defaultdict(float)

    def spend(self, task: str, by_s: float) -> None:
        self.seconds += by_s
        self.spent_ms[task] += by_s * 1000

    def dear(self, task: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, which takes its time."""

        def slow(*arguments: Any, **keywords: Any) -> Any:
            self.spend(task, SLOW_S[task])
            return work(*arguments, **keywords)

        return slow

    def opening(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The opening of a file, which takes its time, and each frame of it its own."""

        def slow(path: Path, look: Any, reader: str, on_progress: Any = None, should_stop: Any = None) -> Any:
            def progress(done: int, total: int) -> None:
                if done:
                    self.spend("frames", FRAME_S)
                on_progress(done, total)

            self.spend("open", 0.2)
            return work(path, look, reader, on_progress and progress, should_stop)

        return slow


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def slowed(engine: LocalEngine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> LocalEngine:
    """The engine, and all around it, with each piece of work taking its time."""
    engine.scheduler.wait_idle()
    engine.scheduler.snapshots.clear()
    engine.scheduler.tower.clear()
    monkeypatch.setattr(engine, "clock", HostClock(lambda: ledger.seconds))
    stack, tower = engine.scheduler.stack, engine.model.model.visual.merger
    places: list[tuple[str, object, str]] = [
        ("fuse", pipelines.messages, "inputs_for"),
        ("restore", stack.slots, "copy_in"),
        ("send", pipelines.engine.tower, "cut"),
        ("vision", tower, "forward"),
        ("prefill", stack, "prefill"),
        ("decode", stack, "decode"),
        ("look", pipelines.tools, "follow"),
        ("deliver", pipelines.answering, "parse_grounding"),
    ]
    for task, owner, name in places:
        monkeypatch.setattr(owner, name, ledger.dear(task, getattr(owner, name)))
    monkeypatch.setattr(pipelines.answering, "open_once", ledger.opening(open_once))
    return engine


@pytest.fixture
def engine(loaded: LocalEngine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> LocalEngine:
    return slowed(loaded, ledger, monkeypatch)


def follow(
    engine: LocalEngine, ledger: Ledger, request: Request, *, is_stopped: bool = False
) -> tuple[Record, Result | None, float]:
    """What a request took by its record, what it came to, and what it took by a stopwatch around it, in ms.

    One that `is_stopped` is so at the first piece of its reply.
    """
    records: list[Record] = []
    result, began_s = None, ledger.seconds

    def hear(told: Progress | Record) -> None:
        if isinstance(told, Record):
            records.append(told)

    steps: Deltas = answer(request, engine, stop := threading.Event(), hear)
    try:
        for step in steps:
            result = step if isinstance(step, Result) else result
            if is_stopped:
                stop.set()
    except (UserError, RuntimeError):
        pass
    [record] = records
    return record, result, (ledger.seconds - began_s) * 1000


def check(record: Record, spent_ms: dict[str, float], wall_ms: float) -> None:
    """Each stage is what was spent in it, and their sum is the wall time; nothing is left over."""
    timing = record.timing
    told = {stage: spent for stage, spent in timing.stage_ms.items() if stage not in DECODING and spent > 1e-6}
    decoded = sum(timing.stage_ms.get(stage, 0.0) for stage in DECODING)
    assert told | ({"decode": decoded} if decoded else {}) == pytest.approx(spent_ms)
    assert timing.total_ms == pytest.approx(wall_ms)
    assert sum(span.duration_ms for span in timing.spans) == pytest.approx(wall_ms)


def test_a_picture(engine: LocalEngine, ledger: Ledger, picture: Path) -> None:
    record, _, wall_ms = follow(engine, ledger, Request(QUESTION, (picture,), SETTINGS))
    check(record, ledger.spent_ms, wall_ms)
    assert ledger.spent_ms.keys() == {"open", "fuse", "send", "vision", "prefill", "decode", "deliver"}
    [sent] = [span for span in record.timing.spans if span.stage == "send"]
    assert sent.num_units == 3 * 160 * 192


def test_a_clip_and_a_picture(engine: LocalEngine, ledger: Ledger, tmp_path: Path, picture: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    record, _, wall_ms = follow(engine, ledger, Request(QUESTION, (clip, picture), SETTINGS))
    check(record, ledger.spent_ms, wall_ms)
    [frames] = [span for span in record.timing.spans if span.stage == "frames"]
    assert (frames.medium, frames.num_units) == (0, record.num_frames - 1)
    assert frames.duration_ms == pytest.approx(1000 * FRAME_S * frames.num_units)
    looks = [span for span in record.timing.spans if span.stage == "vision"]
    assert [(look.medium, round(look.duration_ms)) for look in looks] == [(0, 250), (1, 250)]
    assert sum(look.num_tokens for look in looks) == record.tokens.visual


def test_a_look_that_was_closer(engine: LocalEngine, ledger: Ledger, tmp_path: Path) -> None:
    """The memory that it used is the most of both of its turns."""
    settings = Settings(look_closer=True, sampling=Sampling(), max_new_tokens=400)
    for path, question, _ in zoom_cases(tmp_path, 12):
        ledger.spent_ms.clear()
        record, result, wall_ms = follow(engine, ledger, Request(question, (path,), settings, conversation=str(path)))
        check(record, ledger.spent_ms, wall_ms)
        if result is not None and result.looks:
            break
    assert result is not None
    assert record.timing.stage_tokens["tool"] > 0
    assert ledger.spent_ms["look"] == pytest.approx(50 * len(result.looks))
    assert ledger.spent_ms["restore"] > 0
    assert record.usage is not None


def test_a_reply_that_goes_on(engine: LocalEngine, ledger: Ledger, picture: Path) -> None:
    first = Request(QUESTION, (picture,), Settings(sampling=Sampling(), max_new_tokens=4), conversation="a")
    _, cut_off, _ = follow(engine, ledger, first)
    ledger.spent_ms.clear()
    rest = Request(QUESTION, (picture,), SETTINGS, conversation="a", resumed=cut_off)
    record, _, wall_ms = follow(engine, ledger, rest)
    check(record, ledger.spent_ms, wall_ms)
    assert ledger.spent_ms["restore"] == pytest.approx(30)
    assert "vision" not in ledger.spent_ms
    assert cut_off is not None
    assert (record.tokens.text, record.tokens.visual) == (cut_off.tokens.text, cut_off.tokens.visual)
    assert record.tokens.kept == record.tokens.text + record.tokens.visual


def test_the_first_word_of_a_rest_comes_behind_its_first_token(
    engine: LocalEngine, ledger: Ledger, picture: Path
) -> None:
    settings = Settings(thinking=False, sampling=Sampling(), max_new_tokens=4)
    first = Request(QUESTION, (picture,), settings, conversation="a")
    _, cut_off, _ = follow(engine, ledger, first)
    assert cut_off is not None
    assert cut_off.answer.strip()
    record, _, _ = follow(engine, ledger, replace(first, resumed=cut_off))
    first_ms, answer_ms = record.timing.time_to_first_token_ms, record.timing.time_to_answer_ms
    assert first_ms is not None
    assert answer_ms is not None
    assert answer_ms >= first_ms


def test_one_that_is_stopped(engine: LocalEngine, ledger: Ledger, picture: Path) -> None:
    record, result, wall_ms = follow(engine, ledger, Request(QUESTION, (picture,), SETTINGS), is_stopped=True)
    assert record.outcome == "cancelled"
    assert result is not None
    check(record, ledger.spent_ms, wall_ms)


@pytest.mark.parametrize("task", ["vision", "prefill", "decode"])
@pytest.mark.parametrize(
    ("error", "outcome"), [(torch.OutOfMemoryError, "out of memory"), (RuntimeError, "failed")], ids=["memory", "fault"]
)
def test_one_that_fails(
    engine: LocalEngine,
    ledger: Ledger,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    error: type[Exception],
    outcome: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    stack = engine.scheduler.stack
    owner: object = engine.model.model.visual.merger if task == "vision" else stack
    name = "forward" if task == "vision" else task
    monkeypatch.setattr(owner, name, ledger.dear(task, fail))
    record, result, wall_ms = follow(engine, ledger, Request(QUESTION, (picture,), SETTINGS))
    assert (record.outcome, result) == (outcome, None)
    check(record, ledger.spent_ms, wall_ms)
    assert ledger.spent_ms[task] > 0
    assert task not in {span.stage for span in record.timing.spans if span.num_tokens}
    assert record.usage is not None


def test_one_that_waits_behind_another(
    loaded: LocalEngine, ledger: Ledger, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one row. The second comes at the third step of the first, and what is left of that is its queue."""
    alone = LocalEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER), max_running=1)
    engine = slowed(alone, ledger, monkeypatch)
    decode, submit = engine.scheduler.stack.decode, engine.scheduler.submit
    calls, has_begun, may_go_on = count(1), threading.Event(), threading.Event()

    def gated(*arguments: Any) -> Any:
        if next(calls) == 3:
            has_begun.set()
            assert may_go_on.wait(60)
        return decode(*arguments)

    def telling(job: Any) -> None:
        submit(job)
        if has_begun.is_set():
            may_go_on.set()

    monkeypatch.setattr(engine.scheduler.stack, "decode", gated)
    monkeypatch.setattr(engine.scheduler, "submit", telling)
    found: list[tuple[Record, Result | None, float]] = []
    request = Request(QUESTION, (picture,), SETTINGS)
    first = threading.Thread(target=lambda: found.append(follow(engine, ledger, request)))
    first.start()
    assert has_begun.wait(60)
    late, _, _ = follow(engine, ledger, request)
    first.join(60)
    early, _, _ = found[0]
    num_steps = early.tokens.reasoning + early.tokens.answer - (early.outcome == "length")
    queued = [span for span in late.timing.spans if span.stage == "queue"]
    assert sum(span.duration_ms for span in queued) >= 10 * (num_steps - 2) - 1e-6
    assert "queue" not in {span.stage for span in early.timing.spans if span.duration_ms}
    assert "others" not in {*early.timing.stage_ms, *late.timing.stage_ms}
    for record in (early, late):
        assert record.timing.other_ms == pytest.approx(0)
        assert {span.num_rows for span in record.timing.spans} == {1}
