"""Tokens and rates of the stages, and what they cost, for everything that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import get_args

from pipelines.types import Record, Reported, Result, Stage, Timing

STAGES: tuple[Stage, ...] = get_args(Stage)
DECODING: tuple[Stage, ...] = ("think", "tool", "answer")
WORKING: tuple[Stage, ...] = ("vision", "prefill", *DECODING)
"""Stages that have a rate."""
WAITING: tuple[Stage, ...] = ("queue", "others")
"""Stages in which the machine works for others."""
NAMES: Mapping[Stage, tuple[str, str]] = {
    "queue": ("Queue", "waiting for those who came before, at this host and at the engine"),
    "open": ("Open", "reading the files, and decoding pictures"),
    "frames": ("Frames", "decoding the frames of clips"),
    "fuse": ("Fuse", "words and pixels into one prompt"),
    "restore": ("Restore", "bringing back what was kept of the conversation"),
    "send": ("Send", "pixels to the device, cut into patches there; or the question to a server"),
    "vision": ("Vision", "the vision tower"),
    "prefill": ("Prefill", "the prompt through the language model, up to the first token"),
    "think": ("Think", "the reasoning, token by token"),
    "tool": ("Tool", "the tool calls, token by token"),
    "look": ("Look closer", "what the calls asked for: parts cut out of pictures, more frames of clips"),
    "answer": ("Answer", "the answer, token by token"),
    "others": ("Others", "the model's turns for other requests"),
    "deliver": ("Overhead", "between whoever asks and the model: the page, and places read out of the answer"),
}
GROUPS: Mapping[str, tuple[Stage, ...]] = {
    "waiting": ("queue", "others"),
    "files": ("open", "frames", "fuse"),
    "seeing": ("restore", "send", "vision", "look"),
    "prefill": ("prefill",),
    "thinking": ("think", "tool"),
    "answering": ("answer",),
    "overhead": ("deliver",),
}
"""The stages as colours show them."""
GROUP_OF: Mapping[Stage, str] = {stage: group for group, stages in GROUPS.items() for stage in stages}

REVISION = "@main"
"""What transformers' server puts behind the name of a model."""
HOUR_MS = 3_600_000
LEAST_TELLING = 32
"""Tokens: the time of fewer is that of what begins them."""


def stage_rate(result: Result | Record, stage: Stage) -> float | None:
    """Tokens a second that passed through a stage; None where there is nothing to tell."""
    return tokens_per_second(tokens_through(result, stage), result.timing.stage_ms.get(stage, 0.0))


def decode_rate(result: Result | Record) -> float | None:
    """Generated tokens a second of all decode steps."""
    num_tokens = sum(tokens_through(result, stage) for stage in DECODING)
    return tokens_per_second(num_tokens, sum(result.timing.stage_ms.get(stage, 0.0) for stage in DECODING))


def tokens_through(result: Result | Record, stage: Stage) -> int:
    """Tokens that went through a stage; a server may send several at a time, and says how many there were."""
    told: dict[Stage, int] = {"think": result.tokens.reasoning, "answer": result.tokens.answer}
    counted = result.timing.stage_tokens.get(stage, 0)
    return max(counted, told.get(stage, 0)) if result.engine.server and counted else counted


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
    other = called_otherwise(result)
    says += f" {other}" if other else ""
    return says + (f" Each token of the answer was {sure:.0%} likely to it." if sure is not None else "")


def called_otherwise(result: Result) -> str:
    """What a server calls the model that answered, where that is not the one that was asked for; else nothing."""
    name = result.reported.model if result.reported else ""
    is_other = name.removesuffix(REVISION) not in ("", result.engine.model)
    return f'The server calls the model that answered "{name}".' if is_other else ""


def tokens_per_second(num_tokens: int, duration_ms: float) -> float | None:
    """A rate, where there is one to tell."""
    return num_tokens / duration_ms * 1000 if num_tokens and duration_ms > 0 else None


def cost(record: Record) -> float | None:
    """The price of the request's share of the machine, where an hour has one."""
    return cost_of(record.timing, record.price_per_hour)


def cost_of(timing: Timing, price_per_hour: float) -> float | None:
    """The price of what a reply took. A decode step is shared by its rows; waiting for others is theirs."""
    spans = [span for span in timing.spans if span.stage not in WAITING]
    used_ms = sum(span.duration_ms / span.num_rows for span in spans)
    return price_per_hour * used_ms / HOUR_MS if price_per_hour else None


def in_digits(spent: float) -> str:
    """A price in two digits that count, and never as a power: `0.000056`."""
    return f"{Decimal(f'{spent:.2g}'):f}"


def saved_ms(record: Record, others: Sequence[Record] = ()) -> float | None:
    """About what was saved by what was kept: its prefill and its look, at the rates of the longest that is known.

    Those are looked for in this request and in `others`, as far as the same engine wrote them. None where nothing was
    kept, or where none is long enough for its time to tell a rate.
    """
    tokens = record.tokens
    parts: tuple[tuple[int, Stage], ...] = (tokens.kept, "prefill"), (tokens.kept_visual, "vision")
    known = [one for one in (*others, record) if one.engine == record.engine]
    rates = [(kept, _rate_of_longest(known, stage)) for kept, stage in parts if kept]
    told = [kept / rate * 1000 for kept, rate in rates if rate]
    return sum(told) if told else None


def _rate_of_longest(records: Sequence[Record], stage: Stage) -> float | None:
    longest = max(records, key=lambda one: one.timing.stage_tokens.get(stage, 0))
    return stage_rate(longest, stage) if longest.timing.stage_tokens.get(stage, 0) >= LEAST_TELLING else None
