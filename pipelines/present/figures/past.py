"""The last requests of a visitor: a plot, and a table of what each took."""

from __future__ import annotations

from html import escape

from pipelines.present.figures.bars import legend
from pipelines.present.figures.facts import NOTHING, OUTCOMES, number, seconds
from pipelines.present.figures.history import History
from pipelines.present.figures.history_file import as_csv_file, as_json_file
from pipelines.present.figures.limit import amount
from pipelines.present.figures.plot import columns_svg
from pipelines.present.figures.rates import GROUPS, decode_rate
from pipelines.present.figures.waterfall import WIDE, columns, download
from pipelines.types import Record

EMPTY = '<div class="gb-past gb-empty"><p>What each request took appears here.</p></div>'
MAX_SHOWN = 12
MAX_WORDS = 60
COLUMNS = (
    ("in all", ""),
    ("first token", ""),
    ("tok/s", ""),
    ("tokens", WIDE),
    ("frames", WIDE),
    ("memory", WIDE),
)


def history_html(history: History) -> str:
    """The last requests, newest first in the table, and the files to download."""
    if not history.records:
        return EMPTY
    shown = history.numbered[-MAX_SHOWN:]
    body = "".join(_row(at, record) for at, record in reversed(shown))
    files = (
        download("glassbox-session.json", "application/json", as_json_file(history.records), "JSON"),
        download("glassbox-session.csv", "text/csv", as_csv_file(history.records), "CSV"),
    )
    is_served = all(record.engine.server for _, record in shown)
    return (
        f'<div class="gb-past">{columns_svg(shown)}'
        f"{legend([(name, '') for name in (*GROUPS, 'other')], is_served=is_served)}"
        '<p class="gb-note" aria-hidden="true">The line across a column is its first token.</p>'
        '<table><caption class="gb-spoken">The last requests, newest first</caption>'
        f'<thead><tr><th scope="col">Request</th>{columns(COLUMNS)}</tr></thead><tbody>{body}</tbody></table>'
        f'<p class="gb-note">All {len(history.records)} as {" or ".join(files)}</p></div>'
    )


def _row(at: int, record: Record) -> str:
    timing, tokens, usage = record.timing, record.tokens, record.usage
    question = escape(short(record.question))
    cells = (
        seconds(timing.total_ms),
        seconds(timing.time_to_first_token_ms) or NOTHING,
        number(decode_rate(record)),
        f"{tokens.text + tokens.visual:,} + {tokens.reasoning + tokens.answer:,}",
        f"{record.num_frames:,}",
        f"{amount(usage.peak_bytes)}B" if usage else NOTHING,
    )
    ended = "" if record.outcome == "stop" else f' <em class="gb-ended">{OUTCOMES[record.outcome]}</em>'
    written = "".join(f"<td{kind}>{cell}</td>" for cell, (_, kind) in zip(cells, COLUMNS, strict=True))
    asked = f'<span translate="no" title="{question}">{at}. {question}</span>'
    return f'<tr><th scope="row">{asked}{ended}</th>{written}</tr>'


def labels(history: History) -> list[tuple[str, int]]:
    """The requests to choose from, newest first: what is shown, and the number."""
    return [(f"{at}. {short(record.question)}", at) for at, record in reversed(history.numbered)]


def newest(history: History) -> tuple[int | None, int | None]:
    """The numbers of the last two requests, the older one first; None where there are not two."""
    last = [at for at, _ in history.numbered[-2:]]
    return (last[0], last[1]) if len(last) == 2 else (None, None)


def short(question: str) -> str:
    """A question in one line, cut where it is long."""
    words = " ".join(question.split())
    return words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 1]}…"
