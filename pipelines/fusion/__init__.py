"""Early fusion: pictures, clips and text become one sequence of model inputs."""

from pipelines.fusion.estimate import choose_frames, estimate
from pipelines.fusion.frames import mean_times, patch_times, sample_frames
from pipelines.fusion.fuse import fuse
from pipelines.fusion.patches import Patches, patchify_clip, patchify_picture
from pipelines.fusion.prompt import expand_prompt
from pipelines.fusion.sights import seen_pixels, sights
from pipelines.fusion.sizes import resize_clip, resize_picture
from pipelines.types import Limits

__all__ = [
    "Limits",
    "Patches",
    "choose_frames",
    "estimate",
    "expand_prompt",
    "fuse",
    "mean_times",
    "patch_times",
    "patchify_clip",
    "patchify_picture",
    "resize_clip",
    "resize_picture",
    "sample_frames",
    "seen_pixels",
    "sights",
]
