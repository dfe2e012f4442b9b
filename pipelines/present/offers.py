"""The models that a page offers: each with its size, what it needs, whether that is here, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.catalogue.choosing import TOKENS, VISITORS, IsHere
from pipelines.catalogue.device import Device
from pipelines.catalogue.forecast import as_rate, tokens_per_s
from pipelines.catalogue.known import DEMO, DEMO_FOLDER, KNOWN, KnownModel, model_in
from pipelines.catalogue.shape import Format, gigabytes
from pipelines.types import WeightFormat


@dataclass(frozen=True)
class Offer:
    """A model by its name; `form` is how it fits beside the present one, None where it does not.

    `memory_bytes` is what it needs in that form, or where it fits in none in the smallest; `weight_bytes` what of it
    are weights, and `download_bytes` what is still to come, at most.
    """

    name: str
    hub_id: str
    parameters: int
    memory_bytes: int
    weight_bytes: int
    download_bytes: int
    form: Format | None
    is_here: bool
    is_present: bool = False

    @property
    def weights(self) -> WeightFormat:
        """How its weights are to be held."""
        return "int8" if self.form == "int8" else "full"

    @property
    def label(self) -> str:
        """All of it in a line."""
        fits = "fits" if self.form else "does not fit"
        if self.form == "int8":
            fits = "fits in 8 bits"
        parts = [
            self.name,
            _count(self.parameters),
            f"needs {gigabytes(self.memory_bytes)}",
            "answers now" if self.is_present else fits,
            "is here" if self.is_here else f"{gigabytes(self.download_bytes)} to download",
        ]
        return " · ".join(parts)

    @property
    def rate(self) -> str:
        """Tokens a second at most; empty where that is of no use. The device is measured for it, once."""
        known = next((model for model in KNOWN if model.name == self.name), None)
        if known is None or self.form is None:
            return ""
        return f"at most {as_rate(tokens_per_s(known.shape, self.form))} tok/s"

    @property
    def pressed(self) -> str:
        """What the button does with it."""
        if self.is_present:
            return "In use"
        if self.form is None:
            return "Does not fit"
        return "Use it" if self.is_here else "Download and use it"


def offers(present: str, device: Device, is_here: IsHere) -> list[Offer]:
    """The present model where it is one of these, then the shipped one, then the published ones, smallest first."""
    listed = list(_listed(present, device, is_here))
    return sorted(listed, key=lambda offer: not offer.is_present)


def _listed(present: str, device: Device, is_here: IsHere) -> Iterator[Offer]:
    yield _offer(KnownModel(DEMO, "", model_in(DEMO_FOLDER, DEMO).shape), present, device, is_here=True)
    for known in KNOWN:
        yield _offer(known, present, device, is_here=known.name == present or is_here(known) is not None)


def _offer(model: KnownModel, present: str, device: Device, *, is_here: bool) -> Offer:
    shape, here = model.shape, device.held(model.shape)
    form = device.fitting(shape, TOKENS, VISITORS)
    held = form or "int8"
    return Offer(
        name=model.name,
        hub_id=model.hub_id,
        parameters=shape.parameters,
        memory_bytes=here.memory_bytes(held, TOKENS, VISITORS),
        weight_bytes=here.weight_bytes(held),
        download_bytes=shape.download_bytes,
        form=form,
        is_here=is_here,
        is_present=model.name == present,
    )


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B parameters" if parameters >= 1e8 else f"{parameters / 1e6:.1f} M parameters"
