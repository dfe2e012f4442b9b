"""How the model will see a file, known before it is decoded.

The sizes are those of `pipelines.fusion.sizes` and the frames those of `pipelines.fusion.frames`, by which a request is
fused: so what is told beforehand is what the request then reports.
"""

from __future__ import annotations

from collections.abc import Callable

from pipelines.checkpoint import Checkpoint
from pipelines.fusion.frames import sample_frames
from pipelines.fusion.sizes import FACTOR, FRAMES, cap_frame, refused, resize_clip, resize_picture
from pipelines.types import Probe, ProbedClip, Settings, Sight

Keep = Callable[[int, int, int], tuple[int, int]]
"""The width and height that decoding keeps, of a frame's width and height and the number of frames."""


def choose_frames(total_frames: int, video_fps: float, settings: Settings, checkpoint: Checkpoint) -> list[int]:
    """The frames of a clip to look at: as many as the settings ask for, within what the checkpoint was made for."""
    max_frames = min(settings.max_frames, checkpoint.max_frames)
    min_frames = min(checkpoint.min_frames, max_frames)
    return sample_frames(total_frames, video_fps, settings.sample_fps, min_frames, max_frames)


def estimate(probe: Probe, settings: Settings, checkpoint: Checkpoint, keep: Keep) -> Sight:
    """How the model will see a file. Raises UserError for a shape that it cannot take, as `fuse` does."""
    try:
        if isinstance(probe, ProbedClip):
            return _clip(probe, settings, checkpoint, keep)
        limits = checkpoint.limited(settings.max_pixels).picture_limits
        return _sight(1, *resize_picture(probe.height, probe.width, limits))
    except ValueError as error:
        raise refused(probe.name, error) from error


def _clip(probe: ProbedClip, settings: Settings, checkpoint: Checkpoint, keep: Keep) -> Sight:
    num_frames = len(choose_frames(probe.num_frames, probe.fps, settings, checkpoint))
    width, height = keep(probe.width, probe.height, num_frames)
    num_fused = max(num_frames, FRAMES)
    limits = cap_frame(num_fused, checkpoint.clip_limits)
    return _sight(num_frames, *resize_clip(num_fused, height, width, limits))


def _sight(num_frames: int, height: int, width: int) -> Sight:
    num_pairs = -(-num_frames // FRAMES)
    return Sight(width, height, num_frames, num_pairs * (height // FACTOR) * (width // FACTOR))
