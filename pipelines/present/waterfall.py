"""Where the time of a request went: a table of its stages, with the waterfall drawn in it, and its figures.

One thing for all: the bars are small SVGs in a column of a plain table, on one axis from asked to done, so that what is
seen can also be read out.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from pipelines.present.facts import (
    CLOCKS_IN_WORDS,
    Row,
    figures,
    headline,
    ms,
    number,
    rows,
    runs_on,
    seconds,
)
from pipelines.present.limit import Limit, limits
from pipelines.present.rates import reported
from pipelines.present.report import as_json
from pipelines.types import Record, Result, Roofline, Span

EMPTY = '<div class="gb-waterfall gb-empty"><p>Milliseconds and tokens of each stage appear here.</p></div>'
WIDE = ' class="gb-wide"'
"""What a phone leaves out."""
COLUMNS = (("ms", ""), ("tokens", WIDE), ("tok/s", ""), ("clock", ""))


def waterfall_html(record: Record, best: Roofline | None = None, result: Result | None = None) -> str:
    """The figures, the table, how far from the limit it was; a `result` can be downloaded."""
    total_ms = max([record.timing.total_ms, *(span.end_ms for span in record.timing.spans)]) or 1.0
    body = "".join(_row(row, total_ms) for row in rows(record))
    axis = f'<span class="gb-axis"><span>0</span><span>{seconds(total_ms)}</span></span>'
    head = f'<th scope="col">Stage</th><td>{axis}</td>' + columns(COLUMNS)
    return (
        f'<div class="gb-waterfall">{terms(headline(record), "gb-figures")}'
        f'<table><caption class="gb-spoken">Time by stage</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{''.join(map(_limit, limits(record, best)))}"
        f"{terms(figures(record), 'gb-facts')}"
        f'<p class="gb-note">{escape(runs_on(record))} {CLOCKS_IN_WORDS}{_result(result)}</p></div>'
    )


def columns(names: Sequence[tuple[str, str]]) -> str:
    """The heads of columns, each with its class."""
    return "".join(f'<th scope="col"{kind}>{name}</th>' for name, kind in names)


def terms(pairs: list[tuple[str, str]], kind: str) -> str:
    """Names and values as a list of descriptions."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="{kind}">{items}</dl>'


def download(name: str, kind: str, data: str, text: str) -> str:
    """A link to a file that is in the page itself."""
    coded = base64.b64encode(data.encode()).decode()
    return f'<a download="{name}" href="data:{kind};base64,{coded}">{text}</a>'


def _result(result: Result | None) -> str:
    """What a server says of it, and the file."""
    if result is None:
        return ""
    link = download("glassbox.json", "application/json", as_json(result), "Download as JSON")
    return f"{escape(reported(result))} {link}"


def _row(row: Row, total_ms: float) -> str:
    stage = row.spans[0].stage if row.spans else "other"
    bars = "".join(_bar(span, total_ms) for span in row.spans)
    cells = (ms(row.duration_ms), number(row.num_tokens), number(row.rate), row.clock)
    return (
        f'<tr class="gb-{stage}"><th scope="row" title="{row.meaning}">{escape(row.name)}</th>'
        f'<td><svg class="gb-bars" aria-hidden="true" height="14">{bars}</svg></td>'
        + "".join(f"<td{kind}>{cell}</td>" for cell, (_, kind) in zip(cells, COLUMNS, strict=True))
        + "</tr>"
    )


def _bar(span: Span, total_ms: float) -> str:
    start, width = 100 * span.start_ms / total_ms, max(100 * span.duration_ms / total_ms, 0.4)
    kind = ' class="gb-cuda"' if span.clock == "cuda event" else ""
    return f'<rect{kind} x="{min(start, 99.6):.2f}%" y="2" width="{width:.2f}%" height="10" rx="2"/>'


def _limit(limit: Limit) -> str:
    share = min(100 * limit.share, 100.0)
    return (
        f'<p class="gb-limit"><span>{limit.name.capitalize()}: {number(limit.rate)} tok/s, {limit.in_words}</span>'
        f'<svg class="gb-bars" aria-hidden="true" height="8"><rect width="{share:.1f}%" height="8" rx="2"/></svg></p>'
    )
