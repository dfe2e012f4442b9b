"""Frames of a clip at moments: the one that a player would show then, in its full size; how a page holds a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipelines.fusion import resized

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOLERANCE_S = 1e-3
"""Times are written with fewer digits than a file holds."""


@dataclass(frozen=True)
class AtTimes:
    """A way of looking at a clip that takes the frames that are shown at these times.

    They are in their full size, or in that of `size`: height and width in px, as a model would see them. No other frame
    will do: marks lie on these, or a model saw them.
    """

    times_s: tuple[float, ...]
    size: tuple[int, int] | None = None
    may_move: ClassVar[bool] = False

    def choose(self, times_s: Sequence[float], duration_s: float) -> Sequence[int]:  # noqa: ARG002
        """The numbers of the frames."""
        return sorted({shown_at(times_s, time_s) for time_s in self.times_s})

    def fit(self, rgb: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:  # noqa: ARG002
        """One frame, uint8 [height, width, 3]."""
        return rgb if self.size is None else resized(rgb, self.size)


def exact(time_s: float) -> str:
    """A time as a page holds it, in seconds: within `TOLERANCE_S` however long the clip is, and never as a power."""
    return f"{time_s:.6f}".rstrip("0").rstrip(".")


def shown_at(times_s: Sequence[float], time_s: float) -> int:
    """The frame that is shown at a time, by the times at which the frames come up, ascending."""
    return max(0, bisect_right(times_s, time_s + TOLERANCE_S) - 1)
