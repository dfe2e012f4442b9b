"""The Evidence pane: what the model saw, with what its answer named drawn on it.

The pane is plain HTML; `evidence.js` brings it to life. What belongs to a mark carries its number in `data-marks`, what
belongs to a time carries it in `data-time`, and both scripts and styles know no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.present.frames import marked_figures, strip
from pipelines.present.linked import NOTHING_NAMED, clip_times, is_empty_list
from pipelines.present.moments import exact
from pipelines.present.overlay import MAX_MARKS, Mark, data_uri, figure, numbered
from pipelines.present.shelf import Shelf
from pipelines.present.sight import seen_html, seen_in_words
from pipelines.present.timeline import seconds, timeline
from pipelines.types import Clip, Event, Grounding, Media, Picture, Result, Sight

if TYPE_CHECKING:
    from pipelines.present.sight import SeenPixels

EMPTY = (
    '<div class="gb-evidence gb-empty"><p>What the model saw appears here, with the boxes, points and times of its '
    "answer drawn on it.</p></div>"
)

HOW_TO_SEE = "Ask it to find something or to point to it, and its place is drawn."
POINT_HERE = (
    '<p class="gb-note gb-hint">Drag over it to ask about a part. <button type="button" class="gb-mark-part"'
    ' aria-pressed="false">Mark a part</button></p>'
)
"""A finger needs the button, as it scrolls otherwise, and so do keys: a mouse drags, and is not shown it."""


@dataclass(frozen=True)
class Exhibit:
    """What a pane shows of a result, where the result itself is not there any more."""

    media: tuple[Media, ...]
    sights: tuple[Sight, ...]
    grounding: Grounding
    answer: str


@dataclass(frozen=True)
class Given:
    """What a pane is drawn from besides the result.

    The last `num_new_media` media came with the question, which is about the medium `subject`. `files` are those of all
    media, in their order, and `shelf` is where the page finds them; without these, pictures are reduced and lie in the
    page itself, and no clip plays. `seen_pixels` gives what the model got of a medium; without it that is not shown.
    """

    num_new_media: int
    subject: int = 0
    files: tuple[Path, ...] = ()
    shelf: Shelf | None = None
    seen_pixels: SeenPixels | None = None


def evidence_html(result: Result | Exhibit, given: Given) -> str:
    """The pane for an answer."""
    if not result.media:
        return EMPTY
    marks = numbered(result.grounding.regions)
    named = result.grounding.media_indices
    shown = shown_media(len(result.media), given.num_new_media, named, given.subject)
    in_front = given.subject if given.subject in shown else shown[-1]
    first = next((index for index in shown if index in named), in_front)
    tabs = "".join(_tab(index, result.media, index == first) for index in shown) if len(shown) > 1 else ""
    bar = f'<div class="gb-tabs" role="tablist" aria-label="Pictures and clips">{tabs}</div>' if tabs else ""
    sections = "".join(_medium(index, result, marks, given, is_hidden=index != first) for index in shown)
    longest_s = max((item.duration_s for item in result.media), default=0.0)
    is_grounded = marks or result.grounding.events or any(True for _ in clip_times(result.answer, longest_s))
    nothing = f'<p class="gb-note">{NOTHING_NAMED}</p>' if result.answer.strip() and not is_grounded else ""
    if nothing and not is_empty_list(result.answer):  # which answers a question for places
        nothing += f'<p class="gb-note">{HOW_TO_SEE}</p>'
    return f'<div class="gb-evidence">{bar}{sections}{nothing}</div>'


def shown_media(num_media: int, num_new: int, named: Iterable[int], subject: int) -> list[int]:
    """The media worth a look, never none: those of the question and those `named`.

    The `subject` is shown too where the question brought other media, and where nothing is named.
    """
    wanted = {*range(num_media - num_new, num_media), *named}
    if num_new or not wanted:
        wanted.add(subject)
    return [index for index in range(num_media) if index in wanted] or [*range(num_media)][-1:]


def title(index: int, media: Sequence[Media]) -> str:
    """What a medium is called: its kind, and its number among those of its kind, from 1, where there are several."""
    return title_of(index, [isinstance(item, Clip) for item in media])


def title_of(index: int, are_clips: Sequence[bool]) -> str:
    """The same, of media of which only that is known."""
    kind = "Clip" if are_clips[index] else "Picture"
    number = are_clips[: index + 1].count(are_clips[index])
    return f"{kind} {number}" if len(are_clips) > 1 else kind


def _tab(index: int, media: Sequence[Media], is_chosen: bool) -> str:
    state = f'aria-selected="{str(is_chosen).lower()}" tabindex="{0 if is_chosen else -1}"'
    return f'<button type="button" role="tab" data-medium="{index}" {state}>{title(index, media)}</button>'


def _medium(index: int, result: Result | Exhibit, marks: Sequence[Mark], given: Given, *, is_hidden: bool) -> str:
    here = [mark for mark in marks if mark.region.media_index == index]
    drawn, item = here[:MAX_MARKS], result.media[index]
    sight = result.sights[index] if result.sights else None
    legend, events = _legend(drawn, len(here)), result.grounding.events
    body = (
        _clip(index, item, drawn, legend, [one for one in events if one.media_index == index], given, sight)
        if isinstance(item, Clip)
        else f"{_picture(item, drawn, given.shelf)}{legend}"
    )
    seen = seen_html(item, sight, given.seen_pixels(item, sight)) if sight and given.seen_pixels else ""
    heading = _heading(index, result.media, sight)
    hidden = " hidden" if is_hidden else ""
    return f'<section role="tabpanel" data-medium="{index}"{hidden}><h2>{heading}</h2>{body}{seen}</section>'


def _picture(item: Picture, marks: Sequence[Mark], shelf: Shelf | None) -> str:
    source = shelf.put(item.rgb) if shelf else data_uri(item.rgb)
    drawn = figure(source, (item.width, item.height), marks, item.name, classes="gb-figure gb-whole-picture")
    return drawn + POINT_HERE


def _clip(
    index: int,
    item: Clip,
    marks: Sequence[Mark],
    legend: str,
    events: Sequence[Event],
    given: Given,
    sight: Sight | None,
) -> str:
    player = ""
    if given.shelf and index < len(given.files):
        address = escape(given.shelf.address(given.files[index]))
        player = (
            f'<div class="gb-player"><video src="{address}" controls muted playsinline preload="metadata"'
            f' data-lead="{exact(item.lead_s)}" aria-label="{escape(item.name)}"></video>'
            '<p class="gb-note gb-unplayable">This browser cannot play the file. The frames below are what the model'
            " saw.</p></div>"
        )
    scale = timeline(events, marks, item.duration_s)
    figures = marked_figures(item, marks)
    return f"{player}{scale}{POINT_HERE}{figures}{legend}{strip(item, marks, sight.num_frames if sight else None)}"


def _heading(index: int, media: Sequence[Media], sight: Sight | None) -> str:
    item = media[index]
    name = f"<bdi>{escape(item.name)}</bdi>"  # one that runs from right to left turns nothing around it
    facts = [name, f"{item.width} × {item.height}", *([seen_in_words(item, sight)] if sight else [])]
    return f"{title(index, media)} <span>{', '.join(facts)}</span>"


def _legend(marks: Sequence[Mark], num_all: int) -> str:
    if not marks:
        return ""
    more = f'<p class="gb-note">{num_all - len(marks):,} more are not drawn.</p>' if num_all > len(marks) else ""
    chips = "".join(_chip(mark) for mark in marks)
    return f'<ol class="gb-chips" aria-label="Places that the answer names">{chips}</ol>{more}'


def _chip(mark: Mark) -> str:
    colour, ink = mark.colours
    time_s = mark.region.time_s
    when = "" if time_s is None else f" <time>{seconds(time_s)}</time>"
    time = "" if time_s is None else f' data-time="{exact(time_s)}"'
    return (
        f'<li class="gb-chip" data-marks="{mark.number}"><button type="button" class="gb-show"{time}>'
        f'<b style="background:{colour};color:{ink}">{mark.number}</b> <span translate="no">{escape(mark.label)}</span>'
        f'{when}</button><button type="button" class="gb-check" data-check="{mark.number}">Check</button></li>'
    )
