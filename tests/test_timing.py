"""Stage times, with clocks that the test turns by hand."""

from __future__ import annotations

from typing import Literal

import pytest

from pipelines.clocks import HostClock, Mark
from pipelines.timing import Stopwatch
from pipelines.types import Gaps, Span, Work


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

    def turn(self, host_ms: float, device_ms: float | None = None) -> None:
        self.seconds += host_ms / 1000.0
        self.device.now_ms += host_ms if device_ms is None else device_ms

    def spend(self, work: Work, host_ms: float, device_ms: float | None = None) -> None:
        self.watch.enter(work)
        self.turn(host_ms, device_ms)


def rounded(span: Span) -> tuple[str, float, float, str]:
    return span.stage, round(span.start_ms, 6), round(span.duration_ms, 6), span.clock


def test_a_stage_is_timed_on_the_clock_of_what_does_its_work() -> None:
    """The device is behind the host, which only feeds it: its own clock says where its stages lie."""
    hands = Hands()
    hands.spend(Work("open"), 20)
    hands.spend(Work("vision", 30, medium=1), 1, device_ms=7)
    hands.spend(Work("prefill", 50), 2, device_ms=11)
    hands.turn(15, 0)
    hands.spend(Work("deliver"), 3)
    timing = hands.watch.stop()
    assert [rounded(span) for span in timing.spans] == [
        ("open", 0, 20, "perf_counter"),
        ("vision", 20, 7, "cuda event"),
        ("prefill", 27, 11, "cuda event"),
        ("deliver", 38, 3, "perf_counter"),
    ]
    assert [(span.num_tokens, span.medium) for span in timing.spans] == [(0, None), (30, 1), (50, None), (0, None)]
    assert timing.clock == "cuda event"
    assert timing.other_ms == pytest.approx(0)


def test_tokens_are_told_from_when_the_question_was_asked() -> None:
    hands = Hands()
    hands.turn(5)
    hands.spend(Work("prefill"), 30)
    hands.watch.note_token("think")
    hands.turn(10)
    hands.watch.note_token("answer")
    hands.turn(10)
    hands.watch.note_answer()
    hands.turn(10)
    hands.watch.note_answer()
    timing = hands.watch.stop()
    assert timing.time_to_first_token_ms == pytest.approx(35)
    assert timing.time_to_answer_ms == pytest.approx(55)
    assert timing.total_ms == pytest.approx(65)
    assert timing.other_ms == pytest.approx(5)


def test_time_before_the_stopwatch_began_counts_where_the_question_was_asked_before() -> None:
    hands = Hands()
    watch = Stopwatch(hands.device, HostClock(lambda: hands.seconds), asked=99.5)
    watch.enter(Work("deliver"))
    assert watch.stop().total_ms == pytest.approx(500)


def test_waiting_for_ones_turn_is_queue() -> None:
    hands = Hands()
    watch = Stopwatch(hands.device, HostClock(lambda: hands.seconds), asked=99.0, waited=(99.2, 99.9))
    watch.enter(Work("open"))
    assert [rounded(span)[:3] for span in watch.stop().spans] == [
        ("deliver", 0, 200),
        ("queue", 200, 700),
        ("deliver", 900, 100),
        ("open", 1000, 0),
        ("deliver", 1000, 0),
    ]


def test_a_question_was_asked_when_it_began_to_wait_where_nobody_tells() -> None:
    hands = Hands()
    watch = Stopwatch(hands.device, HostClock(lambda: hands.seconds), waited=(99.2, 99.9))
    assert watch.passed_ms == pytest.approx(800)
    assert watch.stop().stage_ms == pytest.approx({"deliver": 100, "queue": 700})


def test_work_that_is_heard_of_later_began_when_it_says() -> None:
    """A process that is lent a GPU tells at each tick what it did meanwhile."""
    seconds = 100.0
    watch = Stopwatch(HostClock(lambda: seconds))
    seconds = 100.1
    watch.enter(Work("prefill", at_s=100.02))
    watch.enter(Work("decode", num_before=1, at_s=100.05))
    watch.enter(Work("decode", num_before=2, at_s=100.06))
    watch.enter(Work("deliver"))
    assert [rounded(span)[:3] for span in watch.stop().spans] == [
        ("prefill", 20, 30),
        ("answer", 50, 50),
        ("deliver", 100, 0),
    ]


