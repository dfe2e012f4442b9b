"""How a reply that ran out of tokens may go on once it is opened again, as it is written beside its conversation.

The form is `{"model", "tokens": [[id, text, logprob, channel], ...], "settings": {...}}`: which model wrote it, its
tokens, and the settings that its prompt was made with. It is for this machine alone: tokens of a stranger could make
a prompt that no person can type, so they are neither exported nor imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import get_args

from pipelines.conversation import CutOff, Reply
from pipelines.types import (
    Channel,
    EngineInfo,
    Grounding,
    Json,
    Result,
    Said,
    Settings,
    Timing,
    Token,
    TokenCounts,
)

MAX_ID = 2**31
CHOSEN_ANEW = ("max_new_tokens", "max_thinking_tokens", "sampling", "seed", "price_per_hour")
"""Of the settings: the rest takes those of the moment, see `Settings.going_on_from`."""


def cut_off_as_json(cut_off: CutOff) -> Json:
    """What is kept of it. What the model looked at more closely is not: such a reply has no form."""
    result = cut_off.result
    if result.looks:
        return None
    settings = {name: value for name, value in asdict(cut_off.settings).items() if name not in CHOSEN_ANEW}
    tokens = [[said.token.id, said.token.text, said.token.logprob, said.channel] for said in result.said]
    return {"model": result.engine.model, "tokens": tokens, "settings": settings}


def cut_off_of_json(value: Json, reply: Reply) -> CutOff | None:
    """What was written of `reply`, the last one of its conversation; None for anything else."""
    if not isinstance(value, Mapping) or reply.finish_reason != "length":
        return None
    model, tokens, settings = (value.get(name) for name in ("model", "tokens", "settings"))
    if not isinstance(model, str) or not isinstance(tokens, list) or not isinstance(settings, dict):
        return None
    try:
        said, begun = tuple(_said(*token) for token in tokens), Settings(**settings)
    except (TypeError, ValueError):
        return None
    return CutOff(
        Result(
            engine=EngineInfo(model, "", "", 0),
            reasoning=reply.reasoning,
            answer=reply.answer,
            grounding=Grounding((), ()),
            timing=Timing((), 0.0, None, "perf_counter"),
            tokens=TokenCounts(0, 0, 0, 0),
            finish_reason="length",
            media=(),
            thought_end=reply.thought_end,
            token_ids=tuple(one.token.id for one in said),
            said=said,
        ),
        begun,
    )


def _said(id: Json, text: Json, logprob: Json, channel: Json) -> Said:
    if not isinstance(id, int) or not 0 <= id < MAX_ID or not isinstance(text, str):
        raise ValueError("no token")
    if not isinstance(logprob, float | None) or channel not in get_args(Channel):
        raise ValueError("a token of no channel")
    return Said(Token(id, text, logprob), channel)  # type: ignore[arg-type]
