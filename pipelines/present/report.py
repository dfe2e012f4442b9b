"""A result as text for a terminal and as JSON for a program."""

from __future__ import annotations

import json

from pipelines.present.closer import look_in_words
from pipelines.present.figures.rates import STAGES, reported, stage_rate
from pipelines.present.sight import seen_in_words
from pipelines.present.status import FULL, THOUGHT_ENDS
from pipelines.present.told import told
from pipelines.types import Look, Region, Result

TAKE_LESS = "ask in fewer words, or with fewer frames or smaller pictures."


def as_json(result: Result) -> str:
    """One JSON object with the keys of `pipelines.present.told.Told`."""
    return json.dumps(told(result), ensure_ascii=False, indent=2)


def as_text(result: Result, *, has_times: bool = True) -> str:
    """What follows the reply on a terminal: what was seen, places, events, why it ended early, and the times."""
    pairs = zip(result.media, result.sights, strict=False)
    lines = [f"  {item.name}: {item.width} × {item.height}, {seen_in_words(item, sight)}" for item, sight in pairs]
    lines += [f"  {_words(region)}" for region in result.grounding.regions]
    lines += [f"  {event.start_s:.2f} s to {event.end_s:.2f} s: {event.label}" for event in result.grounding.events]
    if result.thought_end is not None:
        lines.append(THOUGHT_ENDS[result.thought_end])
    if result.fills_context:
        lines.append(f"{FULL.format(context_tokens=result.engine.context_tokens)}: {TAKE_LESS}")
    elif result.finish_reason == "length":
        lines.append("The reply ran out of tokens: raise --max-new-tokens for more.")
    times = [*([""] if lines else []), _times(result)] if has_times else []
    return "\n".join(["", *lines, *times])


def look_as_text(look: Look) -> str:
    """What was looked at more closely, or why not, in a line."""
    return f"Looked closer: {look_in_words(look)} ({look.duration_ms:.0f} ms)"


def _words(region: Region) -> str:
    when = "" if region.time_s is None else f" at {region.time_s:.2f} s"
    return f"{region.label or 'place'}: {region.kind} ({region.place}) of 1000 in item {region.media_index + 1}{when}"


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
    prompt = f"{tokens.text} text, {tokens.visual} visual, "
    if engine.server:  # which may not tell
        prompt = f"{tokens.text} prompt, " if tokens.text else ""
    rows.append(f"  tokens: {prompt}{tokens.reasoning} reasoning, {tokens.answer} answer")
    rows.append(f"  {engine.model} on {engine.place}, timed by {timing.clock}")
    rows += [f" {told}"] if (told := reported(result)) else []
    return "\n".join(rows)
