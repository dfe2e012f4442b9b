"""What this machine has for a model: its device, the memory that is free, and the formats that it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.allotted import available_bytes
from pipelines.catalogue.shape import Format, Shape


@dataclass(frozen=True)
class Device:
    """A device with `free_bytes` for a model, `count` such ones side by side. `form` is how it holds full weights.

    `has_own_head` says that a head which shares the embedding's weights gets its own, in an order of its own.
    """

    name: str
    free_bytes: int
    form: Format = "bf16"
    count: int = 1
    has_own_head: bool = False

    def held(self, shape: Shape) -> Shape:
        """The shape of what is held here of a model."""
        return replace(shape, is_tied=shape.is_tied and not self.has_own_head)

    def fitting(self, shape: Shape, num_tokens: int, num_visitors: int) -> Format | None:
        """How a model fits one such device: as it is where possible, else in eight bits; None for not at all.

        A mixture of experts is held in eight bits nowhere.
        """
        forms: tuple[Format, ...] = (self.form,) if shape.experts else (self.form, "int8")
        here = self.held(shape)
        needed = ((form, here.memory_bytes(form, num_tokens, num_visitors)) for form in forms)
        return next((form for form, num_bytes in needed if num_bytes <= self.free_bytes), None)


def this_device() -> Device:
    """The one on which a model would run now."""
    import torch

    from pipelines.engine.packed import should_pack_float  # torch takes seconds
    from pipelines.engine.placement import device_of, dtype_of

    device = device_of()
    dtype = dtype_of(device)
    form: Format = "fp32" if dtype == torch.float32 else "bf16"
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
        return Device(torch.cuda.get_device_name(device), free, form, torch.cuda.device_count())
    free = available_bytes()
    if device.type == "mps":
        return Device("Apple GPU", min(free, int(torch.mps.recommended_max_memory())), form)
    return Device("CPU", free, form, has_own_head=should_pack_float(device, dtype))


def memory_in_use() -> int:
    """What models of this process take now, about: on a GPU what torch holds of it, else all of the process."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    return int(psutil.Process().memory_info().rss)
