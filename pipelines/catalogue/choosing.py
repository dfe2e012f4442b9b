"""Which model `auto` stands for: the largest that is here and fits, else the one that ships."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pipelines.catalogue.device import Device
from pipelines.catalogue.download import HubModel, downloaded
from pipelines.catalogue.known import DEMO, KNOWN, KnownModel
from pipelines.types import WeightFormat

AUTO = "auto"
TOKENS = 8_192
"""Tokens of a conversation with a picture or two and a thought."""
VISITORS = 1
IsHere = Callable[[KnownModel], Path | None]


def here(model: KnownModel) -> Path | None:
    """Where a known model lies on this machine."""
    return downloaded(HubModel(model.hub_id))


def choose(device: Device, is_here: IsHere = here, models: Iterable[KnownModel] = KNOWN) -> tuple[str, WeightFormat]:
    """The name of the model and how its weights are to be held. Nothing is downloaded for it."""
    for model in sorted(models, key=lambda model: -model.shape.parameters):
        form = device.fitting(model.shape, TOKENS, VISITORS)
        if form is not None and is_here(model) is not None:
            return model.name, "int8" if form == "int8" else "full"
    return DEMO, "full"
