"""How a clip is looked at: which frames are taken, and at what size."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipelines.fusion.frames import frames_by_number, frames_by_rate
from pipelines.fusion.resizing import clip_size, resized
from pipelines.fusion.sizes import FACTOR
from pipelines.inputs import FRAMES
from pipelines.types import Limits, Settings, Vision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_TOKENS = 16
"""The fewest visual tokens for a temporal patch: on a smaller budget, fewer frames show more than smaller ones."""


@dataclass(frozen=True)
class ClipLook:
    """A way of looking at clips; two equal ones see the same.

    It takes `num_frames` frames, or if that is None `sample_fps` per second, from `min_frames` to `max_frames` in all.
    `limits` count the pixels of all frames together.
    """

    sample_fps: float
    num_frames: int | None
    min_frames: int
    max_frames: int
    limits: Limits
    may_move: ClassVar[bool] = True

    def choose(self, times_s: Sequence[float], duration_s: float) -> list[int]:
        """The numbers of the frames to take, ascending, given the times at which all frames are shown."""
        if self.num_frames is None:
            return frames_by_rate(times_s, duration_s, self.sample_fps, self.min_frames, self.max_frames)
        return frames_by_number(times_s, min(self.num_frames, self.max_frames))

    def size(self, height: int, width: int, num_frames: int) -> tuple[int, int]:
        """Height and width at which each of `num_frames` frames is seen. Raises ValueError as `resize_clip`."""
        return clip_size(num_frames, height, width, self.limits)

    def fit(self, rgb: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:
        """One of `num_frames` frames, uint8 [height, width, 3], at the size at which it is seen; raises as `size`."""
        return resized(rgb, self.size(rgb.shape[0], rgb.shape[1], num_frames))


@dataclass(frozen=True)
class SpanLook:
    """The frames of a span of a clip, in seconds: `num_frames`, evenly spread over it, at sizes within `limits`."""

    start_s: float
    end_s: float
    num_frames: int
    limits: Limits
    may_move: ClassVar[bool] = True

    def choose(self, times_s: Sequence[float], duration_s: float) -> list[int]:  # noqa: ARG002
        """The numbers of the frames to take of those shown within the span, from the one shown at its start."""
        first = max(0, bisect_right(times_s, self.start_s) - 1)
        end = max(first + 1, bisect_right(times_s, self.end_s))
        chosen = frames_by_number(times_s[first:end], self.num_frames)
        return [first + number for number in chosen]

    def fit(self, rgb: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:
        """One of `num_frames` frames at the size at which it is seen; raises as `ClipLook.size`."""
        return resized(rgb, clip_size(num_frames, rgb.shape[0], rgb.shape[1], self.limits))


def look_of(settings: Settings, vision: Vision) -> ClipLook:
    """The way of looking that the user chose, within what the model was made for."""
    affordable = max(FRAMES, FRAMES * settings.max_clip_tokens // LEAST_TOKENS)
    max_frames = min(settings.max_frames, vision.max_frames, affordable)
    max_pixels = settings.max_clip_tokens * FRAMES * FACTOR**2
    return ClipLook(
        sample_fps=settings.sample_fps,
        num_frames=settings.num_frames,
        min_frames=min(vision.min_frames, max_frames),
        max_frames=max_frames,
        limits=vision.clip_limits.at_most(max_pixels),
    )
