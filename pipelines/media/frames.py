"""Which way is up, and how many and how large frames a clip keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.media.limits import MAX_CLIP_PIXELS, MAX_FRAME_PIXELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


UPRIGHT = (1, 0, 0, 1)
"""The axes of what is stored as it is shown; see `turned`."""


def kept_size(width: int, height: int, num_frames: int) -> tuple[int, int]:
    """Return the width and height of a frame as kept: as stored where the budget allows, else reduced to even sides.

    The budget is `MAX_FRAME_PIXELS` a frame and `MAX_CLIP_PIXELS` for `num_frames` of them.
    """
    scale = math.sqrt(min(MAX_FRAME_PIXELS, MAX_CLIP_PIXELS / num_frames) / (width * height))
    if scale >= 1:
        return width, height
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def turned(rgb: NDArray[np.uint8], axes: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Turn or mirror [height, width, 3]; a view.

    `axes` (a, b, c, d) send the point (x, y) as stored to (a x + c y, b x + d y) as shown. Other angles than quarter
    turns take the nearest one.
    """
    a, b, c, d = axes
    if abs(a) < abs(b):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    if a < 0:
        rgb = rgb[:, ::-1]
    if d < 0:
        rgb = rgb[::-1]
    return rgb


def thinned(indices: Sequence[int], max_frames: int) -> list[int]:
    """Return the distinct indices in order, every n-th of them where there are more than `max_frames`."""
    distinct = sorted(set(indices))
    return distinct[:: math.ceil(len(distinct) / max_frames)]
