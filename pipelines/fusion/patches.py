"""From pixels to patches: bicubic resize, normalise, cut.

The three steps of the official processors, bit for bit: antialiased bicubic on uint8 (`torch.nn.functional.interpolate`
is what torchvision calls), `(x - 127.5) / 127.5` in float32, then patches of 2 frames x 16 x 16 pixels, ordered so that
the 2 x 2 patches of one visual token follow each other (`Qwen2VLImageProcessor` of transformers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.fusion.sizes import FRAMES, cap_frame, resize_clip, resize_picture
from pipelines.types import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATCH_PX = 16
MERGE = 2
ROW = 3 * FRAMES * PATCH_PX * PATCH_PX


@dataclass(frozen=True, eq=False)
class Patches:
    """`values` float32 [t * h * w, 1536] in -1 to 1, and the grid (t, h, w) in patches."""

    values: torch.Tensor
    grid_thw: tuple[int, int, int]

    @property
    def num_visual_tokens(self) -> int:
        """Tokens that the model gets: one for each 2 x 2 patches."""
        t, h, w = self.grid_thw
        return t * h * w // MERGE**2


def patchify_picture(rgb: NDArray[np.uint8], limits: Limits) -> Patches:
    """Resize and cut uint8 [H, W, 3]. Raises ValueError where the reference refuses the shape."""
    return cut(resize(rgb[None], resize_picture(rgb.shape[0], rgb.shape[1], limits)))


def patchify_clip(rgb: NDArray[np.uint8], limits: Limits) -> Patches:
    """Resize and cut uint8 [T, H, W, 3], with at most 768 visual tokens a frame; an odd T repeats the last frame.

    A clip of one frame, which the reference refuses, is taken as two equal ones. Raises ValueError for other shapes
    that the reference refuses.
    """
    num_frames, height, width = max(len(rgb), FRAMES), rgb.shape[1], rgb.shape[2]
    frames = resize(rgb, resize_clip(num_frames, height, width, cap_frame(num_frames, limits)))
    if len(frames) % FRAMES:
        frames = torch.cat([frames, frames[-1:]])
    return cut(frames)


def cut(frames: torch.Tensor) -> Patches:
    """Normalise and cut uint8 [T, 3, H, W] into patches, on the device that holds them.

    T is even, or 1 for a still, whose frame fills both places of its patches; H and W are multiples of 32.
    """
    num_frames, _, height, width = frames.shape
    t, h, w = max(num_frames // FRAMES, 1), height // PATCH_PX, width // PATCH_PX
    shape = (t, num_frames // t, 3, h // MERGE, MERGE, PATCH_PX, w // MERGE, MERGE, PATCH_PX)
    rows = _reorder(frames.reshape(shape), (0, 3, 6, 4, 7, 2, 1, 5, 8)).reshape(t * h * w, 3, -1, PATCH_PX**2)
    values = rows.float().sub_(127.5).div_(127.5).expand(-1, -1, FRAMES, -1)
    return Patches(values.reshape(t * h * w, ROW), (t, h, w))


def _reorder(pixels: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    if pixels.device.type != "cpu":
        return pixels.permute(order)
    # numpy copies single bytes in another order several times faster than torch does
    return torch.from_numpy(np.ascontiguousarray(pixels.numpy().transpose(order)))


def resize(rgb: NDArray[np.uint8], size: tuple[int, int]) -> torch.Tensor:
    """Frames uint8 [T, H, W, 3] at `size` (height, width): uint8 [T, 3, height, width], antialiased bicubic."""
    # torch refuses to share memory that it must not write to, as that of an opened picture
    frames = torch.from_numpy(rgb if rgb.flags.writeable else rgb.copy()).permute(0, 3, 1, 2)
    if tuple(frames.shape[2:]) == size:
        return frames
    return torch.nn.functional.interpolate(frames, size=size, mode="bicubic", antialias=True)
