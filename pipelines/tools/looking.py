"""What the model looked at more closely on its way to one answer, and what it is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pipelines.tools.calls import Call, read_call
from pipelines.tools.closer import MAX_LOOKS, WHOLE, Refused, wanted_frames, wanted_zoom
from pipelines.tools.offer import ZOOM, offered
from pipelines.types import Box, Clip, ContentPart, Look, Media, Message, Picture, UserError

OpenSpan = Callable[[int, float, float, int], Media]
"""Frames of a clip: the number of the medium, the span in seconds, and how many. Raises UserError, ValueError."""


@dataclass(frozen=True)
class Written:
    """What the model wrote up to a call: the thought, the words before the call, and the text of the call."""

    reasoning: str
    remark: str
    call: str


def follow(written: Written, media: Sequence[Media], looks: Sequence[Look], open_span: OpenSpan) -> Look:
    """What a call gives: a part of one of `media`, or one sentence that says why not."""
    start, call = time.perf_counter(), read_call(written.call)
    seen: _Seen | None = None
    refusal = ""
    try:
        seen = _see(call, media, looks, open_span)
    except (Refused, UserError) as error:
        refusal = str(error)
    except ValueError:
        refusal = "What was asked for has a shape that cannot be seen: ask for another part."
    took_ms = (time.perf_counter() - start) * 1000
    look = Look(written.reasoning, written.remark, call.name, call.arguments, took_ms, refused=refusal)
    if seen is None:
        return look
    number, whole = seen.number, media[seen.number]
    return replace(look, shown=seen.shown, media_index=number, box=seen.box, span_s=seen.span_s, whole=whole)


def told(looks: Iterable[Look]) -> list[Message]:
    """The turns of the calls and of what came back, in the chat format."""
    messages: list[Message] = []
    for look in looks:
        messages.append(
            {
                "role": "assistant",
                "content": look.remark,
                "reasoning_content": look.reasoning,
                "tool_calls": [{"name": look.name or "unknown", "arguments": dict(look.arguments)}],
            }
        )
        if look.shown is None:
            messages.append({"role": "tool", "content": look.refused})
        else:
            part: ContentPart = {"type": "video" if isinstance(look.shown, Clip) else "image"}
            messages.append({"role": "tool", "content": [part]})
    return messages


def shown(looks: Iterable[Look]) -> tuple[Media, ...]:
    """What the calls brought to be seen, in the order of the prompt."""
    return tuple(look.shown for look in looks if look.shown is not None)


@dataclass(frozen=True, eq=False)
class _Seen:
    shown: Media
    number: int
    box: Box | None = None
    span_s: tuple[float, float] | None = None


def _see(call: Call, media: Sequence[Media], looks: Sequence[Look], open_span: OpenSpan) -> _Seen:
    names = [str(tool["function"]["name"]) for tool in offered(media)]
    if len(looks) >= MAX_LOOKS:
        raise Refused(f"You have looked {MAX_LOOKS} times and no call is left: answer with what you have seen.")
    if not call.name:
        raise Refused("The call cannot be read: write it in the form that the instructions show.")
    if call.name not in names:
        raise Refused(f"There is no tool of that name here: use {' or '.join(names) or 'none'}.")
    return _zoomed(call, media, looks) if call.name == ZOOM else _spanned(call, media, open_span)


def _zoomed(call: Call, media: Sequence[Media], looks: Sequence[Look]) -> _Seen:
    """A region of a picture, counted with those that were cut out of them before."""
    places = [(number, WHOLE) for number, item in enumerate(media) if isinstance(item, Picture)]
    places += [(look.media_index, look.box) for look in looks if look.box is not None]
    zoom = wanted_zoom(call.arguments, places)
    picture = media[zoom.number]
    assert isinstance(picture, Picture)
    return _Seen(zoom.crop(picture), zoom.number, box=zoom.box)


def _spanned(call: Call, media: Sequence[Media], open_span: OpenSpan) -> _Seen:
    """Frames of the last clip."""
    number = max(number for number, item in enumerate(media) if isinstance(item, Clip))
    clip = media[number]
    assert isinstance(clip, Clip)
    start_s, end_s, num_frames = wanted_frames(call.arguments, clip.duration_s)
    return _Seen(open_span(number, start_s, end_s, num_frames), number, span_s=(start_s, end_s))
