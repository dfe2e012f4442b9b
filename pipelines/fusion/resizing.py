"""Pictures and clips at the size at which the model sees them; `pipelines.inputs` cuts them into patches.

Resized bit for bit as by the official processors: antialiased bicubic on uint8 (torchvision too calls
`torch.nn.functional.interpolate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.fusion.sizes import cap_frame, resize_clip, resize_picture
from pipelines.inputs import FRAMES
from pipelines.types import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray


def picture_frame(rgb: NDArray[np.uint8], limits: Limits) -> torch.Tensor:
    """A picture [H, W, 3] as the model sees it: uint8 [1, 3, height, width]. Raises ValueError as `resize_picture`."""
    return resize(rgb[None], resize_picture(rgb.shape[0], rgb.shape[1], limits))


def clip_frames(rgb: NDArray[np.uint8], limits: Limits) -> torch.Tensor:
    """A clip [T, H, W, 3] as the model sees it: uint8 [T, 3, height, width], T even. Raises ValueError as `clip_size`.

    A clip of one frame, which the reference refuses, is taken as two equal frames.
    """
    return paired(resize(rgb, clip_size(len(rgb), rgb.shape[1], rgb.shape[2], limits)))


def clip_size(num_frames: int, height: int, width: int, limits: Limits) -> tuple[int, int]:
    """Height and width of the frames of a clip as the model sees them. Raises ValueError as `resize_clip`."""
    num_fused = max(num_frames, FRAMES)
    return resize_clip(num_fused, height, width, cap_frame(num_fused, limits))


def paired(frames: torch.Tensor) -> torch.Tensor:
    """Frames [T, 3, H, W] with the last one repeated where T is odd."""
    return torch.cat([frames, frames[-1:]]) if len(frames) % FRAMES else frames


def resize(rgb: NDArray[np.uint8], size: tuple[int, int]) -> torch.Tensor:
    """Frames uint8 [T, H, W, 3] at `size` (height, width): uint8 [T, 3, height, width], antialiased bicubic."""
    # torch cannot share memory that is read-only or has negative strides
    frames = torch.from_numpy(np.require(rgb, requirements=("C", "W"))).permute(0, 3, 1, 2)
    if tuple(frames.shape[2:]) == size:
        return frames
    return torch.nn.functional.interpolate(frames, size=size, mode="bicubic", antialias=True)


def resized(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame uint8 [H, W, 3] at `size` (height, width), as the model gets it."""
    frame: NDArray[np.uint8] = resize(rgb[None], size)[0].permute(1, 2, 0).contiguous().numpy()
    return frame
