"""Where the time of a request went: all of it as one bar, a table of its stages with the waterfall in it, its figures.

One thing for all: the bars are small SVGs in a column of a plain table, on one axis from asked to done, so that what is
seen can also be read out.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from pipelines.present.figures.bars import axis, groups_ms, lane, legend, whole, whole_ms
from pipelines.present.figures.facts import CLOCKS_IN_WORDS, NOTHING, Row, figures, headline, ms, number, rows, runs_on
from pipelines.present.figures.limit import Limit, limits
from pipelines.present.figures.rates import reported
from pipelines.present.report import as_json
from pipelines.types import Record, Result, Roofline, Timing

EMPTY = '<div class="gb-waterfall gb-empty"><p>Milliseconds and tokens of each stage appear here.</p></div>'
WIDE = ' class="gb-wide"'
"""What a phone leaves out."""
COLUMNS = (("ms", ""), ("amount", WIDE), ("a second", WIDE), ("clock", ""))


def waterfall_html(
    record: Record, best: Roofline | None = None, result: Result | None = None, others: Sequence[Record] = ()
) -> str:
    """The figures, the table, how far from the limit it was; a `result` can be downloaded.

    `others` are earlier requests: what was kept is told by their rates.
    """
    length_ms = whole_ms(record)
    body = "".join(_row(row, record.timing, length_ms) for row in rows(record))
    head = f'<th scope="col">Stage</th><td>{axis(length_ms)}</td>' + columns(COLUMNS)
    return (
        f'<div class="gb-waterfall">{terms(headline(record), "gb-figures")}'
        f"{whole(record, length_ms)}{legend(_shares(record.timing), is_served=bool(record.engine.server))}"
        f'<table><caption class="gb-spoken">Time by stage</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{''.join(map(_limit, limits(record, best)))}"
        f"{terms(figures(record, others), 'gb-facts')}"
        f'<p class="gb-note">{escape(runs_on(record))} {CLOCKS_IN_WORDS}{_result(result, record)}</p></div>'
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


def _shares(timing: Timing) -> list[tuple[str, str]]:
    total_ms = timing.total_ms or 1.0
    return [(name, f"{ms(spent)} ms, {spent / total_ms:.0%}") for name, spent in groups_ms(timing).items()]


def _result(result: Result | None, record: Record) -> str:
    """What a server says of it, and the file, with the times as they are shown."""
    if result is None:
        return ""
    link = download(
        "glassbox.json", "application/json", as_json(replace(result, timing=record.timing)), "Download as JSON"
    )
    return f"{escape(reported(result))} {link}"


def _row(row: Row, timing: Timing, length_ms: float) -> str:
    aside = f'<span class="gb-aside">{escape(row.aside)}</span>'
    cells = (ms(row.duration_ms), row.amount, row.rate, row.clock)
    return (
        f'<tr><th scope="row" title="{escape(row.meaning)}" class="gb-in-{row.group}">'
        f"{escape(row.name)}{_narrow(row)}</th><td>{aside if row.aside else lane(row.spans, timing, length_ms)}</td>"
        + "".join(f"<td{kind}>{cell}</td>" for cell, (_, kind) in zip(cells, COLUMNS, strict=True))
        + "</tr>"
    )


def _narrow(row: Row) -> str:
    """What a phone, which leaves two columns out, shows below the name."""
    if row.amount == NOTHING:
        return ""
    rate = "" if row.rate == NOTHING else f" · {row.rate}/s"
    return f'<span class="gb-narrow">{escape(row.amount)}{rate}</span>'


def _limit(limit: Limit) -> str:
    share = min(100 * limit.share, 100.0)
    return (
        f'<p class="gb-limit"><span>{limit.name.capitalize()}: {number(limit.rate)} tok/s, {limit.in_words}</span>'
        f'<svg class="gb-gauge" aria-hidden="true" height="8"><rect width="{share:.1f}%" height="8" rx="2"/></svg></p>'
    )
