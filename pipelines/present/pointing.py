"""Asking with the mouse: a part of a picture, of a frame or of a clip's time that the next question is about.

The part goes into the prompt as words, and what it shows goes along in full resolution: a region as a further picture,
cut as it was dragged, and a span as some of its frames, whose times stand in the words. Regions are told in whole tens
of the 0 to 1000: as fine as a hand drags, and the only ones that the shipped model was taught.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from pipelines.conversation import Draft
from pipelines.media import open_once, probe
from pipelines.present.moments import AtTimes
from pipelines.present.overlay import data_uri
from pipelines.present.shelf import Shelf
from pipelines.types import Box, Clip, ProbedClip, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_PX = 32
"""A smaller picture is no use to a model: it sees tokens of this side."""
STEP = 10
NUM_FRAMES = 4
"""Frames that show a span, evenly spread over it, as far as it has so many."""
THUMBNAIL_PX = 96
PART_OF = "part of "
NOTHING_THERE = "Nothing is marked: drag over the picture or over the time of the clip again."


@dataclass(frozen=True)
class Pointing:
    """A part of the conversation's medium of that index: a box, in a clip at `start_s`, or the span of a clip."""

    medium: int
    box: Box | None = None
    start_s: float | None = None
    end_s: float | None = None

    @property
    def moments_s(self) -> tuple[float, ...]:
        """The times at which it is looked at: those in the middle of equal parts of a span."""
        start_s = self.start_s or 0.0
        if self.end_s is None:
            return (start_s,)
        step_s = (self.end_s - start_s) / NUM_FRAMES
        return tuple(start_s + step_s * (number + 0.5) for number in range(NUM_FRAMES))

    @property
    def region(self) -> tuple[int, ...]:
        """The box in whole steps, at least one wide and high."""
        x1, y1, x2, y2 = self.box or (0.0, 0.0, 1000.0, 1000.0)
        low = [min(round(side / STEP), 1000 // STEP - 1) for side in (x1, y1)]
        high = [max(round(side / STEP), least + 1) for side, least in zip((x2, y2), low, strict=True)]
        return tuple(STEP * side for side in (*low, *high))


@dataclass(frozen=True)
class Pointed:
    """What the next question is about: in words, and as files of pictures of it.

    The medium that has it is the last of `media`, the first files of the conversation.
    """

    words: str
    files: tuple[Path, ...]
    media: tuple[Path, ...]

    def told(self, draft: Draft, before: tuple[Path, ...]) -> Draft:
        """The draft as a question about it, in a conversation that has the files `before`.

        One without a question stays as it is, and so does one where other media stand there now, or fewer: the words
        count them.
        """
        if not draft.question.strip() or (*before, *draft.files)[: len(self.media)] != self.media:
            return draft
        return Draft(f"{self.words}: {draft.question}", (*draft.files, *self.files), len(self.media) - 1)


def pointing_of(value: object, num_media: int) -> Pointing:
    """What a page sent: `medium`, and `box` or `span`. Raises UserError for what is no part of any medium."""
    fields = value if isinstance(value, Mapping) else {}
    medium, time_s = fields.get("medium"), fields.get("time_s")
    box, span = _numbers(fields.get("box"), 4), _numbers(fields.get("span"), 2)
    if not isinstance(medium, int) or not 0 <= medium < num_media or not (box or span):
        raise UserError(NOTHING_THERE)
    if span:
        return Pointing(medium, start_s=max(0.0, min(span)), end_s=max(0.0, *span))
    at = _numbers([time_s], 1)
    x1, y1, x2, y2 = (min(1000.0, max(0.0, side)) for side in box)
    return Pointing(medium, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), max(0.0, at[0]) if at else None)


def point(pointing: Pointing, files: Sequence[Path], shelf: Shelf) -> Pointed:
    """Cut out what is marked, from the file itself. Raises UserError where that cannot be done."""
    item = open_once(files[pointing.medium], AtTimes(pointing.moments_s))
    frames, times_s = (item.rgb, item.times_s) if isinstance(item, Clip) else (item.rgb[None], ())
    left, top, right, bottom = _pixels(pointing.box or (0.0, 0.0, 1000.0, 1000.0), frames.shape[2], frames.shape[1])
    names = _names(files[pointing.medium], times_s)
    kept = tuple(shelf.keep(rgb[top:bottom, left:right], name) for rgb, name in zip(frames, names, strict=True))
    return Pointed(_words(pointing, files, times_s), kept, tuple(files[: pointing.medium + 1]))


def pointed_html(pointed: Pointed | None) -> str:
    """The chip over the composer that shows what the next question is about."""
    if pointed is None:
        return ""
    return (
        f'<p class="gb-pointed">{"".join(map(_thumbnail, pointed.files))}<span>{escape(pointed.words)}</span>'
        '<button type="button" aria-label="Ask about all of it again">×</button></p>'
    )


def _thumbnail(path: Path) -> str:
    """A picture that was kept, small; nothing where it was thrown away since."""
    try:
        rgb = _rgb(path)
    except OSError:
        return ""
    return f'<img src="{data_uri(rgb, THUMBNAIL_PX)}" alt="">'


def _rgb(path: Path) -> NDArray[np.uint8]:
    """The pixels of a picture that was kept, uint8 [height, width, 3]. Raises OSError where it is gone."""
    import numpy as np

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _words(pointing: Pointing, files: Sequence[Path], times_s: Sequence[float]) -> str:
    whose = f" of {_title(pointing.medium, files)}" if len(files) > 1 else ""
    start_s, end_s = pointing.start_s, pointing.end_s
    if start_s is not None and end_s is not None:
        shown = ", ".join(f"{time_s:.1f}" for time_s in times_s)
        return f"Between {start_s:.1f} and {end_s:.1f} seconds{whose} (see the frames at {shown} seconds)"
    when = "" if start_s is None else f"At {start_s:.1f} seconds, in"
    return f"{when or 'In'} this region {list(pointing.region)}{whose}"


def _names(whole: Path, times_s: Sequence[float]) -> list[str]:
    """What the cut out pictures are called: as the file that they are of, which may be such a picture itself."""
    name = f"{PART_OF}{whole.stem.removeprefix(PART_OF)}"
    return [f"{name} at {time_s:.1f} s" for time_s in times_s] or [name]


def _title(medium: int, files: Sequence[Path]) -> str:
    """What the prompt's reader calls a medium: its kind, and its number among those of its kind."""
    are_clips = [isinstance(probe(path), ProbedClip) for path in files[: medium + 1]]
    return f"{'Video' if are_clips[-1] else 'Picture'} {are_clips.count(are_clips[-1])}"


def _pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """left, top, right, bottom in px, at least `LEAST_PX` wide and high where the picture is."""
    left, right = _side(box[0], box[2], width)
    top, bottom = _side(box[1], box[3], height)
    return left, top, right, bottom


def _side(low: float, high: float, size: int) -> tuple[int, int]:
    first, last = math.floor(low * size / 1000), math.ceil(high * size / 1000)
    missing = max(0, LEAST_PX - (last - first))
    first = max(0, min(first - missing // 2, size - LEAST_PX))
    return first, min(size, max(last, first + LEAST_PX))


def _numbers(value: object, count: int) -> list[float]:
    """`value` where it is that many finite numbers, else none."""
    items = value if isinstance(value, list) and len(value) == count else []
    try:
        numbers = [float(item) for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
    except OverflowError:  # whole numbers have no end in JSON
        return []
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else []
