"""Early fusion: messages and media become what the model takes in.

Each picture and clip is cut into patches, the prompt's placeholders are expanded to as many tokens as the model will
give it visual ones, and both go to the model as one sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from pipelines.checkpoint import Checkpoint
from pipelines.fusion.frames import mean_times
from pipelines.fusion.patches import Patches, patchify_clip, patchify_picture
from pipelines.fusion.prompt import Pads, Piece, expand, neutralise
from pipelines.fusion.sizes import refused
from pipelines.types import Clip, Media, Message, ModelInputs, Picture

TEXT, PICTURE, CLIP = 0, 1, 2


def fuse(
    messages: Sequence[Message], media: Sequence[Media], checkpoint: Checkpoint, enable_thinking: bool
) -> ModelInputs:
    """Model inputs for a conversation whose placeholders stand for `media`, in order.

    Raises UserError for a picture or clip of a shape that the model cannot take, ValueError where the placeholders and
    the media do not match.
    """
    pictures = [_cut(item, checkpoint) for item in media if isinstance(item, Picture)]
    clips = [_cut(item, checkpoint) for item in media if isinstance(item, Clip)]
    times = [mean_times(item.times_s) for item in media if isinstance(item, Clip)]
    plain = [neutralise(message, checkpoint.control_tokens) for message in messages]
    rendered = checkpoint.render(plain, enable_thinking)
    pieces = expand(rendered, [p.grid_thw for p in pictures], [c.grid_thw for c in clips], times)
    input_ids = torch.tensor([encode(pieces, checkpoint)])
    return ModelInputs(
        input_ids=input_ids,
        mm_token_type_ids=_token_types(input_ids, checkpoint),
        pixel_values=_values(pictures),
        image_grid_thw=_grids(pictures),
        pixel_values_videos=_values(clips),
        video_grid_thw=_grids(clips),
        thinking_open=rendered.rstrip().endswith("<think>"),
    )


def encode(pieces: Iterable[Piece], checkpoint: Checkpoint) -> list[int]:
    """Token ids of an expanded prompt.

    Placeholders are special tokens, which no pre-tokenizer looks across: so text between them is encoded by itself,
    and a run of them is only counted.
    """
    ids: list[int] = []
    for piece in pieces:
        if isinstance(piece, Pads):
            ids += [checkpoint.token_id(piece.token)] * piece.count
        else:
            ids += checkpoint.encode(piece)
    return ids


def _cut(item: Media, checkpoint: Checkpoint) -> Patches:
    try:
        if isinstance(item, Picture):
            return patchify_picture(item.rgb, checkpoint.picture_limits)
        return patchify_clip(item.rgb, checkpoint.clip_limits)
    except ValueError as error:
        raise refused(item.name, error) from error


def _token_types(input_ids: torch.Tensor, checkpoint: Checkpoint) -> torch.Tensor:
    types = torch.full_like(input_ids, TEXT)
    types[input_ids == checkpoint.image_token_id] = PICTURE
    types[input_ids == checkpoint.video_token_id] = CLIP
    return types


def _values(items: Sequence[Patches]) -> torch.Tensor | None:
    return torch.cat([item.values for item in items]) if items else None


def _grids(items: Sequence[Patches]) -> torch.Tensor | None:
    return torch.tensor([item.grid_thw for item in items]) if items else None
