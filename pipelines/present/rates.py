"""Tokens and rates of the stages, for everything that shows them."""

from __future__ import annotations

from pipelines.types import Result, Stage

STAGES: tuple[Stage, ...] = ("queue", "open", "fuse", "vision", "prefill", "think", "answer")
WORKING: tuple[Stage, ...] = ("vision", "prefill", "think", "answer")
"""Those that work through tokens."""


def stage_tokens(result: Result, stage: Stage) -> int | None:
    """How many tokens a stage worked through; None where tokens are not what it works on."""
    tokens = result.tokens
    counts: dict[Stage, int] = {
        "vision": tokens.visual - tokens.kept_visual,
        "prefill": tokens.text + tokens.visual - tokens.kept,
        "think": tokens.reasoning,
        "answer": tokens.answer,
    }
    return counts.get(stage)


def stage_rate(result: Result, stage: Stage) -> float | None:
    """Tokens a second of a stage; None where there is nothing to tell."""
    return tokens_per_second(stage_tokens(result, stage) or 0, result.timing.stage_ms.get(stage, 0.0))


def decode_rate(result: Result) -> float | None:
    """Generated tokens a second over thinking and answering."""
    spent_ms = result.timing.stage_ms.get("think", 0.0) + result.timing.stage_ms.get("answer", 0.0)
    return tokens_per_second(result.tokens.reasoning + result.tokens.answer, spent_ms)


def tokens_per_second(num_tokens: int, duration_ms: float) -> float | None:
    """A rate, where there is one to tell."""
    return num_tokens / duration_ms * 1000 if num_tokens and duration_ms > 0 else None
