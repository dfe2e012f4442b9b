"""Early fusion: pictures, clips and text become one sequence of model inputs."""

from pipelines.fusion.estimate import estimate
from pipelines.fusion.frames import mean_times, sample_frames
from pipelines.fusion.fuse import fuse, inputs_for
from pipelines.fusion.look import ClipLook, SpanLook, look_of
from pipelines.fusion.prompt import expand_prompt
from pipelines.fusion.resizing import resized
from pipelines.fusion.sights import seen_pixels, sights
from pipelines.fusion.sizes import refused, resize_clip, resize_picture

__all__ = [
    "ClipLook",
    "SpanLook",
    "estimate",
    "expand_prompt",
    "fuse",
    "inputs_for",
    "look_of",
    "mean_times",
    "refused",
    "resize_clip",
    "resize_picture",
    "resized",
    "sample_frames",
    "seen_pixels",
    "sights",
]
