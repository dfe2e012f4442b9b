"""Which frames of a clip the model sees, and the time that it is told for each pair of them.

`sample_frames` and `mean_times` follow `Qwen3VLVideoProcessor.sample_frames` and `Qwen3VLProcessor` of transformers:
frames are evenly spaced from the first to the last, and two frames in one temporal patch have the mean of their times.
`frames_by_rate` and `frames_by_number` do the same for clips whose frames carry their own times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.inputs import FRAMES

SLACK = 0.01
"""Containers round the times of their frames: the last frame still counts if this part of it is missing."""


def sample_frames(
    total_frames: int, video_fps: float, sample_fps: float, min_frames: int = 4, max_frames: int = 768
) -> list[int]:
    """Indices, ascending, of the frames to take: `sample_fps` a second, from `min_frames` to `max_frames` of them.

    A clip with fewer frames gives all it has. Raises ValueError for no frames or a rate of 0.
    """
    if total_frames < 1 or video_fps <= 0 or sample_fps <= 0:
        raise ValueError("sampling needs at least one frame, and rates above 0")
    wanted = int(min(total_frames / video_fps * sample_fps, max_frames))
    return _spread(total_frames, min(max(wanted, min_frames), max_frames))


def frames_by_rate(
    times_s: Sequence[float], duration_s: float, sample_fps: float, min_frames: int = 4, max_frames: int = 768
) -> list[int]:
    """`sample_frames`, given the time of each frame, ascending, and the seconds until the last one ends."""
    wanted = int(min(duration_s * sample_fps + SLACK, max_frames))
    return frames_by_number(times_s, min(max(wanted, min_frames), max_frames))


def frames_by_number(times_s: Sequence[float], num_frames: int) -> list[int]:
    """Indices, ascending, of `num_frames` frames evenly spaced in time, or of all where there are fewer.

    If the frames come at a constant rate they are spaced by number, as in the reference. If not, the frame nearest to
    each moment is taken; where several moments share a frame, others from between make up the number. Raises ValueError
    for no frames.
    """
    total = len(times_s)
    if not total:
        raise ValueError("sampling needs at least one frame")
    if num_frames >= total or _is_regular(times_s):
        return _spread(total, num_frames)
    times = np.asarray(times_s)
    moments = np.linspace(times[0], times[-1], num_frames)
    after = np.searchsorted(times, moments).clip(1, total - 1)
    taken = np.unique(after - (moments - times[after - 1] <= times[after] - moments))
    left = np.setdiff1d(np.arange(total), taken)
    more = left[_spread(len(left), num_frames - len(taken))]
    return sorted(int(index) for index in (*taken, *more))


def mean_times(times_s: Sequence[float]) -> list[float]:
    """The time of each temporal patch, given the time of each frame in seconds; an odd last frame counts twice."""
    padded = [*times_s, *times_s[-1:]] if len(times_s) % FRAMES else times_s
    return [(first + second) / 2 for first, second in zip(padded[::2], padded[1::2], strict=True)]


def _spread(total: int, num_frames: int) -> list[int]:
    return [int(index) for index in np.linspace(0, total - 1, min(num_frames, total)).round()]


def _is_regular(times_s: Sequence[float]) -> bool:
    """Whether every frame is within half a frame of where a constant rate would have it."""
    times = np.asarray(times_s)
    even = np.linspace(times[0], times[-1], len(times))
    return bool(np.abs(times - even).max() <= (times[-1] - times[0]) / max(1, len(times) - 1) / 2)
