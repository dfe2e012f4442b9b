"""How fast a model could be here, and what memory it takes, told before any of it is loaded.

What a token costs is reading the weights, so the rate at which the device reads is the limit: see
`pipelines.engine.roofline`. That rate is measured, in a fraction of a second; the rest is counted from the config.
"""

from __future__ import annotations

from functools import cache

from pipelines.catalogue.choosing import TOKENS, VISITORS
from pipelines.catalogue.shape import Format, Shape, gigabytes

IN_USE_TOKENS = 1_024
"""Tokens of the conversation for which a rate is told."""
SMALL_PARAMETERS = 10**8
"""A smaller model is loaded before anybody has read what it would need."""


def tokens_per_s(shape: Shape, form: Format) -> float:
    """Tokens a second at most, of one visitor, on the device on which a model would run now."""
    num_bytes = shape.step_bytes(form, IN_USE_TOKENS)
    return bytes_per_s(min(num_bytes, 2**28)) / num_bytes


def forecast(name: str, shape: Shape, form: Format, called: str) -> str:
    """A sentence with the rate and the memory; empty for a small model, which needs none.

    `called` is the number format itself: several are of one size.
    """
    if shape.parameters < SMALL_PARAMETERS:
        return ""
    memory = gigabytes(shape.memory_bytes(form, TOKENS, VISITORS))
    rate = tokens_per_s(shape, form)
    return (
        f"{name} in {called} takes {memory} with a conversation of {TOKENS:,} tokens, and gives at most "
        f"{as_rate(rate)} tokens a second, by what the device reads as busy as it is now."
    )


def as_rate(rate: float) -> str:
    """With a decimal where it is small."""
    return f"{rate:.1f}" if rate < 10 else f"{rate:.0f}"


@cache
def bytes_per_s(num_bytes: int) -> float:
    """How fast the device reads that many bytes, with the threads that a large model would have."""
    import torch  # takes seconds

    from pipelines.engine.placement import ALL_THREADS, device_of
    from pipelines.engine.roofline import bandwidth

    before = torch.get_num_threads()
    torch.set_num_threads(ALL_THREADS)  # which it would have; a small one that is loaded has set one
    try:
        with torch.inference_mode():
            return bandwidth(device_of(), num_bytes)
    finally:
        torch.set_num_threads(before)
