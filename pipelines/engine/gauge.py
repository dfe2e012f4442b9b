"""What the requests hold and draw while they run: memory of the model's device, and its energy.

Both belong to the device and not to one request: what one is told is what the device held at most, and drew, while
that request ran, whoever else did. On a GPU the allocator counts its highest point itself; on a CPU it is the memory of
this process, looked at between the pieces of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pipelines.types import Usage

Joules = Callable[[], "float | None"]
Bytes = Callable[[], tuple[int, int]]
"""The most since it was last asked, and now."""


@dataclass
class _Live:
    peak_bytes: int
    joules: float | None


class Gauge:
    """The requests that run, each with the most memory since it began."""

    def __init__(self, device: torch.device, memory: Bytes | None = None, joules: Joules | None = None) -> None:
        self._memory = memory or _memory_of(device)
        self._joules = joules or _joules_of(device)
        self._live: dict[object, _Live] = {}

    def begin(self, who: object) -> None:
        """A request begins."""
        _, now = self.look()
        self._live[who] = _Live(now, self._joules())

    def look(self) -> tuple[int, int]:
        """Hold on to the most that was used since the last look."""
        most, now = self._memory()
        for one in self._live.values():
            one.peak_bytes = max(one.peak_bytes, most)
        return most, now

    def drop(self, who: object) -> None:
        """Ask no more for one, whose end nobody is told."""
        self._live.pop(who, None)

    def end(self, who: object) -> Usage | None:
        """What it came to; None for a request that never began."""
        if who not in self._live:
            return None
        _, now = self.look()
        one, joules = self._live.pop(who), self._joules()
        drawn = None if joules is None or one.joules is None else joules - one.joules
        return Usage(one.peak_bytes, now, drawn)


def _memory_of(device: torch.device) -> Bytes:
    if device.type == "cuda":

        def allocated() -> tuple[int, int]:
            found = torch.cuda.memory_stats_as_nested_dict(device)["allocated_bytes"]["all"]
            torch.cuda.reset_peak_memory_stats(device)
            return found["peak"], found["current"]

        return allocated
    import psutil

    process = psutil.Process()

    def resident() -> tuple[int, int]:
        now = int(process.memory_info().rss)
        return now, now

    return resident


def _joules_of(device: torch.device) -> Joules:
    """What a GPU has drawn since its driver was loaded, where NVML is there and counts it (Volta and later)."""
    if device.type != "cuda":
        return lambda: None
    try:
        import pynvml
    except ImportError:  # not on every platform
        return lambda: None
    # by its own name: CUDA_VISIBLE_DEVICES changes the numbers
    return counted_joules(pynvml, f"GPU-{torch.cuda.get_device_properties(device).uuid}")


def counted_joules(nvml: Any, name: str) -> Joules:
    """What the GPU of that UUID has drawn, by an NVML; None wherever that has no answer, now or later."""

    def drawn() -> float | None:
        try:
            nvml.nvmlInit()  # counts who began it, and is there for as long as the program
            handle = nvml.nvmlDeviceGetHandleByUUID(name)
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except nvml.NVMLError:
            return None

    return drawn if drawn() is not None else lambda: None
