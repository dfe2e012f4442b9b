"""Where the tokens of a prompt stand, as rotary embedding sees it (the interleaved multimodal one of Qwen3.5).

Text counts on. The tokens of a frame share one time and differ by height and width, and what follows stands behind the
longer side of it: far fewer places than the frame has tokens. The frames of a clip are told apart by the text between
them. transformers' `get_rope_index` comes to the same, and walks through every token in Python for it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.inputs import MERGE, ModelInputs, grid_of

Places = NDArray[np.int64]


def position_ids(inputs: ModelInputs, start: int = 0) -> torch.Tensor:
    """Position ids int64 [4, 1, S] of a prompt from its token `start` on: of the text, then time, height and width of
    rotary embedding.
    """
    if not inputs.count_visual(start, inputs.num_tokens):
        places = _places_of_text(inputs, start)
    else:
        places = _places(inputs)[:, start:]
    return torch.from_numpy(places)[:, None]


def _places_of_text(inputs: ModelInputs, start: int) -> Places:
    """Those behind all media [4, S]: the text counts on from where the frames left off."""
    grids = (grid_of(item.pixels) for item in inputs.media)
    halves = ((frames, height // MERGE, width // MERGE) for frames, height, width in grids)
    saved = sum(frames * (height * width - max(height, width)) for frames, height, width in halves)
    places = np.tile(np.arange(start, inputs.num_tokens), (4, 1))
    places[1:] -= saved
    return places


def _places(inputs: ModelInputs) -> Places:
    """All of them [4, S]."""
    places = np.empty((4, inputs.num_tokens), np.int64)
    places[0] = np.arange(inputs.num_tokens)
    starts = _starts_of_frames(inputs.mm_token_type_ids[0].numpy() > 0)
    reached = count = 0  # tokens, and places
    for start, (height, width) in zip(starts, _frames(inputs), strict=True):
        places[1:, reached:start] = np.arange(count, count + start - reached)
        count += start - reached
        reached = start + height * width
        places[1, start:reached] = count
        places[2:, start:reached] = count + np.indices((height, width)).reshape(2, -1)
        count += max(height, width)
    places[1:, reached:] = np.arange(count, count + inputs.num_tokens - reached)
    return places


def _starts_of_frames(is_visual: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[int]:
    """Where runs of visual tokens begin."""
    return [int(start) for start in np.flatnonzero(np.diff(is_visual, prepend=False) & is_visual)]


def _frames(inputs: ModelInputs) -> list[tuple[int, int]]:
    """Rows and columns of visual tokens of each picture, and of each temporal patch of the clips, in order."""
    grids = (grid_of(item.pixels) for item in inputs.media)
    return [(height // MERGE, width // MERGE) for frames, height, width in grids for _ in range(frames)]