def test_what_is_counted_on_the_way_belongs_to_the_work_that_began_last() -> None:
    hands = Hands()
    hands.spend(Work("frames"), 10)
    hands.watch.note_units(3)
    hands.watch.note_units(4)
    hands.spend(Work("frames"), 10)
    hands.watch.note_units(5)
    hands.spend(Work("send", num_units=700), 1)
    hands.watch.enter(Work("fuse"))
    found = hands.watch.stop().spans
    counted = [(span.stage, span.num_units) for span in found]
    assert counted == [("frames", 9), ("send", 700), ("fuse", 0), ("deliver", 0)]


def test_decode_steps_belong_to_the_stage_of_the_tokens_that_came_of_them() -> None:
    """The first token comes with the prefill, the last step gives none, and one gives two at once."""
    hands = Hands()
    hands.spend(Work("prefill", 9), 4)
    for num_before, num_rows in ((1, 1), (2, 2), (4, 2), (5, 1)):
        hands.spend(Work("decode", num_rows=num_rows, num_before=num_before), 10)
    hands.watch.enter(Work("deliver"))
    for stage in ("think", "think", "think", "think", "answer"):
        hands.watch.note_token(stage)
    spans = hands.watch.stop().spans
    told = [(span.stage, span.num_tokens, span.num_rows, round(span.duration_ms)) for span in spans]
    assert told == [
        ("prefill", 9, 1, 4),
        ("think", 1, 1, 10),
        ("think", 2, 2, 10),
        ("answer", 1, 2, 10),
        ("answer", 0, 1, 10),
        ("deliver", 0, 1, 0),
    ]


def test_steps_that_share_all_are_one_span() -> None:
    hands = Hands()
    for number in range(1, 101):
        hands.spend(Work("decode", num_before=number), 2)
    hands.watch.enter(Work("deliver"))
    for _ in range(101):
        hands.watch.note_token("answer")
    decoded, _ = hands.watch.stop().spans
    assert (decoded.num_tokens, round(decoded.duration_ms)) == (100, 200)


def test_an_engine_that_tells_of_no_steps_is_timed_by_what_arrives() -> None:
    hands = Hands()
    hands.spend(Work("prefill", 9), 30)
    for stage in ("think", "think", "answer"):
        hands.watch.note_token(stage)
        hands.turn(10)
    hands.watch.enter(Work("deliver"))
    spans = hands.watch.stop().spans
    told = [(span.stage, span.num_tokens, round(span.duration_ms)) for span in spans]
    assert told == [("prefill", 9, 30), ("think", 1, 10), ("answer", 1, 20), ("deliver", 0, 0)]
    assert {span.clock for span in spans} == {"perf_counter"}


def test_a_token_that_is_read_late_takes_nothing_from_what_follows() -> None:
    """It came with the prefill, and the engine ended behind it before anybody had read it."""
    hands = Hands()
    hands.spend(Work("prefill", 9), 30)
    hands.watch.enter(Work("deliver"))
    hands.turn(1)
    hands.watch.note_token("answer")
    hands.turn(1)
    hands.watch.enter(Work("deliver"))
    hands.turn(50)
    timing = hands.watch.stop()
    assert {stage: round(spent) for stage, spent in timing.stage_ms.items()} == {"prefill": 30, "deliver": 52}
    assert timing.time_to_first_token_ms == pytest.approx(31)


def test_gaps_between_tokens_hold_the_turns_of_others() -> None:
    hands = Hands()
    for number in range(1, 21):
        hands.spend(Work("decode", num_before=number), 10)
    hands.spend(Work("others"), 90)
    hands.spend(Work("decode", num_before=21), 10)
    hands.watch.enter(Work("deliver"))
    for _ in range(22):
        hands.watch.note_token("answer")
    gaps = hands.watch.stop().gaps
    assert gaps is not None
    assert gaps == Gaps(pytest.approx(10), pytest.approx(10), pytest.approx(100))  # type: ignore[arg-type]


def test_a_request_that_ends_before_its_first_token_has_times_up_to_there() -> None:
    hands = Hands()
    hands.spend(Work("open"), 3)
    hands.spend(Work("vision"), 4, device_ms=400)
    timing = hands.watch.stop()
    hands.watch.enter(Work("prefill"))
    assert timing.time_to_first_token_ms is None
    assert timing.gaps is None
    # where it was cut off, the device's clock was not read
    assert [rounded(span) for span in timing.spans] == [
        ("open", 0, 3, "perf_counter"),
        ("vision", 3, 4, "perf_counter"),
        ("deliver", 7, 0, "perf_counter"),
    ]


