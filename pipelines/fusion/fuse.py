"""Early fusion: messages and media become what the model takes in.

Each picture and clip is resized to what the model sees, each placeholder in the prompt is expanded to as many tokens as
its medium will have visual ones, and both go to the model as one sequence. A picture that was resized before, under
whatever name, is not resized again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from pipelines.cache import Cache
from pipelines.checkpoint import Checkpoint
from pipelines.fusion.frames import mean_times
from pipelines.fusion.prompt import Pads, Piece, expand, neutralise
from pipelines.fusion.resizing import clip_frames, paired, picture_frame, resize
from pipelines.fusion.sizes import refused
from pipelines.inputs import Frames, ModelInputs, grid_of
from pipelines.types import Clip, Limits, Media, Message, Picture, Tool, UserError, Vision

TEXT, PICTURE, CLIP = 0, 1, 2
MAX_KEPT_BYTES = 64 * 1024**2
CHARACTERS_A_TOKEN = 8
"""More than any prompt has on average: prose of any language has two to five."""
THINK_TAIL = 6
"""The most tokens from the `<think>` near the end of a prompt, left open or closed at once, to its end."""

FRAMES_SEEN: Cache[tuple[str, Limits], torch.Tensor] = Cache(MAX_KEPT_BYTES, lambda frame: frame.nbytes)
"""Pictures as the model sees them, by content and limits. The frames of a clip are sized when it is opened."""


def fuse(
    messages: Sequence[Message],
    media: Sequence[Media],
    checkpoint: Checkpoint,
    enable_thinking: bool,
    tools: Sequence[Tool] = (),
) -> ModelInputs:
    """Model inputs for a conversation that offers `tools`, and whose placeholders stand for `media`, in order.

    Raises UserError for a picture or clip whose shape the model cannot take and for text far beyond its context, and
    ValueError if the placeholders and the media do not match.
    """
    frames = tuple(_frames(item, checkpoint) for item in media)
    pictures = [grid_of(item.pixels) for item in frames if not item.is_clip]
    clips = [grid_of(item.pixels) for item in frames if item.is_clip]
    times = [mean_times(item.times_s) for item in media if isinstance(item, Clip)]
    plain = [neutralise(message, checkpoint.control_tokens) for message in messages]
    rendered = checkpoint.render(plain, enable_thinking, tools)
    _refuse_too_long(rendered, checkpoint.context_tokens)
    pieces = expand(rendered, pictures, clips, times)
    input_ids = torch.tensor([encode(pieces, checkpoint)])
    return ModelInputs(
        input_ids=input_ids,
        mm_token_type_ids=_token_types(input_ids, checkpoint),
        media=frames,
        thinking_open=rendered.rstrip().endswith("<think>"),
        num_lasting=_num_lasting(input_ids, checkpoint),
    )


def inputs_for(
    vision: Vision,
    messages: Sequence[Message],
    media: Sequence[Media],
    enable_thinking: bool,
    tools: Sequence[Tool] = (),
) -> ModelInputs:
    """Model inputs in the form that an engine with that `vision` takes. Raises UserError as `fuse` does.

    A model here takes what `fuse` makes. A server makes token ids itself: it gets the messages, and the media as they
    are to be seen, but no tools.
    """
    if isinstance(vision, Checkpoint):
        return fuse(messages, media, vision, enable_thinking, tools)
    return ModelInputs.unread(messages, [_frames(item, vision) for item in media], thinking=enable_thinking)


def encode(pieces: Iterable[Piece], checkpoint: Checkpoint) -> list[int]:
    """Token ids of an expanded prompt.

    Placeholders are special tokens, across which no pre-tokenizer looks. So the text between them is encoded by itself,
    and a run of them is only counted.
    """
    ids: list[int] = []
    for piece in pieces:
        if isinstance(piece, Pads):
            ids += [checkpoint.token_id(piece.token)] * piece.count
        else:
            ids += checkpoint.encode(piece)
    return ids


def _refuse_too_long(rendered: str, context_tokens: int) -> None:
    """Refuse what cannot fit before it is encoded: no other thread can run during that."""
    if len(rendered) > CHARACTERS_A_TOKEN * context_tokens:
        raise UserError(
            f"The text has {len(rendered):,} characters, and this model holds {context_tokens:,} tokens: shorten it, "
            "or begin a new conversation."
        )


def _num_lasting(input_ids: torch.Tensor, checkpoint: Checkpoint) -> int:
    """Tokens up to where the assistant begins: from there on, a later prompt has the answer without its `<think>`."""
    think = checkpoint.tokenizer.token_to_id("<think>")
    tail = input_ids[0, -THINK_TAIL:].tolist()
    num_tokens = input_ids.shape[1]
    return num_tokens - len(tail) + tail.index(think) if think in tail else num_tokens


def _frames(item: Media, vision: Vision) -> Frames:
    """What the model sees of a medium."""
    try:
        if isinstance(item, Picture):
            pixels = _of_picture(item, vision)
            return Frames(pixels, False, item.content and f"{item.content} {tuple(pixels.shape)}")
        pixels = _of_clip(item, vision)
        content = item.content and f"{item.content} {tuple(pixels.shape)} {item.indices}"
        return Frames(pixels, True, content, item.times_s)
    except ValueError as error:
        raise refused(item.name, error) from error


def _of_picture(item: Picture, vision: Vision) -> torch.Tensor:
    limits = vision.picture_limits
    if not item.content:
        return picture_frame(item.rgb, limits)
    return FRAMES_SEEN.get((item.content, limits), lambda: picture_frame(item.rgb, limits))


def _of_clip(item: Clip, vision: Vision) -> torch.Tensor:
    if item.file_size is None:
        return clip_frames(item.rgb, vision.clip_limits)
    height, width = item.rgb.shape[1:3]  # of its opening
    return paired(resize(item.rgb, (height, width)))


def _token_types(input_ids: torch.Tensor, checkpoint: Checkpoint) -> torch.Tensor:
    types = torch.full_like(input_ids, TEXT)
    types[input_ids == checkpoint.image_token_id] = PICTURE
    types[input_ids == checkpoint.video_token_id] = CLIP
    return types
