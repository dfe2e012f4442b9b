"""How the model saw the media of a request: the sizes and tokens that it got, and the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pipelines.fusion.resizing import resize
from pipelines.inputs import ModelInputs, grid_of, num_visual_tokens
from pipelines.types import Clip, Media, Picture, Sight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_SHOWN_FRAMES = 16
"""The first frames of a clip show how sharp all of them are; each is as large as the model sees it."""


def sights(inputs: ModelInputs, media: Sequence[Media]) -> tuple[Sight, ...]:
    """How the model sees each of `media`, from which `inputs` were made."""
    seen = zip(media, inputs.media, strict=True)
    found = tuple(_sight(len(item.times_s) if isinstance(item, Clip) else 1, frames.pixels) for item, frames in seen)
    return found if inputs.num_tokens else tuple(replace(sight, num_visual_tokens=None) for sight in found)


def seen_pixels(item: Media, sight: Sight) -> NDArray[np.uint8]:
    """What the model got of a medium before it was cut into patches: uint8 [frames, height, width, 3].

    Of a clip only the first `MAX_SHOWN_FRAMES` frames.
    """
    frames = item.rgb[None] if isinstance(item, Picture) else item.rgb[:MAX_SHOWN_FRAMES]
    seen: NDArray[np.uint8] = resize(frames, (sight.height, sight.width)).permute(0, 2, 3, 1).contiguous().numpy()
    return seen


def _sight(num_frames: int, frames: torch.Tensor) -> Sight:
    return Sight(frames.shape[3], frames.shape[2], num_frames, num_visual_tokens(grid_of(frames)))
