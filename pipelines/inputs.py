"""What early fusion hands to an engine: token ids, and the frames of the media as the model sees them.

Frames travel as uint8 pixels, a quarter of the size of their patches. The engine cuts them where its model is: on a GPU
the normalising and the cutting cost next to nothing, and a CPU pays for them once, when it looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.buffers import Buffers
from pipelines.opencv import has_opencv
from pipelines.types import Message

PATCH_PX = 16
MERGE = 2
FRAMES = 2
ROW = 3 * FRAMES * PATCH_PX * PATCH_PX
ORDER = (0, 3, 6, 4, 7, 2, 1, 5, 8)
"""From (t, frame, colour, row, its half, y, column, its half, x) to one patch after the other."""

_BUFFERS = Buffers(64 * 1024**2)

Grid = tuple[int, int, int]
"""t, h, w: temporal patches, and rows and columns of patches."""


@dataclass(frozen=True, eq=False)
class Frames:
    """A medium as the model sees it.

    `pixels` is uint8 [T, 3, H, W], with T 1 for a picture and even for a clip, H and W multiples of 32. `content` tells
    it from others, empty where that is not known. `times_s` holds when each frame of a clip is shown; where their
    number is odd, `pixels` repeats the last frame.
    """

    pixels: torch.Tensor
    is_clip: bool = False
    content: str = ""
    times_s: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """A prompt with its media.

    `input_ids` int64 [1, S] and `mm_token_type_ids` int64 [1, S] (0 text, 1 picture, 2 clip); `media` in the order in
    which the prompt holds them. `thinking_open` says that the prompt ends inside an open `<think>`. The first
    `num_lasting` tokens begin the prompt of the next question too, and the last `num_replied` are of the reply itself,
    which is to go on. `conversation` names whose prompt it is. For an engine that hands the conversation on as it
    stands, there are `messages` in the place of the ids, and S is 0.
    """

    input_ids: torch.Tensor
    mm_token_type_ids: torch.Tensor
    media: tuple[Frames, ...] = ()
    thinking_open: bool = False
    num_lasting: int = 0
    num_replied: int = 0
    conversation: str = ""
    messages: tuple[Message, ...] = ()

    @classmethod
    def unread(cls, messages: Sequence[Message], media: Sequence[Frames], *, thinking: bool) -> ModelInputs:
        """A conversation that has not been turned into token ids yet."""
        none = torch.empty(1, 0, dtype=torch.int64)
        return cls(none, none, tuple(media), thinking_open=thinking, messages=tuple(messages))

    @property
    def pictures(self) -> tuple[torch.Tensor, ...]:
        """The pixels of the pictures."""
        return tuple(item.pixels for item in self.media if not item.is_clip)

    @property
    def clips(self) -> tuple[torch.Tensor, ...]:
        """The pixels of the clips."""
        return tuple(item.pixels for item in self.media if item.is_clip)

    @property
    def media_keys(self) -> tuple[str, ...]:
        """The keys by which the media are told apart."""
        return tuple(item.content for item in self.media)

    def followed_by(self, reply: Sequence[int]) -> ModelInputs:
        """The prompt with the tokens of a reply that is to go on."""
        if not reply:
            return self
        ids = torch.tensor([list(reply)])
        return replace(
            self,
            input_ids=torch.cat([self.input_ids, ids], dim=1),
            mm_token_type_ids=torch.cat([self.mm_token_type_ids, torch.zeros_like(ids)], dim=1),
            num_replied=len(reply),
        )

    def shared_with(self, other: ModelInputs) -> ModelInputs:
        """The beginning that the prompt shares with another one; it holds all the media."""
        length = min(self.num_tokens, other.num_tokens)
        differing = (self.input_ids[0, :length] != other.input_ids[0, :length]).nonzero()
        length = int(differing[0, 0]) if len(differing) else length
        return replace(
            self,
            input_ids=self.input_ids[:, :length],
            mm_token_type_ids=self.mm_token_type_ids[:, :length],
            thinking_open=False,
            num_lasting=length,
        )

    def unseen(self, num_seen: int) -> Iterator[tuple[int, Frames]]:
        """The media after the first `num_seen` visual tokens, with their numbers."""
        reached = 0
        for number, frames in enumerate(self.media):
            if reached >= num_seen:
                yield number, frames
            reached += num_visual_tokens(grid_of(frames.pixels))

    @property
    def num_tokens(self) -> int:
        """Tokens of the prompt, visual ones included."""
        return int(self.input_ids.shape[1])

    @property
    def num_visual_tokens(self) -> int:
        """Tokens that stand for pictures and clips."""
        return sum(num_visual_tokens(grid_of(item.pixels)) for item in self.media)

    def count_visual(self, start: int, end: int) -> int:
        """Tokens that stand for pictures and clips from `start` to `end`."""
        # by numpy: for a few thousand numbers most of what torch takes is the call
        return int(np.count_nonzero(self.mm_token_type_ids[0].numpy()[start:end]))

    @property
    def num_text_tokens(self) -> int:
        """The rest of them."""
        return self.num_tokens - self.num_visual_tokens

    @property
    def image_grid_thw(self) -> torch.Tensor | None:
        """int64 [pictures, 3]; None without pictures."""
        return _grids(self.pictures)

    @property
    def video_grid_thw(self) -> torch.Tensor | None:
        """int64 [clips, 3]; None without clips."""
        return _grids(self.clips)

    @cached_property
    def pixel_values(self) -> torch.Tensor | None:
        """The patches of all pictures, float32 [N, 1536], cut on the CPU; None without pictures."""
        return patches_of(self.pictures, torch.device("cpu"))

    @cached_property
    def pixel_values_videos(self) -> torch.Tensor | None:
        """The patches of all clips, float32 [N, 1536], cut on the CPU; None without clips."""
        return patches_of(self.clips, torch.device("cpu"))


def grid_of(frames: torch.Tensor) -> Grid:
    """The grid in patches of frames [T, 3, H, W]."""
    num_frames, _, height, width = frames.shape
    return max(num_frames // FRAMES, 1), height // PATCH_PX, width // PATCH_PX


def num_visual_tokens(grid: Grid) -> int:
    """Tokens that the model gets of a grid: one for each 2 x 2 patches."""
    t, h, w = grid
    return t * h * w // MERGE**2


def patches_of(media: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor | None:
    """The patches of media after each other, float32 [N, 1536], cut on `device`; None without media."""
    return torch.cat([cut(frames.to(device)) for frames in media]) if media else None


def cut(frames: torch.Tensor) -> torch.Tensor:
    """Normalise and cut uint8 [T, 3, H, W] into patches, float32 [N, 1536], on the device that holds them.

    T is even, or 1 for a still, whose frame fills both places of its patches; H and W are multiples of 32. The values
    are (x - 127.5) / 127.5 in float32, and a patch holds 2 frames x 16 x 16 pixels; the four patches of one visual
    token follow each other (`Qwen2VLImageProcessor` of transformers).
    """
    t, h, w = grid_of(frames)
    shape = (t, len(frames) // t, 3, h // MERGE, MERGE, PATCH_PX, w // MERGE, MERGE, PATCH_PX)
    blocks = frames.reshape(shape)
    return cut_on_cpu(blocks) if frames.device.type == "cpu" else cut_on_device(blocks)


def cut_on_device(blocks: torch.Tensor) -> torch.Tensor:
    """The patches of pixels in blocks, where these are."""
    # by a tensor: a GPU would multiply by the reciprocal of a plain number, which rounds otherwise
    half = torch.tensor(127.5, device=blocks.device)
    rows = blocks.permute(ORDER).reshape(-1, 3, blocks.shape[1], PATCH_PX**2).float().sub_(half).div_(half)
    return rows.expand(-1, -1, FRAMES, -1).reshape(-1, ROW)


def cut_on_cpu(blocks: torch.Tensor) -> torch.Tensor:
    """What `cut_on_device` returns, by numpy, which reorders bytes faster than torch."""
    ordered = blocks.numpy().transpose(ORDER)
    both = _BUFFERS.array((*ordered.shape[:6], FRAMES, PATCH_PX, PATCH_PX), np.uint8)
    if blocks.shape[1] == FRAMES:
        both[...] = ordered
    else:  # ordering once and copying whole patches is quicker than ordering twice
        once = _BUFFERS.array(ordered.shape, np.uint8)
        once[...] = ordered
        both[...] = once
    values = _BUFFERS.array((both.size // PATCH_PX**2, PATCH_PX**2), np.float32)
    _normalise(both.reshape(values.shape), values)
    return torch.from_numpy(values).reshape(-1, ROW)


def _normalise(pixels: NDArray[Any], values: NDArray[Any]) -> None:
    """Write (x - 127.5) / 127.5 of uint8 pixels into float32 values of the same shape: OpenCV looks them up."""
    half = np.float32(127.5)
    if has_opencv():
        import cv2

        cv2.LUT(pixels, (np.arange(256, dtype=np.float32) - half) / half, values)
    else:
        np.subtract(pixels, half, out=values)
        np.divide(values, half, out=values)


def _grids(media: Sequence[torch.Tensor]) -> torch.Tensor | None:
    return torch.tensor([grid_of(frames) for frames in media]) if media else None
