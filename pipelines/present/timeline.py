"""A clip's time from left to right: a span for every event of the answer, and a track for everything it follows.

A click on it seeks the player, and a drag over it marks the span that the next question is about: see `evidence.js`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipelines.present.moments import exact
from pipelines.present.overlay import Mark
from pipelines.types import Event

MAX_LANES = 40
LANE_PX = 14
LEAST_PERCENT = 0.6


def seconds(time_s: float) -> str:
    """A time as the page writes it."""
    return f"{time_s:.1f} s"


def timeline(events: Sequence[Event], marks: Sequence[Mark], duration_s: float) -> str:
    """The events and the tracks on the length of the clip, and the list of the events."""
    length_s = max([duration_s, *(event.end_s for event in events)]) or 1.0
    spans = [_span_svg(event, length_s, lane) for lane, event in enumerate(events[:MAX_LANES])]
    by_label = list(tracks(marks).values())[: MAX_LANES - len(spans)]
    followed = [_track_svg(track, length_s, len(spans) + lane) for lane, track in enumerate(by_label)]
    height = LANE_PX * max(1, len(spans) + len(followed)) + 4
    return (
        f'<div><svg class="gb-timeline" data-length="{exact(length_s)}" height="{height}"'
        f' role="img" aria-label="{escape(_spoken(events, by_label))}">{"".join(spans)}{"".join(followed)}'
        f'<rect class="gb-chosen" height="100%" width="0"/><line class="gb-playhead" x1="0" x2="0" y2="100%"/></svg>'
        f'<p class="gb-scale" aria-hidden="true"><span>0 s</span><span>{seconds(length_s)}</span></p></div>'
        f"{_list(events)}"
    )


def tracks(marks: Sequence[Mark]) -> dict[str, list[Mark]]:
    """The marks at times by their label, in the order of their times."""
    found: dict[str, list[Mark]] = {}
    for mark in sorted((one for one in marks if one.region.time_s is not None), key=lambda one: one.region.at_s):
        found.setdefault(mark.label, []).append(mark)
    return found


def _span_svg(event: Event, length_s: float, lane: int) -> str:
    width = max(100 * (event.end_s - event.start_s) / length_s, LEAST_PERCENT)
    return (
        f'<rect class="gb-span" data-time="{exact(event.start_s)}" x="{100 * event.start_s / length_s:.2f}%"'
        f' y="{3 + LANE_PX * lane}" width="{width:.2f}%" height="{LANE_PX - 4}" rx="3">'
        f"<title>{escape(event.label)}</title></rect>"
    )


def _track_svg(track: Sequence[Mark], length_s: float, lane: int) -> str:
    """A line from the first place to the last, and a dot for each, in the colour of its mark."""
    places = [(mark, min(100.0, 100 * mark.region.at_s / length_s)) for mark in track]
    y = 3 + LANE_PX * lane + (LANE_PX - 4) / 2
    dots = "".join(
        f'<circle class="gb-mark" data-marks="{mark.number}" data-time="{exact(mark.region.at_s)}"'
        f' cx="{x:.2f}%" cy="{y:g}" r="5" fill="{mark.colours[0]}">'
        f'<title translate="no">{escape(mark.label)}</title></circle>'
        for mark, x in places
    )
    return f'<line class="gb-track" x1="{places[0][1]:.2f}%" x2="{places[-1][1]:.2f}%" y1="{y:g}" y2="{y:g}"/>{dots}'


def _list(events: Sequence[Event]) -> str:
    items = "".join(
        f'<li><button type="button" class="gb-seek" data-time="{exact(event.start_s)}" data-end="{exact(event.end_s)}">'
        f"{seconds(event.start_s)} – {seconds(event.end_s)}</button>"
        f' <span translate="no">{escape(event.label)}</span></li>'
        for event in events
    )
    return f'<ul class="gb-events" aria-label="Events">{items}</ul>' if events else ""


def _spoken(events: Sequence[Event], by_label: Sequence[Sequence[Mark]]) -> str:
    told = [f"{event.label or 'event'} from {seconds(event.start_s)} to {seconds(event.end_s)}" for event in events]
    told += [f"{track[0].label} at {len(track)} times" for track in by_label]
    return "; ".join(told[:MAX_LANES]) or "The time of the clip"
