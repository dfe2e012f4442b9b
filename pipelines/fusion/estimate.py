"""How the model will see a file, known before it is decoded.

Sizes come from `pipelines.fusion.sizes` and frames from `pipelines.fusion.look`, which fuse the request too: so what is
foretold here is what the request then reports.
"""

from __future__ import annotations

from dataclasses import replace

from pipelines.fusion.look import look_of
from pipelines.fusion.sizes import FACTOR, refused, resize_picture
from pipelines.inputs import FRAMES
from pipelines.types import Probe, ProbedClip, Settings, Sight, Vision


def estimate(probe: Probe, settings: Settings, vision: Vision) -> Sight:
    """How the model will see a file. Raises UserError for a shape that it cannot take, as `fuse` does.

    The number of tokens is known only if the vision gives ids.
    """
    sight = _estimate(probe, settings, vision)
    return sight if vision.gives_ids else replace(sight, num_visual_tokens=None)


def _estimate(probe: Probe, settings: Settings, vision: Vision) -> Sight:
    try:
        if isinstance(probe, ProbedClip):
            look = look_of(settings, vision)
            num_frames = len(look.choose(probe.times_s, probe.duration_s))
            return _sight(num_frames, *look.size(probe.height, probe.width, num_frames))
        limits = vision.limited(settings.max_pixels).picture_limits
        return _sight(1, *resize_picture(probe.height, probe.width, limits))
    except ValueError as error:
        raise refused(probe.name, error) from error


def _sight(num_frames: int, height: int, width: int) -> Sight:
    num_pairs = -(-num_frames // FRAMES)
    return Sight(width, height, num_frames, num_pairs * (height // FACTOR) * (width // FACTOR))