class SlowClock(HandClock):
    """A device that is still at work when its clock is read."""

    def __init__(self, hands: Hands) -> None:
        super().__init__()
        self._hands = hands

    def elapsed_ms(self, start: Mark, end: Mark) -> float:
        self._hands.turn(3, 0)
        return super().elapsed_ms(start, end)


def test_reading_the_clocks_is_delivery() -> None:
    """A request that is stopped ends on the host before the device is through with its prompt."""
    hands = Hands()
    slow = SlowClock(hands)
    watch = Stopwatch(slow, HostClock(lambda: hands.seconds))
    hands.turn(1)
    watch.enter(Work("prefill", 50))
    hands.turn(2)
    slow.now_ms += 6
    watch.enter(Work("deliver"))
    timing = watch.stop()
    assert [rounded(span)[:3] for span in timing.spans] == [("prefill", 1, 6), ("deliver", 7, 2)]
    assert timing.total_ms == pytest.approx(9)
    assert timing.other_ms == pytest.approx(1)


def test_a_stage_entered_twice_is_summed() -> None:
    hands = Hands()
    for number in (0, 1):
        hands.spend(Work("open", medium=number), 5)
        hands.spend(Work("frames", medium=number), 7)
    assert hands.watch.stop().stage_ms == pytest.approx({"open": 10, "frames": 14, "deliver": 0})


def told(hands: Hands) -> list[tuple[str, float, int]]:
    timing = hands.watch.stop()
    return [(span.stage, round(span.duration_ms, 6), span.num_tokens) for span in timing.spans if span.duration_ms]


def test_the_first_token_behind_a_look_came_with_its_prompt() -> None:
    """And not with the step before, which ended the call and gave none."""
    hands = Hands()
    hands.spend(Work("prefill", 50), 5)
    for number in (1, 2, 3):
        hands.spend(Work("decode", num_before=number), 10)
    hands.watch.note_token("think")
    for _ in range(2):
        hands.watch.note_token("tool")
    for _ in range(2):
        hands.watch.enter(Work("deliver"))
    hands.spend(Work("look"), 7)
    hands.spend(Work("prefill", 9), 5)
    for number in (4, 5, 6):
        hands.spend(Work("decode", num_before=number), 10)
    for _ in range(2):
        hands.watch.note_token("think")
    hands.watch.note_token("answer")
    hands.watch.enter(Work("deliver"))
    assert told(hands) == [
        ("prefill", 5, 50),
        ("tool", 30, 2),
        ("look", 7, 0),
        ("prefill", 5, 9),
        ("think", 10, 1),
        ("answer", 20, 1),
    ]


@pytest.mark.parametrize("num_delivers", [1, 2])
@pytest.mark.parametrize("is_looking", [False, True])
def test_a_step_that_was_begun_in_vain_is_told_nowhere(num_delivers: int, is_looking: bool) -> None:
    """That of the end was read meanwhile. Who runs the model and who reads the reply both tell that it is delivered."""
    hands = Hands()
    hands.spend(Work("prefill", 50), 5)
    hands.spend(Work("decode", num_before=1), 10)
    hands.spend(Work("decode", num_before=2), 10)
    hands.spend(Work("decode", num_before=3), 1, device_ms=10)
    for _ in range(2):
        hands.watch.note_token("answer")
    for _ in range(num_delivers):
        hands.watch.enter(Work("deliver"))
    hands.turn(20, 0)
    if is_looking:
        hands.spend(Work("look"), 7)
        hands.spend(Work("prefill", 9), 5)
        hands.watch.note_token("answer")
        hands.watch.enter(Work("deliver"))
    found = told(hands)
    assert found[:2] == [("prefill", 5, 50), ("answer", 20, 1)]
    assert [stage for stage, *_ in found[2:]] == ["deliver", *(["look", "prefill"] if is_looking else [])]


def test_a_thought_that_turns_out_to_be_the_answer_is_timed_as_that() -> None:
    hands = Hands()
    hands.spend(Work("prefill", 50), 5)
    for number in (1, 2):
        hands.watch.note_token("think")
        hands.spend(Work("decode", num_before=number), 10)
    hands.watch.note_token("think")
    hands.watch.enter(Work("deliver"))
    hands.watch.settle()
    timing = hands.watch.stop()
    assert {span.stage for span in timing.spans} == {"prefill", "answer", "deliver"}
    assert timing.time_to_answer_ms == timing.time_to_first_token_ms == pytest.approx(5)
