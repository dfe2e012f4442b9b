"""The frames that were sampled from a clip, with their times, what was found on them, and the events of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipelines.present.overlay import Mark, figure
from pipelines.types import Clip, Event

MAX_THUMBNAILS = 32
MAX_LARGE = 4
THUMBNAIL_PX = 320
LARGE_PX = 960


def seconds(time_s: float) -> str:
    """A time as the page writes it."""
    return f"{time_s:.1f} s"


def nearest_frame(clip: Clip, time_s: float | None) -> int:
    """The sampled frame next to a time; the first one for a place without a time."""
    if time_s is None:
        return 0
    return min(range(len(clip.times_s)), key=lambda frame: abs(clip.times_s[frame] - time_s))


def marks_by_frame(clip: Clip, marks: Sequence[Mark]) -> dict[int, list[Mark]]:
    """The marks on the frame nearest to the time of each, in the order of the frames."""
    found: dict[int, list[Mark]] = {}
    for mark in marks:
        found.setdefault(nearest_frame(clip, mark.region.time_s), []).append(mark)
    return dict(sorted(found.items()))


def chosen_frames(num_frames: int, marked: Sequence[int], limit: int = MAX_THUMBNAILS) -> list[int]:
    """Which frames to show: all up to `limit`, else `limit` evenly spread ones and those with marks."""
    if num_frames <= limit:
        return list(range(num_frames))
    spread = {round(place * (num_frames - 1) / (limit - 1)) for place in range(limit)}
    return sorted(spread | set(marked))


def marked_figures(clip: Clip, marks: Sequence[Mark]) -> str:
    """The first few frames with marks, large."""
    return "".join(
        figure(clip.rgb[frame], of_frame, _alt(clip, frame), caption=_time(clip, frame), max_side_px=LARGE_PX)
        for frame, of_frame in list(marks_by_frame(clip, marks).items())[:MAX_LARGE]
    )


def strip(clip: Clip, marks: Sequence[Mark]) -> str:
    """What the model saw of the clip: its frames, small, with their times."""
    by_frame = marks_by_frame(clip, marks)
    chosen = chosen_frames(len(clip.times_s), list(by_frame))
    frames = "".join(
        figure(
            clip.rgb[frame],
            by_frame.get(frame, []),
            _alt(clip, frame),
            caption=_time(clip, frame),
            max_side_px=THUMBNAIL_PX,
            is_labelled=False,
            classes="gb-frame gb-frame-marked" if frame in by_frame else "gb-frame",
        )
        for frame in chosen
    )
    return f'<p class="gb-note">{_summary(clip, len(chosen))}</p><div class="gb-strip">{frames}</div>'


def timeline(events: Sequence[Event], duration_s: float) -> str:
    """The events of the answer: spans on the length of the clip, and the list of them."""
    if not events:
        return ""
    length_s = max([duration_s, *(event.end_s for event in events)]) or 1.0
    spans = "".join(
        f'<rect x="{100 * event.start_s / length_s:.2f}%" y="{2 + 9 * place}" height="7" rx="2"'
        f' width="{max(100 * (event.end_s - event.start_s) / length_s, 0.6):.2f}%"/>'
        for place, event in enumerate(events)
    )
    items = "".join(
        f"<li><b>{seconds(event.start_s)} – {seconds(event.end_s)}</b> {escape(event.label)}</li>" for event in events
    )
    return (
        f'<h3>Events</h3><svg class="gb-timeline" aria-hidden="true" height="{9 * len(events) + 4}">{spans}</svg>'
        f'<p class="gb-scale" aria-hidden="true"><span>0 s</span><span>{seconds(length_s)}</span></p>'
        f'<ul class="gb-events">{items}</ul>'
    )


def _time(clip: Clip, frame: int) -> str:
    return seconds(clip.times_s[frame])


def _alt(clip: Clip, frame: int) -> str:
    return f"{clip.name} at {_time(clip, frame)}"


def _summary(clip: Clip, num_shown: int) -> str:
    num_frames = len(clip.times_s)
    frames = f"{num_frames} frame{'s' * (num_frames != 1)}"
    shown = f", {num_shown} of them shown" if num_shown < num_frames else ""
    return f"The model saw {frames} of {seconds(clip.duration_s)}{shown}."
