"""The sampling that Qwen3.5's model cards advise, by size and mode."""

from __future__ import annotations

from pipelines.types import Sampling

GREEDY = Sampling()
THINKING = Sampling(temperature=1.0, top_p=0.95, top_k=20, presence_penalty=1.5)
THINKING_PRECISE = Sampling(temperature=0.6, top_p=0.95, top_k=20)
FAST = Sampling(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5)
FAST_TEXT_LARGE = Sampling(temperature=1.0, top_p=1.0, top_k=40, presence_penalty=2.0)
FAST_TEXT_SMALL = Sampling(temperature=1.0, top_p=1.0, top_k=20, presence_penalty=2.0)
SMALL_HIDDEN_SIZE = 2048
"""Hidden size of the 2B: up to it, the cards advise the values for the small models."""


def preset(hidden_size: int, *, thinking: bool, has_media: bool, is_mixture: bool = False) -> Sampling:
    """The card's values for a model of `hidden_size`, for a question with or without pictures and clips.

    A mixture of experts is narrow, and none of the small ones.
    """
    is_small = hidden_size <= SMALL_HIDDEN_SIZE and not is_mixture
    if thinking:
        return THINKING_PRECISE if is_small and has_media else THINKING
    if has_media:
        return FAST
    return FAST_TEXT_SMALL if is_small else FAST_TEXT_LARGE
