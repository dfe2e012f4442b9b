"""What measuring costs: the steps of requests with and without it in turn, and all of its marks by themselves.

The difference is far below what one request takes more than the next. So it is turned on and off inside of requests,
for a few steps each: on, off, off, on, and the other way round in the next request. Four such blocks, some thirty
milliseconds that see the same machine, give one ratio. What is told is the median of all, with an interval of 95% by
the bootstrap; requests are added until that is narrow enough to tell.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from pipelines.engine import LocalEngine
from pipelines.engine.gauge import Gauge
from pipelines.inputs import ModelInputs
from pipelines.timing import Stopwatch
from pipelines.types import Settings, Stage, Token, Work

BLOCK, SKIPPED = 4, 2
"""Steps of a block; and of a request, the first ones, which grow buffers."""
TURNS = (True, False, False, True), (False, True, True, False)
LEAST, MOST = 200, 6000
"""Ratios."""
NARROW = 0.003
"""Half of the interval, as a share of a step."""
MAX_S = 120.0
RESAMPLES = 1000
MARKS = 5000


@dataclass(frozen=True)
class Cost:
    """How much longer measured steps take, as a share, with the interval that holds it in 95 of 100 such trials."""

    share: float
    low: float
    high: float
    on_ms: float
    off_ms: float
    num_ratios: int

    def __str__(self) -> str:
        return f"{self.share:+.2%} ({self.low:+.2%} to {self.high:+.2%}; {self.num_ratios} ratios of {4 * BLOCK} steps)"


@dataclass(frozen=True)
class Marks:
    """How often a request is marked, its memory looked at, and what each takes of the processor, beside all of it."""

    num_marks: int
    mark_ms: float
    num_looks: int
    look_ms: float
    whole_ms: float

    @property
    def spent_ms(self) -> float:
        """Of the request, all of them."""
        return self.num_marks * self.mark_ms + self.num_looks * self.look_ms


def seconds_of(engine: LocalEngine) -> Callable[[], float]:
    """Of the processor, where that does the model's work: other programs make a step last longer, its work hardly."""
    return time.process_time if engine.clock.name == "perf_counter" else time.perf_counter


def answered(engine: LocalEngine, inputs: ModelInputs, settings: Settings, watch: Stopwatch | None) -> float:
    """Seconds of one request, timed by `watch` or by nobody."""
    seconds = seconds_of(engine)
    enter: Callable[[Work], None] = watch.enter if watch else lambda _work: None
    began_s = seconds()
    for step in engine.generate(inputs, settings, enter, threading.Event()):
        if watch and isinstance(step, Token):
            watch.note_token("answer")
    engine.scheduler.wait_idle()
    return seconds() - began_s


def turned_on_and_off(engine: LocalEngine, inputs: ModelInputs, settings: Settings) -> Cost:
    """What a step takes more where it is measured."""
    answered(engine, inputs, settings, None)
    gc.collect()
    gc.freeze()
    blocks: list[tuple[float, float]] = []
    began_s, number = time.monotonic(), 0
    while len(blocks) < MOST and time.monotonic() - began_s < MAX_S:
        blocks += _blocks(engine, inputs, settings, TURNS[number % 2])
        number += 1
        if number % 20 == 0 and len(blocks) >= LEAST:
            found = _cost(blocks)
            if found.high - found.low < 2 * NARROW:
                break
    return _cost(blocks)


def _blocks(
    engine: LocalEngine, inputs: ModelInputs, settings: Settings, turns: Sequence[bool]
) -> list[tuple[float, float]]:
    """Seconds of the measured and the other steps in each four blocks of one request."""
    watch, seconds, began = Stopwatch(engine.clock), seconds_of(engine), list[float]()

    def is_on(step: int) -> bool:
        return turns[step // BLOCK % 4]

    def enter(work: Work) -> None:
        if work.task == "decode":
            began.append(seconds())
            if is_on(len(began) - 1):
                watch.enter(work)

    num_tokens = 0
    for step in engine.generate(inputs, settings, enter, threading.Event()):
        if isinstance(step, Token):
            if is_on(num_tokens):
                watch.note_token("answer")
            num_tokens += 1
    engine.scheduler.wait_idle()
    lasted = np.diff(began)[SKIPPED:]
    which = np.array([is_on(step) for step in range(SKIPPED, SKIPPED + len(lasted))])
    starts = range(0, len(lasted) - 4 * BLOCK + 1, 4 * BLOCK)
    parts = [slice(start, start + 4 * BLOCK) for start in starts]
    return [(float(lasted[part][which[part]].sum()), float(lasted[part][~which[part]].sum())) for part in parts]


def _cost(blocks: Sequence[tuple[float, float]]) -> Cost:
    on, off = np.array(blocks).T
    ratios = on / off - 1
    drawn = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), [0.025, 0.975])
    middle = [float(np.median(side)) / (2 * BLOCK) * 1000 for side in (on, off)]
    return Cost(float(np.median(ratios)), float(low), float(high), middle[0], middle[1], len(ratios))


def marks_of(engine: LocalEngine, inputs: ModelInputs, settings: Settings) -> Marks:
    """Count what measuring does in a request, and time it by itself."""
    answered(engine, inputs, settings, None)
    watch = _CountedWatch(engine.clock)
    with _counted(engine) as gauge:
        whole_ms = answered(engine, inputs, settings, watch) * 1000
    alone, number = Stopwatch(engine.clock), iter(range(MARKS))

    def mark() -> None:
        alone.enter(Work("decode", num_before=next(number)))
        alone.note_token("answer")

    return Marks(watch.num, _each_ms(mark, MARKS) / 2, gauge.num, _each_ms(gauge.look, MARKS // 10), whole_ms)


def _each_ms(work: Callable[[], object], times: int) -> float:
    began_s = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began_s) / times * 1000


class _CountedWatch(Stopwatch):
    """Counts its marks."""

    num = 0

    def enter(self, work: Work) -> None:
        """Count one."""
        self.num += 1
        super().enter(work)

    def note_token(self, stage: Stage) -> None:
        """Count one."""
        self.num += 1
        super().note_token(stage)


class _CountedGauge(Gauge):
    """Counts its looks."""

    num = 0

    def look(self) -> tuple[int, int]:
        """Count one."""
        self.num += 1
        return super().look()


@contextmanager
def _counted(engine: LocalEngine) -> Iterator[_CountedGauge]:
    scheduler = engine.scheduler
    gauge, counted = scheduler._gauge, _CountedGauge(scheduler.stack.device)
    scheduler._gauge = counted
    try:
        yield counted
    finally:
        scheduler._gauge = gauge
