"""Stage times, with clocks that the test turns by hand."""

from __future__ import annotations

from typing import Literal

import pytest

from pipelines.timing import HostClock, Mark, Stopwatch


class HandClock:
    """A device clock that runs at a pace of its own."""

    name: Literal["cuda event"] = "cuda event"

    def __init__(self) -> None:
        self.now_ms = 0.0

    def mark(self) -> Mark:
        return self.now_ms

    def elapsed_ms(self, start: Mark, end: Mark) -> float:
        return float(end - start)


class Hands:
    """Both clocks of a request, turned together or apart."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.device = HandClock()
        self.watch = Stopwatch(self.device, HostClock(lambda: self.seconds))

    def turn(self, host_ms: float, device_ms: float = 0.0) -> None:
        self.seconds += host_ms / 1000.0
        self.device.now_ms += device_ms


def test_a_stage_is_timed_on_the_clock_of_what_does_its_work() -> None:
    hands = Hands()
    hands.watch.enter("open")
    hands.turn(20)
    hands.watch.enter("vision")
    hands.turn(1, device_ms=7)
    hands.watch.enter("prefill")
    hands.turn(2, device_ms=11)
    timing = hands.watch.stop()
    assert [span.stage for span in timing.spans] == ["open", "vision", "prefill"]
    assert [span.duration_ms for span in timing.spans] == pytest.approx([20, 7, 11])
    assert [span.start_ms for span in timing.spans] == pytest.approx([0, 20, 21])
    assert timing.clock == "cuda event"


def test_the_first_token_is_told_from_when_the_question_was_asked() -> None:
    hands = Hands()
    hands.turn(5)
    hands.watch.enter("think")
    hands.turn(30)
    hands.watch.note_token()
    hands.turn(30)
    hands.watch.note_token()
    timing = hands.watch.stop()
    assert timing.time_to_first_token_ms == pytest.approx(35)
    assert timing.total_ms == pytest.approx(65)


def test_a_request_that_ends_before_its_first_token_has_times_up_to_there() -> None:
    hands = Hands()
    hands.watch.enter("open")
    hands.turn(3)
    timing = hands.watch.stop()
    assert timing.time_to_first_token_ms is None
    (span,) = timing.spans
    assert span.stage == "open"
    assert span.duration_ms == pytest.approx(3)


def test_a_stage_entered_twice_is_summed() -> None:
    hands = Hands()
    for stage, device_ms in (("think", 5), ("answer", 7), ("think", 11)):
        hands.watch.enter(stage)  # type: ignore[arg-type]
        hands.turn(1, device_ms)
    assert hands.watch.stop().stage_ms == pytest.approx({"think": 16, "answer": 7})
