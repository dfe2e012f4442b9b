"""Times as bars: small SVGs of our own, on one axis from asked to done."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from pipelines.present.counted import counted
from pipelines.present.figures.facts import ms, seconds
from pipelines.present.figures.rates import GROUP_OF, GROUPS, NAMES
from pipelines.types import Record, Span, Timing

ROW_PX = 24
MAX_TICKS = 5
LETTER_SHARE, GAP_SHARE = 0.055, 0.02
"""The parts of the narrowest axis that a letter takes, and the least between two labels."""


def whole_ms(record: Record) -> float:
    """The length of the axis: all of the request, and where a device's clock ran ahead, all of its spans."""
    return max([record.timing.total_ms, *(span.end_ms for span in record.timing.spans)]) or 1.0


def ticks(length: float) -> list[float]:
    """Round numbers from above 0 on, at most `MAX_TICKS`, below `length`."""
    step = 10 ** math.floor(math.log10(length / MAX_TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if length / (step * factor) <= MAX_TICKS)
    return [step * number for number in range(1, math.ceil(length / step))]


def axis(length_ms: float) -> str:
    """The scale above the bars: 0, round numbers as far as there is room, and the end."""
    between = "".join(
        f'<text class="gb-wide" x="{_at(tick, length_ms)}" y="12">{_label(tick)}</text>' for tick in _fitting(length_ms)
    )
    return (
        '<svg class="gb-axis" aria-hidden="true" height="16"><text class="gb-first" x="0" y="12">0</text>'
        f'{between}<text class="gb-last" x="100%" y="12">{seconds(length_ms)}</text></svg>'
    )


def _fitting(length_ms: float) -> Iterator[float]:
    """The ticks whose labels touch no other."""
    free = LETTER_SHARE + GAP_SHARE
    end = 1 - LETTER_SHARE * len(seconds(length_ms) or "") - GAP_SHARE
    for tick in ticks(length_ms):
        at, half = tick / length_ms, LETTER_SHARE * len(_label(tick)) / 2
        if free <= at - half and at + half <= end:
            free = at + half + GAP_SHARE
            yield tick


def lane(spans: Iterable[Span], timing: Timing, length_ms: float) -> str:
    """The bars of one row, with the lines of the scale and of the first token behind them."""
    drawn = _lines(timing, length_ms) + bars(spans, length_ms)
    return f'<svg class="gb-bars" aria-hidden="true" height="{ROW_PX}">{drawn}</svg>'


def bars(spans: Iterable[Span], length_ms: float, y: int = 6, height: int = 12) -> str:
    """A bar for each span, which tells what it is where a pointer rests on it."""
    return "".join(
        f'<rect class="gb-in-{GROUP_OF[span.stage]}{" gb-cuda" * (span.clock == "cuda event")}" '
        f'x="{_at(span.start_ms, length_ms)}" y="{y}" width="{_at(span.duration_ms, length_ms)}" height="{height}">'
        f"<title>{escape(told(span))}</title></rect>"
        for span in spans
    )


def whole(record: Record, length_ms: float) -> str:
    """The whole request as one bar."""
    return f'<svg class="gb-whole" aria-hidden="true" height="26">{bars(record.timing.spans, length_ms, 0, 26)}</svg>'


def legend(shares: Sequence[tuple[str, str]], *, is_served: bool) -> str:
    """The colours, each with its name and what there is to say of it.

    When a server sees, nobody tells: of what leads to seeing, only the sending is timed where all `is_served`.
    """
    names = {"seeing": "sending"} if is_served else {}
    items = "".join(
        f'<li class="gb-in-{name}"><span>{names.get(name, name)}</span> {escape(told)}</li>' for name, told in shares
    )
    return f'<ul class="gb-legend" aria-hidden="true">{items}</ul>'


def groups_ms(timing: Timing) -> dict[str, float]:
    """Milliseconds by group, of those that there were; what no stage measured is "other"."""
    spent = timing.stage_ms
    found = {name: sum(spent.get(stage, 0.0) for stage in stages) for name, stages in GROUPS.items()}
    found["other"] = max(timing.other_ms, 0.0)
    return {name: duration for name, duration in found.items() if duration > 0}


def _lines(timing: Timing, length_ms: float) -> str:
    marks: list[tuple[str, float | None]] = [("gb-tick", tick) for tick in ticks(length_ms)]
    marks += [("gb-first-token", timing.time_to_first_token_ms), ("gb-first-word", timing.time_to_answer_ms)]
    return "".join(
        f'<line class="{kind}" x1="{_at(at, length_ms)}" x2="{_at(at, length_ms)}" y1="0" y2="100%"/>'
        for kind, at in marks
        if at is not None
    )


def told(span: Span) -> str:
    """A stretch of a stage in words."""
    tokens = f", {counted(span.num_tokens, 'token')}" if span.num_tokens else ""
    shared = f" in steps shared by {span.num_rows}" if span.num_rows > 1 else ""
    return f"{NAMES[span.stage][0]}: {ms(span.duration_ms)} ms from {ms(span.start_ms)} ms on{tokens}{shared}"


def _label(tick_ms: float) -> str:
    return f"{tick_ms / 1000:g}" if tick_ms >= 1 else f"{tick_ms:g} ms"


def _at(value: float, length: float) -> str:
    return f"{100 * min(value / length, 1.0):.2f}%"
