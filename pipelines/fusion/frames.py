"""Which frames of a clip the model sees, and the time it is told for each pair.

`sample_frames` and `patch_times` follow `Qwen3VLVideoProcessor.sample_frames` and `Qwen3VLProcessor` of transformers:
evenly spaced frames from the first to the last, and for two frames in one temporal patch the mean of their times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.fusion.sizes import FRAMES


def sample_frames(
    total_frames: int, video_fps: float, sample_fps: float, min_frames: int = 4, max_frames: int = 768
) -> list[int]:
    """Indices, ascending, of the frames to take: `sample_fps` a second, from `min_frames` to `max_frames` of them.

    A clip with fewer frames than that gives all it has. Raises ValueError without frames or with a rate of 0.
    """
    if total_frames < 1 or video_fps <= 0 or sample_fps <= 0:
        raise ValueError("sampling needs at least one frame, and rates above 0")
    wanted = int(total_frames / video_fps * sample_fps)
    num_frames = min(max(wanted, min_frames), max_frames, total_frames)
    return [int(index) for index in np.linspace(0, total_frames - 1, num_frames).round()]


def patch_times(indices: Sequence[int], video_fps: float) -> list[float]:
    """Seconds of each temporal patch for frames `indices` of a clip of constant rate `video_fps`."""
    return mean_times([index / video_fps for index in indices])


def mean_times(times_s: Sequence[float]) -> list[float]:
    """Seconds of each temporal patch from the time of each frame; an odd last frame counts twice."""
    padded = [*times_s, *times_s[-1:]] if len(times_s) % FRAMES else times_s
    return [(first + second) / 2 for first, second in zip(padded[::2], padded[1::2], strict=True)]
