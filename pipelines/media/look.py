"""What decides which frames of a clip are decoded, and how large they are kept."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Look(Hashable, Protocol):
    """A way of looking at clips; two that are equal choose the same frames and give them the same size."""

    @property
    def may_move(self) -> bool:
        """Whether frames beside those chosen serve as well where they cost less, as where moments are only spread."""
        ...

    def choose(self, times_s: Sequence[float], duration_s: float) -> Sequence[int]:
        """The numbers of the frames to take, by the times at which all frames of the clip are shown, ascending."""
        ...

    def fit(self, rgb: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:
        """One of `num_frames` frames, uint8 [height, width, 3], in the size to keep. May raise ValueError."""
        ...
