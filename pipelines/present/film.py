"""A clip with its marks burnt in, as an MP4 that every browser plays: H.264, without sound.

A mark is shown a moment before and after its time, and one without a time all along; what happens is written at the
lower edge as long as it lasts. A frame that stays for long has the marks of all of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.codec.context import Flags
from PIL import Image, ImageDraw

from pipelines.media import footage
from pipelines.media.footage import Footage
from pipelines.present.burnt import burnt
from pipelines.present.claims import Claimed
from pipelines.present.fonts import fitted, font_for, own_font
from pipelines.present.overlay import Mark
from pipelines.present.takeaway import file_stem
from pipelines.types import Event, ProbedClip, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE_PX = 1280
MAX_FRAMES = 18_000
"""Ten minutes at 30 frames a second; of a longer clip fewer frames are taken, over all of its time."""
SHOWN_S = 0.5
"""A mark is shown so long before and after its time: two frames a second are what a model usually sees."""
TICKS_A_SECOND = 90_000
MAX_STAY_TICKS = 2**31 - 1
"""Over six hours; an MP4 is refused whose frame is said to stay longer."""
NO_CLIP_MARKED = "The answer marks no clip: ask for places or times in one first."
CODEC_OPTIONS = {"preset": "veryfast", "crf": "21", "bf": "0"} | dict.fromkeys(
    ("colorspace", "color_primaries", "color_trc"), "bt709"
)
"""No frame is coded from a later one: how long the last one stays counts only where it is also written last. Which
standard the colours follow, where it is not told, a browser guesses by the height.
"""

Progress = Callable[[float], None]
"""Told how much is done, 0 to 1."""


def marked_clips(
    claimed: Claimed, folder: Path, on_progress: Progress, should_stop: Callable[[], bool] | None = None
) -> list[Path]:
    """Write every clip that has marks or events with these on it.

    Raises UserError where there is none, and Cancelled when `should_stop` says so.
    """
    clips = [at for at, item in enumerate(claimed.probes) if isinstance(item, ProbedClip)]
    wanted = [at for at in clips if claimed.marks_of(at) or claimed.events_of(at)]
    if not wanted:
        raise UserError(NO_CLIP_MARKED)
    written: list[Path] = []
    for medium in wanted:
        path = folder / f"{file_stem(claimed.probes[medium].name)}-{medium + 1}-marked.mp4"
        done = len(written)
        burn(
            claimed.files[medium],
            path,
            claimed.marks_of(medium),
            claimed.events_of(medium),
            lambda share, done=done: on_progress((done + share) / len(wanted)),  # type: ignore[misc]
            should_stop,
        )
        written.append(path)
    return written


def burn(
    source: Path,
    target: Path,
    marks: Sequence[Mark],
    events: Sequence[Event],
    on_progress: Progress,
    should_stop: Callable[[], bool] | None,
) -> None:
    """Write the clip of `source` with marks and events to `target`.

    Raises UserError where it cannot be read, and Cancelled when `should_stop` says so.
    """
    options = {"movflags": "faststart"}
    with footage(source, _thinned, should_stop) as frames, av.open(str(target), "w", options=options) as output:
        stream = output.add_stream("libx264", rate=30, options=CODEC_OPTIONS)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_A_SECOND)
        stream.codec_context.flags |= Flags.frame_duration
        for count, lasting in enumerate(_lasting(frames), 1):
            if count == 1:
                stream.height, stream.width = lasting.rgb.shape[:2]
            drawn = captioned(lasting.rgb, [mark for mark in marks if lasting.has(mark)], lasting.told(events))
            picture = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
            picture.pts, picture.time_base = round(lasting.start_s * TICKS_A_SECOND), Fraction(1, TICKS_A_SECOND)
            picture.duration = min(MAX_STAY_TICKS, round(lasting.end_s * TICKS_A_SECOND) - picture.pts)
            output.mux(stream.encode(picture))
            on_progress(min(1.0, count / frames.num_frames))
        output.mux(stream.encode())


def _thinned(times_s: Sequence[float], duration_s: float) -> Sequence[int]:  # noqa: ARG001
    step = -(-len(times_s) // MAX_FRAMES)
    return range(0, len(times_s), step)


@dataclass(frozen=True, eq=False)
class _Lasting:
    """A frame, reduced, and the seconds from which and until which it is shown."""

    rgb: NDArray[np.uint8]
    start_s: float
    end_s: float

    def has(self, mark: Mark) -> bool:
        """Whether it is shown while the mark is."""
        time_s = mark.region.time_s
        return time_s is None or self._is_within(time_s - SHOWN_S, time_s + SHOWN_S)

    def told(self, events: Sequence[Event]) -> str:
        """What happens while it is shown."""
        return "; ".join(event.label or "event" for event in events if self._is_within(event.start_s, event.end_s))

    def _is_within(self, start_s: float, end_s: float) -> bool:
        return self.start_s <= end_s and start_s < self.end_s


def _lasting(footage: Footage) -> Iterator[_Lasting]:
    """The frames, each once the next one tells how long it stays."""
    rgb: NDArray[np.uint8] | None = None
    start_s = 0.0
    for frame in footage.frames:
        if rgb is not None:
            yield _Lasting(rgb, start_s, frame.time_s)
        rgb, start_s = _fitted(frame.rgb), frame.time_s
    if rgb is not None:
        yield _Lasting(rgb, start_s, footage.duration_s)


def _fitted(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy, at most `MAX_SIDE_PX` wide and high, and of even sides, as the codec needs them."""
    height, width = rgb.shape[:2]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    even = tuple(max(2, round(side * scale) // 2 * 2) for side in (width, height))
    if even == (width, height):
        return rgb.copy()
    return np.asarray(Image.fromarray(rgb).resize(even, Image.Resampling.BOX))


def captioned(rgb: NDArray[np.uint8], marks: Sequence[Mark], caption: str) -> NDArray[np.uint8]:
    """A frame with marks on it, and a caption at its lower edge."""
    if not (marks or caption):
        return np.ascontiguousarray(rgb)
    picture = burnt(rgb, marks)
    if caption:
        _write(picture, caption)
    return np.asarray(picture, np.uint8)


def _write(picture: Image.Image, caption: str) -> None:
    """Write at the lower edge what happens; where no font has the letters of that, only that something does."""
    draw, size_px = ImageDraw.Draw(picture), max(12, picture.height // 22)
    font = font_for(caption, size_px)
    if font is None:
        caption, font = "event", own_font(size_px)
    caption = fitted(caption, font, picture.width - 2 * size_px)
    top = picture.height - 2 * size_px
    draw.rectangle((0, top, picture.width, picture.height), fill="#111")
    draw.text((size_px, top + size_px // 3), caption, fill="#fff", font=font)
