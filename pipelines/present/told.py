"""A result as a program gets it: plain values under fixed keys, the same for the command line and every interface.

Coordinates are 0 to 1000 on the upright original, times are seconds from the start of the clip, sizes are
[width, height] in px.
"""

from __future__ import annotations

from typing import NotRequired, final

from typing_extensions import TypedDict  # pydantic, which makes schemas of these, wants this one before Python 3.12

from pipelines.present.figures.rates import STAGES, WORKING, stage_rate
from pipelines.present.words import Word, words_of
from pipelines.types import Clip, EngineInfo, Event, FinishReason, Look, Media, Region, Result, Sight, ThoughtEnd


class ToldPicture(TypedDict):
    """A picture: its size upright, and how the model saw it; `visual_tokens` is null where a server does not tell.

    `first_frame_only` is there, and true, for an animation that is not read as a clip.
    """

    name: str
    size: tuple[int, int]
    seen_at: tuple[int, int]
    visual_tokens: int | None
    first_frame_only: NotRequired[bool]


class ToldClip(ToldPicture):
    """A clip: also when each frame that the model saw is shown."""

    times_s: list[float]


@final
class ToldBox(TypedDict):
    """A box x1, y1, x2, y2; `media_index` counts from 0, and `time_s` is set in a clip."""

    label: str
    box: tuple[float, float, float, float]
    media_index: int
    time_s: float | None


@final
class ToldPoint(TypedDict):
    """A point x, y; `media_index` counts from 0, and `time_s` is set in a clip."""

    label: str
    point: tuple[float, float]
    media_index: int
    time_s: float | None


class ToldEvent(TypedDict):
    """A span of a clip; `media_index` counts from 0."""

    start_s: float
    end_s: float
    label: str
    media_index: int


class ToldLook(TypedDict):
    """A call of a tool: the thought before it, and the region or the span that came back, or why it was refused."""

    reasoning: str
    tool: str
    arguments: dict[str, str]
    media_index: int | None
    box: tuple[float, float, float, float] | None
    span_s: tuple[float, float] | None
    refused: str
    duration_ms: float


class ToldWord(TypedDict):
    """A word of the answer, and how likely the model held it, 0 to 1; None where nobody tells."""

    text: str
    probability: float | None


class ToldTokens(TypedDict):
    """Tokens of the prompt (`text`, `visual`) and of the reply (`reasoning`, `answer`)."""

    text: int
    visual: int
    reasoning: int
    answer: int


class ToldKept(TypedDict):
    """What of the prompt was kept from before."""

    tokens: int
    visual: int


ToldTiming = dict[str, float | str | None]
"""Milliseconds and tokens a second by stage, the gaps between tokens, and the clock that measured them."""


class Told(TypedDict):
    """A result. While it grows, `finish_reason` is None, and what is not known yet is empty."""

    model: str
    device: str
    dtype: str
    media: list[ToldClip | ToldPicture]
    looks: list[ToldLook]
    reasoning: str
    answer: str
    words: list[ToldWord]
    regions: list[ToldBox | ToldPoint]
    events: list[ToldEvent]
    timing: ToldTiming
    tokens: ToldTokens
    kept: ToldKept
    finish_reason: FinishReason | None
    thought_end: ThoughtEnd | None
    certainty: float | None


def told(result: Result) -> Told:
    """The result in plain values."""
    tokens = result.tokens
    return {
        "model": result.engine.model,
        "device": result.engine.device,
        "dtype": result.engine.dtype,
        "media": [_seen(item, sight) for item, sight in zip(result.media, result.sights, strict=False)],
        "looks": [_look(look) for look in result.looks],
        "reasoning": result.reasoning,
        "answer": result.answer,
        "words": [{"text": word.text, "probability": _chance(word)} for word in words_of(result.said, "answer")],
        "regions": [_region(region) for region in result.grounding.regions],
        "events": [_event(event) for event in result.grounding.events],
        "timing": _timing(result),
        "tokens": {
            "text": tokens.text,
            "visual": tokens.visual,
            "reasoning": tokens.reasoning,
            "answer": tokens.answer,
        },
        "kept": {"tokens": tokens.kept, "visual": tokens.kept_visual},
        "finish_reason": result.finish_reason,
        "thought_end": result.thought_end,
        "certainty": result.certainty,
    }


def told_so_far(engine: EngineInfo, reasoning: str, answer: str) -> Told:
    """A result that still grows."""
    return {
        "model": engine.model,
        "device": engine.device,
        "dtype": engine.dtype,
        "media": [],
        "looks": [],
        "reasoning": reasoning,
        "answer": answer,
        "words": [],
        "regions": [],
        "events": [],
        "timing": {},
        "tokens": {"text": 0, "visual": 0, "reasoning": 0, "answer": 0},
        "kept": {"tokens": 0, "visual": 0},
        "finish_reason": None,
        "thought_end": None,
        "certainty": None,
    }


def _seen(item: Media, sight: Sight) -> ToldClip | ToldPicture:
    seen: ToldPicture = {
        "name": item.name,
        "size": (item.width, item.height),
        "seen_at": (sight.width, sight.height),
        "visual_tokens": sight.num_visual_tokens,
    }
    if isinstance(item, Clip):
        return {**seen, "times_s": [round(time_s, 3) for time_s in item.times_s]}
    if item.is_animated:
        seen["first_frame_only"] = True
    return seen


def _region(region: Region) -> ToldBox | ToldPoint:
    if region.box is not None:
        return {"label": region.label, "box": region.box, "media_index": region.media_index, "time_s": region.time_s}
    point = region.point or (0.0, 0.0)  # a region is one of both
    return {"label": region.label, "point": point, "media_index": region.media_index, "time_s": region.time_s}


def _look(look: Look) -> ToldLook:
    return {
        "reasoning": look.reasoning,
        "tool": look.name,
        "arguments": dict(look.arguments),
        "media_index": None if look.shown is None else look.media_index,
        "box": look.box,
        "span_s": look.span_s,
        "refused": look.refused,
        "duration_ms": round(look.duration_ms, 1),
    }


def _chance(word: Word) -> float | None:
    return None if word.probability is None else round(word.probability, 4)


def _event(event: Event) -> ToldEvent:
    return {
        "start_s": event.start_s,
        "end_s": event.end_s,
        "label": event.label,
        "media_index": event.media_index,
    }


def _timing(result: Result) -> ToldTiming:
    timing, gaps = result.timing, result.timing.gaps
    stages = {f"{stage}_ms": _rounded(timing.stage_ms.get(stage, 0.0)) for stage in STAGES}
    return {
        **stages,
        "total_ms": _rounded(timing.total_ms),
        "other_ms": _rounded(timing.other_ms),
        "time_to_first_token_ms": _rounded(timing.time_to_first_token_ms),
        "time_to_answer_ms": _rounded(timing.time_to_answer_ms),
        "gap_p50_ms": _rounded(gaps.p50_ms if gaps else None),
        "gap_p95_ms": _rounded(gaps.p95_ms if gaps else None),
        "gap_max_ms": _rounded(gaps.max_ms if gaps else None),
        **{f"{stage}_tokens_per_s": _rounded(stage_rate(result, stage)) for stage in WORKING},
        "clock": timing.clock,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
