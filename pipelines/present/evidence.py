"""The Evidence pane: what the model saw, with what its answer named drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from pipelines.present.frames import marked_figures, seconds, strip, timeline
from pipelines.present.overlay import Mark, figure
from pipelines.present.sight import seen_html, seen_in_words
from pipelines.types import Clip, Media, Result, Sight

if TYPE_CHECKING:
    from pipelines.present.sight import SeenPixels

EMPTY = (
    '<div class="gb-evidence gb-empty"><p>What the model saw appears here, with the boxes, points and times of its '
    "answer drawn on it.</p></div>"
)


def evidence_html(result: Result, num_new_media: int, seen_pixels: SeenPixels | None = None) -> str:
    """The pane for an answer to a question that came with `num_new_media` files, the last ones of its media.

    `seen_pixels` gives what the model got of a medium; without it that is not shown.
    """
    if not result.media:
        return EMPTY
    marks = [Mark(number, region) for number, region in enumerate(result.grounding.regions, 1)]
    shown = shown_media(result, num_new_media)
    sections = "".join(_medium(index, result, marks, seen_pixels) for index in shown)
    clips = [item for item in result.media if isinstance(item, Clip)]
    events = timeline(result.grounding.events, clips[-1].duration_s if clips else 0.0)
    nothing = (
        "" if marks or result.grounding.events else '<p class="gb-note">The answer names no place and no time.</p>'
    )
    return f'<div class="gb-evidence">{_linked(marks)}{sections}{events}{nothing}</div>'


def shown_media(result: Result, num_new_media: int) -> list[int]:
    """The media worth a look: those of the question, those with a mark, and never none."""
    num_media = len(result.media)
    new = set(range(num_media - num_new_media, num_media))
    marked = {region.media_index for region in result.grounding.regions if region.media_index < num_media}
    return sorted(new | marked) or [num_media - 1]


def _medium(index: int, result: Result, marks: Sequence[Mark], seen_pixels: SeenPixels | None) -> str:
    here = [mark for mark in marks if mark.region.media_index == index]
    item, sight = result.media[index], result.sights[index] if result.sights else None
    body = (
        f"{marked_figures(item, here)}{_legend(here)}{strip(item, here)}"
        if isinstance(item, Clip)
        else f"{figure(item.rgb, here, item.name)}{_legend(here)}"
    )
    seen = seen_html(item, sight, seen_pixels(item, sight)) if sight and seen_pixels else ""
    heading = _heading(item, index, len(result.media), sight)
    return f"<section><h3>{heading}</h3>{body}{seen}</section>"


def _heading(item: Media, index: int, num_media: int, sight: Sight | None) -> str:
    kind = "Clip" if isinstance(item, Clip) else "Picture"
    title = f"{kind} {index + 1}" if num_media > 1 else kind
    facts = [escape(item.name), f"{item.width} × {item.height}", *([seen_in_words(item, sight)] if sight else [])]
    return f"{title} <span>{', '.join(facts)}</span>"


def _legend(marks: Sequence[Mark]) -> str:
    if not marks:
        return ""
    chips = "".join(_chip(mark) for mark in marks)
    return f'<ol class="gb-chips" aria-label="Places that the answer names">{chips}</ol>'


def _linked(marks: Sequence[Mark]) -> str:
    """Styles by which a mark and its chip point to each other: the rest steps back."""
    rules = (
        f".gb-evidence:has(.gb-m{mark.number}:is(:hover,:focus)) .gb-mark:not(.gb-m{mark.number}){{opacity:.15}}"
        f".gb-evidence:has(.gb-m{mark.number}:hover) .gb-chip.gb-m{mark.number}{{border-color:currentColor}}"
        for mark in marks
    )
    return f"<style>{''.join(rules)}</style>" if marks else ""


def _chip(mark: Mark) -> str:
    colour, ink = mark.colours
    when = "" if mark.region.time_s is None else f" <time>{seconds(mark.region.time_s)}</time>"
    return (
        f'<li class="gb-chip gb-m{mark.number}" tabindex="0"><b style="background:{colour};color:{ink}">{mark.number}'
        f"</b> <span>{escape(mark.label)}</span>{when}</li>"
    )
