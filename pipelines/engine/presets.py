"""The sampling that Qwen3.5's model cards advise, by size and mode."""

from __future__ import annotations

import re

from pipelines.types import Sampling

GREEDY = Sampling()
THINKING = Sampling(temperature=1.0, top_p=0.95, top_k=20, presence_penalty=1.5)
THINKING_PRECISE = Sampling(temperature=0.6, top_p=0.95, top_k=20)
FAST = Sampling(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5)
FAST_TEXT_LARGE = Sampling(temperature=1.0, top_p=1.0, top_k=40, presence_penalty=2.0)
FAST_TEXT_SMALL = Sampling(temperature=1.0, top_p=1.0, top_k=20, presence_penalty=2.0)
SMALL_HIDDEN_SIZE = 2048
"""Hidden size of the 2B: up to it, the cards advise the values for the small models."""
SMALL_B = 2.0
"""The same in billions of parameters, as names tell them."""
_NAME = re.compile(
    r"qwen-?3\.5[-_:](?P<size>[0-9]{1,3}(?:\.[0-9])?)b(?P<mixture>-a[0-9]+b)?(?![0-9a-z])", re.IGNORECASE
)


def is_small(hidden_size: int, *, is_mixture: bool) -> bool:
    """Whether a model is one of the small ones of the cards; a mixture of experts is narrow, and none of them."""
    return hidden_size <= SMALL_HIDDEN_SIZE and not is_mixture


def preset(hidden_size: int, *, thinking: bool, has_media: bool, is_mixture: bool = False) -> Sampling:
    """The card's values for a model of `hidden_size`, for a question with or without pictures and clips."""
    return _advised(small=is_small(hidden_size, is_mixture=is_mixture), thinking=thinking, has_media=has_media)


def named_preset(model: str, *, thinking: bool, has_media: bool) -> Sampling | None:
    """The card's values for a model of that name, as "Qwen/Qwen3.5-4B"; None where it tells no size of Qwen3.5."""
    found = _NAME.search(model)
    if found is None:
        return None
    small = float(found["size"]) <= SMALL_B and not found["mixture"]
    return _advised(small=small, thinking=thinking, has_media=has_media)


def _advised(*, small: bool, thinking: bool, has_media: bool) -> Sampling:
    if thinking:
        return THINKING_PRECISE if small and has_media else THINKING
    if has_media:
        return FAST
    return FAST_TEXT_SMALL if small else FAST_TEXT_LARGE
