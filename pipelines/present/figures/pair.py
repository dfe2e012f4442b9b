"""Two requests side by side: what made one of them slower, in a sentence, as bars on one axis, and line for line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from pipelines.present.figures.bars import whole, whole_ms
from pipelines.present.figures.facts import NOTHING, OUTCOMES, ms, number
from pipelines.present.figures.history import History
from pipelines.present.figures.limit import amount
from pipelines.present.figures.rates import GROUP_OF, NAMES, STAGES, cost, decode_rate, in_digits, stage_rate
from pipelines.types import Record

NO_PAIR = '<p class="gb-note">Choose two requests to see what made one of them slower.</p>'
SMALL_SHARE = 0.1
"""The share of the largest change below which a change is not worth a word."""
MAX_WORDS = 3


@dataclass(frozen=True)
class Measure:
    """Something that both have: its value, None where it was not measured, and how that is written."""

    name: str
    of: Callable[[Record], float | None]
    written: Callable[[float], str] = number


def _gap(which: str) -> Callable[[Record], float | None]:
    return lambda record: getattr(record.timing.gaps, which) if record.timing.gaps else None


def _bytes(value: float) -> str:
    return f"{amount(value)}B"


def _ms(value: float) -> str:
    return f"{ms(value)} ms"


MEASURES = (
    Measure("first token", lambda record: record.timing.time_to_first_token_ms, _ms),
    Measure("first word", lambda record: record.timing.time_to_answer_ms, _ms),
    Measure("tokens a second", decode_rate),
    Measure("thinking, tok/s", lambda record: stage_rate(record, "think")),
    Measure("answering, tok/s", lambda record: stage_rate(record, "answer")),
    Measure("gap, p50", _gap("p50_ms"), _ms),
    Measure("gap, p95", _gap("p95_ms"), _ms),
    Measure("gap, at most", _gap("max_ms"), _ms),
    Measure("frames", lambda record: record.num_frames),
    Measure("prompt tokens", lambda record: record.tokens.text + record.tokens.visual),
    Measure("visual tokens", lambda record: None if record.engine.server else record.tokens.visual),
    Measure("text tokens", lambda record: None if record.engine.server else record.tokens.text),
    Measure("reused tokens", lambda record: record.tokens.kept),
    Measure("thought tokens", lambda record: record.tokens.reasoning),
    Measure("answered tokens", lambda record: record.tokens.answer),
    Measure("memory, peak", lambda record: record.usage.peak_bytes if record.usage else None, _bytes),
    Measure("energy, J", lambda record: record.usage.joules if record.usage else None),
    Measure("cost", cost, in_digits),
)
COUNTS = ("frames", "visual tokens", "thought tokens")
"""What of it explains why something took longer."""


def pair_html(history: History, one: int | None, other: int | None) -> str:
    """Two requests of a history, by their numbers."""
    found = dict(history.numbered)
    if one not in found or other not in found:
        return NO_PAIR
    left, right = found[one], found[other]
    length_ms = max(whole_ms(left), whole_ms(right))
    strips = "".join(
        f'<p class="gb-note" aria-hidden="true">{at}. {_ms(record.timing.total_ms)}</p>{whole(record, length_ms)}'
        for at, record in ((one, left), (other, right))
    )
    return (
        f'<div class="gb-past"><p class="gb-verdict">{escape(difference(left, right, one, other))}</p>{strips}'
        f"{pair_table(left, right, (f'{one}.', f'{other}.'))}</div>"
    )


def pair_table(left: Record, right: Record, names: tuple[str, str]) -> str:
    """Two requests under their names, line for line."""
    head = "<td></td>" + "".join(f'<th scope="col">{escape(name)}</th>' for name in (*names, "difference"))
    body = "".join(_times(left, right)) + "".join(_measures(left, right))
    return (
        '<table class="gb-pair"><caption class="gb-spoken">Two requests side by side</caption>'
        f'<thead><tr>{head}<td class="gb-wide"></td></tr></thead><tbody>{body}</tbody></table>'
    )


def difference(left: Record, right: Record, one: int, other: int) -> str:
    """As `Request 2 took 250 ms longer than request 1: Vision +210 ms, Frames +40 ms. It had 9 frames for 1.`"""
    change = right.timing.total_ms - left.timing.total_ms
    by_stage = {name: after - before for name, (before, after) in _stages(left, right).items()}
    ranked = sorted(by_stage.items(), key=lambda item: -abs(item[1]))
    told = [f"{name} {_signed(by, _ms)}" for name, by in ranked if abs(by) > SMALL_SHARE * abs(ranked[0][1])]
    longer = "longer" if change >= 0 else "less"
    counts = [
        f"{measure.written(after)} {measure.name.removesuffix('s') if after == 1 else measure.name}"
        f" for {measure.written(before)}"
        for measure in MEASURES
        if measure.name in COUNTS
        and (before := measure.of(left)) != (after := measure.of(right))
        and before is not None
        and after is not None
    ]
    why = f": {', '.join(told[:MAX_WORDS])}" if told else ""
    had = f" It had {', '.join(counts)}." if counts else ""
    return f"Request {other} took {_ms(abs(change))} {longer} than request {one}{why}.{had}"


def _stages(left: Record, right: Record) -> Mapping[str, tuple[float, float]]:
    spent = left.timing.stage_ms, right.timing.stage_ms
    return {
        NAMES[stage][0]: (spent[0].get(stage, 0.0), spent[1].get(stage, 0.0))
        for stage in STAGES
        if stage in spent[0] or stage in spent[1]
    }


def _times(left: Record, right: Record) -> list[str]:
    sides = {
        **_stages(left, right),
        "Other": (left.timing.other_ms, right.timing.other_ms),
        "Total": (left.timing.total_ms, right.timing.total_ms),
    }
    longest = max(abs(after - before) for before, after in sides.values()) or 1.0
    groups = {NAMES[stage][0]: GROUP_OF[stage] for stage in STAGES}
    return [
        _line(name, _spent(before), _spent(after), _signed(after - before, _ms), groups.get(name, "other"),
              (after - before) / longest)
        for name, (before, after) in sides.items()
    ]  # fmt: skip


def _measures(left: Record, right: Record) -> list[str]:
    lines = []
    for measure in MEASURES:
        before, after = measure.of(left), measure.of(right)
        if before is None and after is None:
            continue
        one, other = (NOTHING if value is None else measure.written(value) for value in (before, after))
        change = "" if before is None or after is None else _signed(after - before, measure.written)
        lines.append(_line(measure.name, one, other, change))
    if left.outcome != right.outcome:
        lines.append(_line("ended", OUTCOMES[left.outcome], OUTCOMES[right.outcome], ""))
    return lines


def _line(name: str, one: str, other: str, change: str, group: str = "", share: float = 0.0) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (one, other, change))
    kind = f' class="gb-in-{group}"' if group else ""
    return f'<tr><th scope="row"{kind}>{escape(name)}</th>{cells}<td class="gb-wide">{_arrow(share, group)}</td></tr>'


def _arrow(share: float, group: str) -> str:
    """A bar to the right for what the second took longer, to the left for what it saved."""
    if not group:
        return ""
    x, width = 50 + min(50 * share, 0.0), abs(50 * share)
    return (
        f'<svg class="gb-bars" aria-hidden="true" height="14"><line class="gb-tick" x1="50%" x2="50%" y1="0" y2="14"/>'
        f'<rect class="gb-in-{group}" x="{x:.2f}%" y="2" width="{width:.2f}%" height="10"/></svg>'
    )


def _spent(duration_ms: float) -> str:
    return _ms(duration_ms) if duration_ms else NOTHING


def _signed(change: float, written: Callable[[float], str]) -> str:
    return f"{'+' if change >= 0 else '−'}{written(abs(change))}"
