"""A result as text for a terminal and as JSON for a program."""

from __future__ import annotations

import json

from pipelines.present.rates import STAGES, WORKING, stage_rate
from pipelines.present.sight import seen_in_words
from pipelines.present.status import THOUGHT_ENDS
from pipelines.types import Clip, Event, Media, Region, Result, Sight


def as_json(result: Result) -> str:
    """One JSON object: model, device, media, reasoning, answer, regions, events, timing (ms), tokens, finish_reason."""
    return json.dumps(
        {
            "model": result.engine.model,
            "device": result.engine.device,
            "dtype": result.engine.dtype,
            "media": [_seen(item, sight) for item, sight in zip(result.media, result.sights, strict=False)],
            "reasoning": result.reasoning,
            "answer": result.answer,
            "regions": [_region(region) for region in result.grounding.regions],
            "events": [_event(event) for event in result.grounding.events],
            "timing": _timing(result),
            "tokens": {
                "text": result.tokens.text,
                "visual": result.tokens.visual,
                "reasoning": result.tokens.reasoning,
                "answer": result.tokens.answer,
            },
            "kept": {"tokens": result.tokens.kept, "visual": result.tokens.kept_visual},
            "finish_reason": result.finish_reason,
            "thought_end": result.thought_end,
        },
        ensure_ascii=False,
        indent=2,
    )


def as_text(result: Result) -> str:
    """What follows the reply on a terminal: what was seen, places, events, why it ended early, and the times."""
    pairs = zip(result.media, result.sights, strict=False)
    lines = [f"  {item.name}: {item.width} × {item.height}, {seen_in_words(item, sight)}" for item, sight in pairs]
    lines += [f"  {_words(region)}" for region in result.grounding.regions]
    lines += [f"  {event.start_s:.2f} s to {event.end_s:.2f} s: {event.label}" for event in result.grounding.events]
    if result.thought_end is not None:
        lines.append(THOUGHT_ENDS[result.thought_end])
    if result.finish_reason == "length":
        lines.append("The reply ran out of tokens: raise --max-new-tokens for more.")
    return "\n".join(["", *lines, *([""] if lines else []), _times(result)])


def _seen(item: Media, sight: Sight) -> dict[str, object]:
    times = {"times_s": [round(time_s, 3) for time_s in item.times_s]} if isinstance(item, Clip) else {}
    return {
        "name": item.name,
        "size": [item.width, item.height],
        "seen_at": [sight.width, sight.height],
        "visual_tokens": sight.num_visual_tokens,
        **times,
    }


def _region(region: Region) -> dict[str, object]:
    place: dict[str, object] = {"box": region.box} if region.box is not None else {"point": region.point}
    return {"label": region.label, **place, "media_index": region.media_index, "time_s": region.time_s}


def _event(event: Event) -> dict[str, object]:
    return {"start_s": event.start_s, "end_s": event.end_s, "label": event.label}


def _timing(result: Result) -> dict[str, object]:
    timing = result.timing
    stages = {f"{stage}_ms": _rounded(timing.stage_ms.get(stage, 0.0)) for stage in STAGES}
    return {
        **stages,
        "total_ms": _rounded(timing.total_ms),
        "time_to_first_token_ms": _rounded(timing.time_to_first_token_ms),
        **{f"{stage}_tokens_per_s": _rounded(stage_rate(result, stage)) for stage in WORKING},
        "clock": timing.clock,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _words(region: Region) -> str:
    numbers = ", ".join(f"{value:g}" for value in region.box or region.point or ())
    kind = "box" if region.box is not None else "point"
    when = "" if region.time_s is None else f" at {region.time_s:.2f} s"
    return f"{region.label or 'place'}: {kind} ({numbers}) of 1000 in item {region.media_index + 1}{when}"


def _times(result: Result) -> str:
    """One line a stage, then the sums."""
    engine, timing, tokens = result.engine, result.timing, result.tokens
    rows = []
    for stage in STAGES:
        if stage in timing.stage_ms:
            speed = stage_rate(result, stage)
            rows.append(f"  {stage:<8}{timing.stage_ms[stage]:>10.1f} ms{f'{speed:>10.1f} tok/s' if speed else ''}")
    first = timing.time_to_first_token_ms
    rows.append(f"  {'total':<8}{timing.total_ms:>10.1f} ms{'' if first is None else f'   first token {first:.1f} ms'}")
    rows.append(
        f"  tokens: {tokens.text} text, {tokens.visual} visual, {tokens.reasoning} reasoning, {tokens.answer} answer"
    )
    rows.append(f"  {engine.model} on {engine.device}, {engine.dtype}, timed by {timing.clock}")
    return "\n".join(rows)
