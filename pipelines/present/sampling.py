"""The official presets of sampling as the page offers them, and the fields that one of them fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

from pipelines.catalogue.known import DEMO, HUB_IDS
from pipelines.engine.presets import (
    FAST,
    FAST_TEXT_LARGE,
    FAST_TEXT_SMALL,
    GREEDY,
    THINKING,
    THINKING_PRECISE,
    named_preset,
)
from pipelines.types import Sampling

ADVISED, CUSTOM = "As the model's card advises", "Custom"
PRESETS: Mapping[str, Sampling] = {
    "Thinking, general": THINKING,
    "Thinking, precise": THINKING_PRECISE,
    "Not thinking, pictures and clips": FAST,
    "Not thinking, words alone (0.8B, 2B)": FAST_TEXT_SMALL,
    "Not thinking, words alone (4B, 9B)": FAST_TEXT_LARGE,
    "Always the likeliest token": GREEDY,
}
NAMES = (ADVISED, *PRESETS, CUSTOM)

Fields = tuple[float, float, int, float, float, float]
"""The fields of `Sampling`, in its order: temperature, top-p, top-k, min-p, presence and repetition penalty."""


def filling(name: str, model: str, *, thinking: bool) -> Fields | None:
    """What a preset puts into the fields; None where they stay as they are.

    What the card advises depends on the model's size, as its name tells it, and is shown here as for a question about
    a picture or a clip. The shipped model always takes the likeliest token.
    """
    if name in PRESETS:
        return _fields(PRESETS[name])
    if name != ADVISED:
        return None
    if model == DEMO:
        return _fields(GREEDY)
    named = named_preset(HUB_IDS.get(model, model), thinking=thinking, has_media=True)
    return _fields(named) if named else None


def chosen(name: str, fields: Fields) -> Sampling | None:
    """The sampling of a request: None leaves it to the model's own. Any numbers are brought into their bounds."""
    if name == ADVISED:
        return None
    temperature, top_p, top_k, min_p, presence, repetition = fields
    return PRESETS.get(name) or Sampling(
        temperature=max(0.0, float(temperature)),
        top_p=min(1.0, max(0.01, float(top_p))),
        top_k=max(0, int(top_k)),
        min_p=min(1.0, max(0.0, float(min_p))),
        presence_penalty=float(presence),
        repetition_penalty=max(0.01, float(repetition)),
    )


def _fields(sampling: Sampling) -> Fields:
    temperature, top_p, top_k, min_p, presence, repetition = astuple(sampling)
    return temperature, top_p, top_k, min_p, presence, repetition
