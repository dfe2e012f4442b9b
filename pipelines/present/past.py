"""The last requests of a visitor beside each other: a table with a plot in it, and two of them in detail."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import accumulate

from pipelines.present.facts import NOTHING, OUTCOMES, figures, headline, ms, number, seconds
from pipelines.present.history import History
from pipelines.present.history_file import as_csv_file, as_json_file
from pipelines.present.rates import NAMES, STAGES, decode_rate
from pipelines.present.waterfall import WIDE, columns, download
from pipelines.types import Record, Stage

EMPTY = '<div class="gb-past gb-empty"><p>What each request took appears here.</p></div>'
NO_PAIR = '<p class="gb-note">Choose two requests to see what made one of them slower.</p>'
MAX_SHOWN = 12
MAX_WORDS = 60
GROUPS: Mapping[str, tuple[Stage, ...]] = {
    "waiting": ("queue", "others"),
    "files": ("open", "frames", "fuse"),
    "seeing": ("restore", "send", "vision"),
    "prefill": ("prefill",),
    "thinking": ("think", "tool"),
    "answering": ("answer",),
    "delivering": ("deliver",),
}
"""The stages as a plot shows them; what is left of its bars is "other"."""


def history_html(history: History) -> str:
    """The last requests, newest first, each with a bar on one axis for all, and the files to download."""
    if not history.records:
        return EMPTY
    shown = history.numbered[-MAX_SHOWN:][::-1]
    longest_ms = max(record.timing.total_ms for _, record in shown) or 1.0
    body = "".join(_row(at, record, longest_ms) for at, record in shown)
    axis = f'<span class="gb-axis"><span>0</span><span>{seconds(longest_ms)}</span></span>'
    legend = "".join(f'<li class="gb-in-{name}">{name}</li>' for name in GROUPS)
    files = (
        download("glassbox-session.json", "application/json", as_json_file(history.records), "JSON"),
        download("glassbox-session.csv", "text/csv", as_csv_file(history.records), "CSV"),
    )
    return (
        '<div class="gb-past"><table><caption class="gb-spoken">The last requests, newest first</caption>'
        f'<thead><tr><th scope="col">Request</th><td>{axis}</td>{columns(_COLUMNS)}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
        f'<ul class="gb-legend" aria-hidden="true">{legend}</ul>'
        f'<p class="gb-note">All {len(history.records)} as {" or ".join(files)}</p></div>'
    )


_COLUMNS = (("in all", ""), ("first token", WIDE), ("tok/s", ""), ("tokens", WIDE), ("frames", WIDE), ("ended", ""))


def _row(at: int, record: Record, longest_ms: float) -> str:
    timing, tokens = record.timing, record.tokens
    question = escape(_short(record.question))
    cells = (
        seconds(timing.total_ms),
        seconds(timing.time_to_first_token_ms) or NOTHING,
        number(decode_rate(record)),
        f"{tokens.text + tokens.visual:,} + {tokens.reasoning + tokens.answer:,}",
        f"{record.num_frames:,}",
        OUTCOMES[record.outcome],
    )
    written = "".join(f"<td{kind}>{cell}</td>" for cell, (_, kind) in zip(cells, _COLUMNS, strict=True))
    return (
        f'<tr><th scope="row"><span title="{question}">{at}. {question}</span></th>'
        f"<td>{_plot(record, longest_ms)}</td>{written}</tr>"
    )


def _plot(record: Record, longest_ms: float) -> str:
    """One bar, its parts in the order of the groups."""
    by_stage = record.timing.stage_ms
    parts = {name: sum(by_stage.get(stage, 0.0) for stage in stages) for name, stages in GROUPS.items()}
    starts = accumulate(parts.values(), initial=0.0)
    rects = "".join(
        f'<rect class="gb-in-{name}" x="{100 * start / longest_ms:.2f}%" y="2" '
        f'width="{100 * spent / longest_ms:.2f}%" height="10"/>'
        for (name, spent), start in zip(parts.items(), starts, strict=False)
        if spent > 0
    )
    return f'<svg class="gb-bars" aria-hidden="true" height="14">{rects}</svg>'


def labels(history: History) -> list[tuple[str, int]]:
    """The requests to choose from, newest first: what is shown, and the number."""
    return [(f"{at}. {_short(record.question)}", at) for at, record in reversed(history.numbered)]


def pair_html(history: History, one: int | None, other: int | None) -> str:
    """Two requests side by side, line for line."""
    found = dict(history.numbered)
    if one not in found or other not in found:
        return NO_PAIR
    return '<div class="gb-past">' + pair_table(found[one], found[other], (f"{one}.", f"{other}.")) + "</div>"


def pair_table(left: Record, right: Record, names: tuple[str, str]) -> str:
    """Two requests under their names, line for line."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("", *names, "difference"))
    body = "".join(_times_of(left, right)) + "".join(_figures_of(left, right))
    return (
        '<table class="gb-pair"><caption class="gb-spoken">Two requests side by side</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _times_of(left: Record, right: Record) -> list[str]:
    sides = [{NAMES[stage][0]: spent for stage, spent in record.timing.stage_ms.items()} for record in (left, right)]
    for side, record in zip(sides, (left, right), strict=True):
        side.update({"Other": record.timing.other_ms, "Total": record.timing.total_ms})
    names = [*(NAMES[stage][0] for stage in STAGES), "Other", "Total"]
    lines = []
    for name in names:
        one, other = (side.get(name) for side in sides)
        if one is not None or other is not None:
            lines.append(_line(name, _spent(one), _spent(other), _change(one, other)))
    return lines


def _change(one: float | None, other: float | None) -> str:
    change = (other or 0.0) - (one or 0.0)
    return f"{'+' if change >= 0 else '−'}{_spent(abs(change))}"


def _spent(duration_ms: float | None) -> str:
    return NOTHING if duration_ms is None else f"{ms(duration_ms)} ms"


def _figures_of(left: Record, right: Record) -> list[str]:
    sides = [
        dict([*headline(record)[1:], ("frames", f"{record.num_frames:,}"), *figures(record)])
        for record in (left, right)
    ]
    names = dict.fromkeys([*sides[0], *sides[1]])
    return [_line(name, sides[0].get(name, NOTHING), sides[1].get(name, NOTHING), "") for name in names]


def _line(name: str, one: str, other: str, change: str) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (one, other, change))
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _short(question: str) -> str:
    words = " ".join(question.split())
    return words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 1]}…"
