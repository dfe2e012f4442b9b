"""The last requests as columns, each a waterfall set upright: how long it took, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipelines.present.figures.bars import ticks, told, whole_ms
from pipelines.present.figures.rates import GROUP_OF
from pipelines.types import Record, Span

HEIGHT_PX, FLOOR_PX, TOP_PX = 170, 148, 14
LEFT = 12.0
"""The part of the width, in percent, that the scale takes."""
MAX_COLUMN = 9.0
"""Percent of the width."""


def columns_svg(numbered: Sequence[tuple[int, Record]]) -> str:
    """A column for each request, oldest first, from asked at its foot to done; a line is its first token."""
    longest_ms = max(whole_ms(record) for _, record in numbered)
    step = (100 - LEFT) / len(numbered)
    drawn = [_column(at, record, LEFT + step * place, step, longest_ms) for place, (at, record) in enumerate(numbered)]
    lines = "".join(_line(value, longest_ms) for value in (0.0, *ticks(longest_ms)))
    return f'<svg class="gb-plot" aria-hidden="true" height="{HEIGHT_PX}">{lines}{"".join(drawn)}</svg>'


def _column(at: int, record: Record, left: float, step: float, longest_ms: float) -> str:
    width, middle = min(0.62 * step, MAX_COLUMN), left + step / 2
    rects = "".join(
        f'<rect class="gb-in-{GROUP_OF[span.stage]}" x="{middle - width / 2:.2f}%" width="{width:.2f}%" '
        f'y="{_y(span.end_ms, longest_ms):.1f}" height="{_height(span, longest_ms):.1f}">'
        f"<title>{at}. {escape(told(span))}</title></rect>"
        for span in record.timing.spans
    )
    first = record.timing.time_to_first_token_ms
    if first is not None:
        ends = f'x1="{middle - 0.7 * width:.2f}%" x2="{middle + 0.7 * width:.2f}%"'
        y = _y(first, longest_ms)
        rects += f'<line class="gb-first-token" {ends} y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{rects}<text class="gb-under" x="{middle:.2f}%" y="{HEIGHT_PX - 6}">{at}</text>'


def _line(value_ms: float, longest_ms: float) -> str:
    y = _y(value_ms, longest_ms)
    label = f"{value_ms / 1000:g} s" if value_ms else "0"
    line = f'<line class="gb-tick" x1="{LEFT}%" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text x="0" y="{y + 4:.1f}">{label}</text>'


def _height(span: Span, longest_ms: float) -> float:
    return _y(span.start_ms, longest_ms) - _y(span.end_ms, longest_ms)


def _y(value_ms: float, longest_ms: float) -> float:
    return FLOOR_PX - (FLOOR_PX - TOP_PX) * value_ms / longest_ms
