"""Where the time of an answer went: a table of its stages, with the waterfall drawn in it.

One thing for all: the bars are small SVGs in a column of a plain table, so that what is seen can also be read out.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from pipelines.present.rates import STAGES, decode_rate, reported, stage_rate, stage_tokens
from pipelines.present.report import as_json
from pipelines.types import EngineInfo, Result, Span, Stage, Timing

NAMES: Mapping[Stage, tuple[str, str]] = {
    "queue": ("Queue", "waiting for those who came before"),
    "open": ("Open", "reading the files, and decoding pictures"),
    "frames": ("Frames", "decoding the frames of clips"),
    "fuse": ("Fuse", "words and pixels into one prompt"),
    "restore": ("Restore", "bringing back what was kept of the conversation"),
    "send": ("Send", "pixels to the device, cut into patches there"),
    "vision": ("Vision", "the vision tower"),
    "prefill": ("Prefill", "the prompt through the language model, up to the first token"),
    "think": ("Think", "the reasoning, token by token"),
    "tool": ("Tool", "the tool calls, token by token"),
    "answer": ("Answer", "the answer, token by token"),
    "others": ("Others", "the model's turns for other requests"),
    "deliver": ("Deliver", "places read out of the answer, and all of it handed over"),
}
EMPTY = '<div class="gb-waterfall gb-empty"><p>Milliseconds and tokens of each stage appear here.</p></div>'


def waterfall_html(result: Result) -> str:
    """The table, and what it comes to."""
    rows = "".join(_row(stage, result) for stage in STAGES if stage in result.timing.stage_ms)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Stage", "", "ms", "tokens", "tok/s"))
    return (
        f'<div class="gb-waterfall">{_figures(result)}<table><caption class="gb-spoken">Time by stage</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'<p class="gb-note">{escape(_how(result.engine, result.timing))}{escape(reported(result))} '
        f"{_download(result)}</p></div>"
    )


def _row(stage: Stage, result: Result) -> str:
    name, meaning = NAMES[stage]
    spent_ms = result.timing.stage_ms[stage]
    spent = f"{spent_ms:,.0f}" if spent_ms >= 10 else f"{spent_ms:.1f}"
    cells = (spent, _number(stage_tokens(result, stage)), _number(stage_rate(result, stage)))
    return (
        f'<tr class="gb-{stage}"><th scope="row" title="{meaning}">{name}</th><td>{_bars(stage, result.timing)}</td>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _bars(stage: Stage, timing: Timing) -> str:
    spans = [span for span in timing.spans if span.stage == stage]
    total_ms = max([timing.total_ms, *(span.start_ms + span.duration_ms for span in timing.spans)]) or 1.0
    bars = "".join(_bar(span, total_ms) for span in spans)
    return f'<svg class="gb-bars" aria-hidden="true" height="14">{bars}</svg>'


def _bar(span: Span, total_ms: float) -> str:
    start, width = 100 * span.start_ms / total_ms, max(100 * span.duration_ms / total_ms, 0.4)
    return f'<rect x="{min(start, 99.6):.2f}%" y="2" width="{width:.2f}%" height="10" rx="2"/>'


def _figures(result: Result) -> str:
    first_ms = result.timing.time_to_first_token_ms
    figures = {
        "in all": f"{result.timing.total_ms / 1000:.2f} s",
        "to the first token": "–" if first_ms is None else f"{first_ms / 1000:.2f} s",
        "tokens a second": _number(decode_rate(result)),
        "visual tokens": "–" if result.engine.server else f"{result.tokens.visual:,}",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items())
    return f'<dl class="gb-figures">{items}</dl>'


def _download(result: Result) -> str:
    data = base64.b64encode(as_json(result).encode()).decode()
    return f'<a download="glassbox.json" href="data:application/json;base64,{data}">Download as JSON</a>'


def _how(engine: EngineInfo, timing: Timing) -> str:
    clock = "CUDA events" if timing.clock == "cuda event" else "the host's clock"
    if engine.server:
        return f"{engine.model} on {engine.place}; timed from here: Prefill holds the way there and the server's queue."
    return f"{engine.model} on {engine.place}; stages of the model measured by {clock}."


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
