"""Tokens and rates of the stages, for everything that shows them."""

from __future__ import annotations

from typing import get_args

from pipelines.types import Reported, Result, Stage

STAGES: tuple[Stage, ...] = get_args(Stage)
DECODING: tuple[Stage, ...] = ("think", "tool", "answer")
WORKING: tuple[Stage, ...] = ("vision", "prefill", *DECODING)
"""Those that have a rate."""


def stage_tokens(result: Result, stage: Stage) -> int | None:
    """How many tokens belong to a stage; None where tokens are not what it works on."""
    passed = result.timing.stage_tokens
    # the first token of a reply comes with the end of the prefill
    counts: dict[Stage, int] = {
        "think": result.tokens.reasoning,
        "answer": result.tokens.answer - passed.get("tool", 0),
    }
    return counts.get(stage, passed.get(stage, 0)) or None


def stage_rate(result: Result, stage: Stage) -> float | None:
    """Tokens a second that passed through a stage; None where there is nothing to tell."""
    timing = result.timing
    return tokens_per_second(timing.stage_tokens.get(stage, 0), timing.stage_ms.get(stage, 0.0))


def decode_rate(result: Result) -> float | None:
    """Generated tokens a second of all decode steps."""
    timing = result.timing
    num_tokens = sum(timing.stage_tokens.get(stage, 0) for stage in DECODING)
    return tokens_per_second(num_tokens, sum(timing.stage_ms.get(stage, 0.0) for stage in DECODING))


def reported(result: Result) -> str:
    """What a server says of the request, and how likely the model held its answer; nothing where nobody tells."""
    told, sure = result.reported or Reported(), result.certainty
    facts = [
        *([f"{told.prompt:,} tokens of prompt"] if told.prompt is not None else []),
        *([f"{told.cached:,} of them from before"] if told.cached else []),
        *([f"{told.reply:,} of reply"] if told.reply is not None else []),
        *([f"prefill {told.prefill_ms:,.0f} ms"] if told.prefill_ms is not None else []),
        *([f"decoding {told.decode_ms:,.0f} ms"] if told.decode_ms is not None else []),
    ]
    says = f" The server reports {', '.join(facts)}." if facts else ""
    return says + (f" Each token of the answer was {sure:.0%} likely to it." if sure is not None else "")


def tokens_per_second(num_tokens: int, duration_ms: float) -> float | None:
    """A rate, where there is one to tell."""
    return num_tokens / duration_ms * 1000 if num_tokens and duration_ms > 0 else None
