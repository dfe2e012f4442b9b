"""The frames that were sampled from a clip, with their times and what was found on them."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.present.counted import counted
from pipelines.present.overlay import Mark, data_uri, figure
from pipelines.present.timeline import seconds
from pipelines.types import Clip

MAX_THUMBNAILS = 32
MAX_LARGE = 4
THUMBNAIL_PX = 320
LARGE_PX = 960


def nearest(times_s: Sequence[float], time_s: float) -> int:
    """Which of some times is next to one."""
    return min(range(len(times_s)), key=lambda number: abs(times_s[number] - time_s))


def marks_by_frame(clip: Clip, marks: Sequence[Mark]) -> dict[int, list[Mark]]:
    """The marks on the frame nearest to the time of each, in the order of the frames."""
    found: dict[int, list[Mark]] = {}
    for mark in marks:
        found.setdefault(nearest(clip.times_s, mark.region.at_s), []).append(mark)
    return dict(sorted(found.items()))


def chosen_frames(num_frames: int, marked: Sequence[int]) -> list[int]:
    """Which frames to show: all up to `MAX_THUMBNAILS`, else so many evenly spread ones and those with marks."""
    if num_frames <= MAX_THUMBNAILS:
        return list(range(num_frames))
    spread = {round(place * (num_frames - 1) / (MAX_THUMBNAILS - 1)) for place in range(MAX_THUMBNAILS)}
    return sorted(spread | set(marked))


def marked_figures(clip: Clip, marks: Sequence[Mark]) -> str:
    """The first few frames with marks, large."""
    chosen = list(marks_by_frame(clip, marks).items())[:MAX_LARGE]
    return "".join(_figure(clip, frame, of_frame, LARGE_PX) for frame, of_frame in chosen)


def strip(clip: Clip, marks: Sequence[Mark], num_seen: int | None = None) -> str:
    """Frames of the clip, small, with their times: of those that the model saw, `num_seen` where that is known."""
    by_frame = marks_by_frame(clip, marks)
    chosen = chosen_frames(len(clip.times_s), list(by_frame))
    frames = "".join(
        _figure(
            clip, frame, by_frame.get(frame, []), THUMBNAIL_PX, "gb-frame" + " gb-frame-marked" * (frame in by_frame)
        )
        for frame in chosen
    )
    return f'<p class="gb-note">{_summary(clip, len(chosen), num_seen)}</p><div class="gb-strip">{frames}</div>'


def _figure(clip: Clip, frame: int, marks: Sequence[Mark], max_side_px: int, classes: str = "gb-figure") -> str:
    """One frame; a click on it seeks the player."""
    return figure(
        data_uri(clip.rgb[frame], max_side_px),
        (clip.width, clip.height),
        marks,
        _alt(clip, frame),
        caption=_time(clip, frame),
        is_labelled=classes == "gb-figure",
        classes=classes,
        time_s=clip.times_s[frame],
    )


def _time(clip: Clip, frame: int) -> str:
    return seconds(clip.times_s[frame])


def _alt(clip: Clip, frame: int) -> str:
    return f"{clip.name} at {_time(clip, frame)}"


def _summary(clip: Clip, num_shown: int, num_seen: int | None) -> str:
    if num_seen is None:
        return f"Some frames of {seconds(clip.duration_s)}."
    shown = f", {num_shown} of them shown" if num_shown < num_seen else ""
    return f"The model saw {counted(num_seen, 'frame')} of {seconds(clip.duration_s)}{shown}."
