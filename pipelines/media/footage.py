"""The frames of a clip on their way: what reads them and what keeps them may be two processes.

Each is brought to the size in which it is kept before the next is decoded: a clip in memory is no larger than what is
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.media.errors import damaged
from pipelines.media.look import Look
from pipelines.types import Clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choose = Callable[[Sequence[float], float], Sequence[int]]
"""The numbers of the frames to take; see `pipelines.media.look.Look.choose`."""


@dataclass(frozen=True)
class Frame:
    """One frame as the file has it: its number, its time, and uint8 [height, width, 3], upright."""

    number: int
    time_s: float
    rgb: NDArray[np.uint8]


@dataclass(frozen=True)
class Footage:
    """The frames of a clip that were chosen, at most `num_frames`; each is decoded when it is asked for.

    `duration_s` and `lead_s` are those of `pipelines.media.timeline.Timeline`.
    """

    duration_s: float
    num_frames: int
    frames: Iterator[Frame]
    lead_s: float = 0.0


def keep_footage(name: str, footage: Footage, look: Look, on_progress: Callable[[int, int], None]) -> Clip:
    """Decode the frames, and keep each in the size that `look` gives it: uint8 [frames, height, width, 3].

    `on_progress(done, total)` is called at each frame. Raises UserError where there is none, and what `look` raises.
    """
    canvas: NDArray[np.uint8] | None = None
    file_size: tuple[int, int] | None = None
    times_s: list[float] = []
    numbers: list[int] = []
    for frame in footage.frames:
        fitted = look.fit(frame.rgb, footage.num_frames)
        if canvas is None:
            file_size = frame.rgb.shape[1], frame.rgb.shape[0]
            canvas = np.empty((footage.num_frames, *fitted.shape), np.uint8)
        canvas[len(numbers)] = fitted
        times_s.append(frame.time_s)
        numbers.append(frame.number)
        on_progress(len(numbers), footage.num_frames)
    if canvas is None:
        raise damaged(name)
    kept = canvas[: len(numbers)]
    return Clip(
        name, kept, tuple(times_s), tuple(numbers), footage.duration_s, file_size=file_size, lead_s=footage.lead_s
    )
