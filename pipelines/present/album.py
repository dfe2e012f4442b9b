"""A conversation as one HTML file that needs nothing else: reasoning, closer looks, answers, small pictures, times.

Everything in it that a person, a model or a file says is text. No script is in it, and its own policy lets nothing in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from pipelines.conversation import Reply
from pipelines.media import open_once
from pipelines.present.claims import Claimed, marked_frames
from pipelines.present.closer import look_html
from pipelines.present.counted import counted
from pipelines.present.figures.rates import STAGES
from pipelines.present.linked import NOTHING_NAMED, is_empty_list
from pipelines.present.moments import AtTimes
from pipelines.present.overlay import Mark, data_uri, figure
from pipelines.present.status import THOUGHT_ENDS, UNANSWERED
from pipelines.present.tabled import tabled_html
from pipelines.present.timeline import seconds, timeline
from pipelines.types import ProbedClip, UserError

STYLE = Path(__file__).with_name("album.css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PICTURE_PX = 720
FRAME_PX = 320
MAX_FRAMES = 12
Stop = Callable[[], bool]
EMPTY = "There is no conversation to take along yet: ask something first."


def conversation_report(claimed: Sequence[Claimed], folder: Path, should_stop: Stop | None = None) -> list[Path]:
    """Write the report of a conversation.

    Raises UserError where there is none, and Cancelled when `should_stop` says so.
    """
    if not claimed:
        raise UserError(EMPTY)
    path = folder / "conversation.html"
    path.write_text(report_html(claimed, should_stop), encoding="utf-8")
    return [path]


def report_html(claimed: Sequence[Claimed], should_stop: Stop | None = None) -> str:
    """The text of the file. Raises Cancelled when `should_stop` says so."""
    rounds = "".join(_round(number, one, should_stop) for number, one in enumerate(claimed, 1))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Glassbox: a conversation</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><h1>A conversation with Glassbox</h1>{rounds}</body></html>"
    )


def _round(number: int, claimed: Claimed, should_stop: Stop | None) -> str:
    media = "".join(_medium(claimed, medium, should_stop) for medium in claimed.shown)
    return (
        f"<section><h2>{number}. {escape(claimed.round.draft.question)}</h2>{_thoughts(claimed.round.reply)}"
        f"{_answer(claimed)}{media}{_marks(claimed.marks)}{_times(claimed)}"
        "</section>"
    )


def _thoughts(reply: Reply) -> str:
    """Each thought with the closer look behind it, and why the last one ended. What several took is not told."""
    looks = "".join(_thought(look.reasoning) + look_html(look, number) for number, look in enumerate(reply.looks, 1))
    took = "" if reply.looks else f", {seconds(reply.thought_s)}, {counted(reply.num_thought_tokens, 'token')}"
    last = _thought(reply.reasoning, took)
    end = f"<p>{THOUGHT_ENDS[reply.thought_end]}</p>" if last and reply.thought_end else ""
    return f"{looks}{last}{end}"


def _thought(reasoning: str, took: str = "") -> str:
    text = _text(reasoning)
    return f"<details><summary>Thought{took}</summary>{text}</details>" if text else ""


def _answer(claimed: Claimed) -> str:
    """The answer with the data folded away of which a table is below, and how it ended where that is not its end."""
    reply = claimed.round.reply
    shown = tabled_html(reply.answer, claimed.grounding, lambda start, end: _text(reply.answer[start:end]), None)
    nothing = f"<p>{NOTHING_NAMED}</p>" if is_empty_list(reply.answer) else ""
    is_whole = reply.finish_reason != "cancelled" and reply.answer.strip()
    return f"{shown}{nothing}{'' if is_whole else f'<p>{UNANSWERED[reply.finish_reason]}</p>'}"


def _text(text: str) -> str:
    return f"<pre>{escape(text.strip())}</pre>" if text.strip() else ""


def _medium(claimed: Claimed, medium: int, should_stop: Stop | None) -> str:
    probed, marks = claimed.probes[medium], claimed.marks_of(medium)
    if not isinstance(probed, ProbedClip):
        item = open_once(claimed.files[medium], AtTimes(()), should_stop=should_stop)
        return figure(data_uri(item.rgb, PICTURE_PX), (item.width, item.height), marks, item.name, caption=item.name)
    frames = [
        figure(
            data_uri(frame.rgb, FRAME_PX),
            (probed.width, probed.height),
            frame.marks,
            probed.name,
            caption=seconds(frame.time_s),
            classes="gb-frame",
        )
        for frame in marked_frames(claimed, medium, MAX_FRAMES, should_stop)
    ]
    left_out = len(claimed.times_of(medium)) - MAX_FRAMES
    more = f"<p>Times with marks that are not shown: {left_out}</p>" if left_out > 0 else ""
    strip = f'<div class="gb-strip">{"".join(frames)}</div>{more}'
    return f"<h3>{escape(probed.name)}</h3>{strip}{timeline(claimed.events_of(medium), marks, probed.duration_s)}"


def _marks(marks: Sequence[Mark]) -> str:
    rows = "".join(
        f"<tr><td>{mark.number}</td><td>{escape(mark.label)}</td>"
        f"<td>{mark.region.place}</td>"
        f"<td>{'' if mark.region.time_s is None else seconds(mark.region.time_s)}</td></tr>"
        for mark in marks
    )
    head = "<tr><th>Mark</th><th>What</th><th>Where, 0 to 1000</th><th>When</th></tr>"
    return f"<table>{head}{rows}</table>" if marks else ""


def _times(claimed: Claimed) -> str:
    timing = claimed.round.reply.timing
    if timing is None:
        return ""
    told = [f"{stage} {timing.stage_ms[stage]:,.0f} ms" for stage in STAGES if stage in timing.stage_ms]
    return f'<p class="times">{escape(", ".join([*told, f"in all {timing.total_ms:,.0f} ms"]))}</p>'
