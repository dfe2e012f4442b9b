"""Where the time of a request went, for a terminal: the table of the page, with bars of characters."""

from __future__ import annotations

from pipelines.present.figures.bars import whole_ms
from pipelines.present.figures.facts import CLOCKS_IN_WORDS, Row, figures, headline, ms, rows, runs_on
from pipelines.present.figures.limit import limits
from pipelines.types import Record, Roofline, Span

BAR_WIDTH = 28


def timing_text(record: Record, best: Roofline | None = None) -> str:
    """The table, the figures, and what ran."""
    found = rows(record)
    width = max(len(row.name) for row in found)
    total_ms = whole_ms(record)
    axis = f"0{ms(total_ms) + ' ms':>{BAR_WIDTH - 1}}"
    head = f"  {'stage':<{width}}  {axis}  {'ms':>9}{'amount':>11}{'a second':>10}  clock"
    lines = [head, *(_line(row, width, total_ms) for row in found)]
    lines.append(f"  {'Total':<{width}}  {'':<{BAR_WIDTH}}  {ms(record.timing.total_ms):>9}")
    pairs = [*headline(record), *figures(record), *((one.name, one.in_words) for one in limits(record, best))]
    wide = max(len(name) for name, _ in pairs)
    return "\n".join([*lines, "", *(f"  {name:<{wide}}  {value}" for name, value in pairs), "", *_notes(record)])


def _notes(record: Record) -> list[str]:
    return [f"  {runs_on(record)}", f"  {CLOCKS_IN_WORDS}"]


def _line(row: Row, width: int, total_ms: float) -> str:
    cells = f"{ms(row.duration_ms):>9}{row.amount:>11}{row.rate:>10}"
    lane = f"{row.aside:<{BAR_WIDTH}}" if row.aside else _bars(row.spans, total_ms)
    return f"  {row.name:<{width}}  {lane}  {cells}  {row.clock}"


def _bars(spans: tuple[Span, ...], total_ms: float) -> str:
    """A character is full where a span lies in any part of it."""
    is_full = [False] * BAR_WIDTH
    for span in spans:
        first = min(int(span.start_ms / total_ms * BAR_WIDTH), BAR_WIDTH - 1)
        last = min(int(span.end_ms / total_ms * BAR_WIDTH), BAR_WIDTH - 1)
        is_full[first : last + 1] = [True] * (last + 1 - first)
    return "".join("█" if full else "·" for full in is_full)
