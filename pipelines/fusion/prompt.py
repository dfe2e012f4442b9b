"""From messages to token ids: render, expand the placeholders, encode.

The template leaves one `<|image_pad|>` or `<|video_pad|>` for each medium. A picture becomes one pad per visual token.
A clip becomes, for each temporal patch, `<T.T seconds><|vision_start|>`, its pads and `<|vision_end|>`
(`Qwen3VLProcessor` of transformers). Text that a person typed cannot hold a control token: see `neutralise`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipelines.inputs import MERGE, Grid, num_visual_tokens
from pipelines.types import ContentPart, Message, ToolCall

PICTURE_PAD = "<|image_pad|>"
CLIP_PAD = "<|video_pad|>"
VISION_START = "<|vision_start|>"
VISION_END = "<|vision_end|>"
THINK_TAGS = ("<think>", "</think>")
WORD_JOINER = "\u2060"


@dataclass(frozen=True)
class Pads:
    """A run of `count` equal placeholder tokens."""

    token: str
    count: int

    def __str__(self) -> str:
        return self.token * self.count


Piece = str | Pads


def expand_prompt(
    rendered: str,
    picture_grids: Sequence[Grid],
    clip_grids: Sequence[Grid],
    clip_times: Sequence[Sequence[float]],
) -> str:
    """The rendered prompt with every placeholder expanded; grids count patches, times are seconds per temporal patch.

    Raises ValueError if the placeholders do not match the media.
    """
    return "".join(str(piece) for piece in expand(rendered, picture_grids, clip_grids, clip_times))


def expand(
    rendered: str,
    picture_grids: Sequence[Grid],
    clip_grids: Sequence[Grid],
    clip_times: Sequence[Sequence[float]],
) -> Iterator[Piece]:
    """The pieces of the expanded prompt, in order: text, and runs of placeholders."""
    pictures, clips = iter(picture_grids), iter(zip(clip_grids, clip_times, strict=True))
    if rendered.count(PICTURE_PAD) != len(picture_grids) or rendered.count(CLIP_PAD) != len(clip_grids):
        raise ValueError("the prompt and the media do not hold the same number of pictures and clips")
    for text in re.split(f"({re.escape(PICTURE_PAD)}|{re.escape(CLIP_PAD)})", rendered):
        if text == PICTURE_PAD:
            yield Pads(PICTURE_PAD, num_visual_tokens(next(pictures)))
        elif text == CLIP_PAD:
            yield from _expand_clip(*next(clips))
        elif text:
            yield text


def _expand_clip(grid: Grid, times_s: Sequence[float]) -> Iterator[Piece]:
    t, h, w = grid
    if len(times_s) != t:
        raise ValueError(f"a clip of {t} temporal patches needs {t} times, not {len(times_s)}")
    for time_s in times_s:
        yield f"<{time_s:.1f} seconds>{VISION_START}"
        yield Pads(CLIP_PAD, h * w // MERGE**2)
        yield VISION_END


def neutralise(message: Message, control_tokens: Sequence[str]) -> Message:
    """The message with every control token that its text spells out made plain text.

    An invisible word joiner after the `<` hides the token from the tokenizer; to a person the text reads the same. An
    earlier reply keeps its think tags, by which the template cuts the reasoning out of it.
    """
    spelled = [token for token in control_tokens if message["role"] != "assistant" or token not in THINK_TAGS]
    pattern = re.compile("|".join(re.escape(token) for token in spelled) or r"(?!)")
    content = message["content"]
    plain = message.copy()
    if isinstance(content, str):
        plain["content"] = _defuse(pattern, content)
    else:
        plain["content"] = [_defuse_part(pattern, part) for part in _join_texts(content)]
    if "reasoning_content" in message:
        plain["reasoning_content"] = _defuse(pattern, message["reasoning_content"])
    if "tool_calls" in message:
        plain["tool_calls"] = [_defuse_call(pattern, call) for call in message["tool_calls"]]
    return plain


def _defuse_call(pattern: re.Pattern[str], call: ToolCall) -> ToolCall:
    arguments = {_defuse(pattern, key): _defuse(pattern, value) for key, value in call["arguments"].items()}
    return {"name": _defuse(pattern, call["name"]), "arguments": arguments}


def _join_texts(parts: Sequence[ContentPart]) -> Iterator[ContentPart]:
    """The parts, with adjacent texts joined, so that no token can be spelled across two of them."""
    for kind, group in groupby(parts, key=lambda part: part["type"]):
        if kind == "text":
            yield {"type": "text", "text": "".join(part.get("text", "") for part in group)}
        else:
            yield from group


def _defuse_part(pattern: re.Pattern[str], part: ContentPart) -> ContentPart:
    if part["type"] != "text":
        return part
    return {"type": "text", "text": _defuse(pattern, part["text"])}


def _defuse(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: match[0][0] + WORD_JOINER + match[0][1:], text)
