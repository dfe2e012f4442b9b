"""The size at which the model sees a picture or a clip.

These are the rules of the official processors: sides become multiples of 32 px (one visual token is 32 x 32), the pixel
count is brought within the limits, and the aspect ratio is kept as far as that allows. Pictures follow `smart_resize`
of transformers' `Qwen2VLImageProcessor`, clips that of `Qwen3VLVideoProcessor` with `cap_pixels_per_frame=True`.
"""

from __future__ import annotations

import math

from pipelines.inputs import FRAMES
from pipelines.types import Limits, UserError

FACTOR = 32
MAX_ASPECT_RATIO = 200
MAX_TOKENS_A_FRAME = 768


def resize_picture(height: int, width: int, limits: Limits) -> tuple[int, int]:
    """Height and width of a picture as the model sees it.

    Raises ValueError for an empty picture and for an aspect ratio above 200.
    """
    _check_shape(height, width)
    return _fit(height, width, 1, 1, limits)


def resize_clip(frames: int, height: int, width: int, limits: Limits) -> tuple[int, int]:
    """Height and width of every frame of a clip as the model sees it.

    `limits` count pixels over all frames. Raises ValueError for fewer than 2 frames, for empty frames and for an aspect
    ratio above 200.
    """
    if frames < FRAMES:
        raise ValueError(f"a clip needs at least {FRAMES} frames, not {frames}")
    _check_shape(height, width, ratio=False)
    if min(height, width) < FACTOR:
        scale = max(FACTOR / height, FACTOR / width)
        height, width = int(height * scale), int(width * scale)
    _check_shape(height, width)
    return _fit(height, width, frames, round(frames / FRAMES) * FRAMES, limits)


def cap_frame(frames: int, limits: Limits) -> Limits:
    """The limits of a clip with at most 768 visual tokens for each of its `frames`."""
    share = min(MAX_TOKENS_A_FRAME * FACTOR**2, limits.max_pixels // frames)
    per_frame = max(share, int(limits.min_pixels * 1.05))
    return Limits(limits.min_pixels, per_frame * frames)


def refused(name: str, error: ValueError) -> UserError:
    """The error for a picture or clip whose shape the model cannot take."""
    return UserError(f'"{name}" cannot be shown to the model ({error}): crop it and try again.')


def _check_shape(height: int, width: int, ratio: bool = True) -> None:
    if min(height, width) < 1:
        raise ValueError(f"a picture needs pixels, not {width} x {height}")
    if ratio and max(height, width) / min(height, width) > MAX_ASPECT_RATIO:
        raise ValueError(f"{width} x {height} is more than {MAX_ASPECT_RATIO} times as long as it is short")


def _fit(height: int, width: int, frames: int, whole_frames: int, limits: Limits) -> tuple[int, int]:
    """Round to multiples of 32, then scale down (rounding down) or up (rounding up) to the limits."""
    rounded = round(height / FACTOR) * FACTOR, round(width / FACTOR) * FACTOR
    num_pixels = whole_frames * rounded[0] * rounded[1]
    if num_pixels > limits.max_pixels:
        shrink = math.sqrt(frames * height * width / limits.max_pixels)
        return (
            max(FACTOR, math.floor(height / shrink / FACTOR) * FACTOR),
            max(FACTOR, math.floor(width / shrink / FACTOR) * FACTOR),
        )
    if num_pixels < limits.min_pixels:
        grow = math.sqrt(limits.min_pixels / (frames * height * width))
        return math.ceil(height * grow / FACTOR) * FACTOR, math.ceil(width * grow / FACTOR) * FACTOR
    return rounded
