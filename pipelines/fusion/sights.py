"""How the model saw the media of a request: told by the grids that it got, and as the pixels that it got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from pipelines.fusion.patches import MERGE, PATCH_PX, resize
from pipelines.types import Clip, Media, ModelInputs, Picture, Sight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_SHOWN_FRAMES = 16
"""The first frames of a clip say how sharp all are; each is as large as the model sees it."""


def sights(inputs: ModelInputs, media: Sequence[Media]) -> tuple[Sight, ...]:
    """How the model sees each of `media`, which `inputs` were made of."""
    pictures, clips = _rows(inputs.image_grid_thw), _rows(inputs.video_grid_thw)
    return tuple(
        _sight(len(item.times_s), next(clips)) if isinstance(item, Clip) else _sight(1, next(pictures))
        for item in media
    )


def seen_pixels(item: Media, sight: Sight) -> NDArray[np.uint8]:
    """What the model got of a medium before it was cut into patches: uint8 [frames, height, width, 3].

    Of a clip only the first `MAX_SHOWN_FRAMES` frames.
    """
    frames = item.rgb[None] if isinstance(item, Picture) else item.rgb[:MAX_SHOWN_FRAMES]
    seen: NDArray[np.uint8] = resize(frames, (sight.height, sight.width)).permute(0, 2, 3, 1).contiguous().numpy()
    return seen


def _rows(grids: torch.Tensor | None) -> Iterator[list[int]]:
    return iter(() if grids is None else grids.tolist())


def _sight(num_frames: int, grid_thw: list[int]) -> Sight:
    t, h, w = grid_thw
    return Sight(w * PATCH_PX, h * PATCH_PX, num_frames, t * h * w // MERGE**2)
