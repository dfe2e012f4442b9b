"""Where a model runs and in which number format."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pipelines.allotted import num_processors
from pipelines.engine.packed import can_pack_int8
from pipelines.types import WeightFormat

SMALL_BYTES = 200 * 2**20
"""Weights up to this size run best in fp32 on one thread of any CPU: a step costs its launches, not its memory, and
threads that wait for each other at each launch lose most of their speed as soon as the machine has other work."""


ALL_THREADS = min(torch.get_num_threads(), num_processors())
"""As many as torch likes, which knows of no container: asked for before a small model takes one, which each new thread
has from then on."""

BF16_MAJOR = 8
"""Compute capability of NVIDIA's GPUs that multiply bf16; of AMD's, all that torch runs on do."""

SPREAD = "balanced"
"""In accelerate's words: the layers shared out over all GPUs, each running its own in turn."""

Put = Callable[[nn.Module], None]
"""Brings a part of a model to where it belongs."""


def stay(module: nn.Module) -> None:
    """Leave it where it is."""


@dataclass(frozen=True)
class Placement:
    """`device_map` as accelerate takes it, dtype of the weights, the device's name, threads (0: as torch likes)."""

    device_map: str
    dtype: torch.dtype
    device_name: str
    num_threads: int = 0

    @property
    def device(self) -> torch.device:
        """Where the weights go; of several GPUs, where the prompt goes in."""
        return torch.device("cuda:0" if self.device_map == SPREAD else self.device_map)

    @property
    def is_cuda(self) -> bool:
        """Whether CUDA events can time it."""
        return self.device.type == "cuda"

    @property
    def dtype_name(self) -> str:
        """As `bfloat16`."""
        return str(self.dtype).removeprefix("torch.")

    def is_staged(self, weights: WeightFormat) -> bool:
        """Whether weights in that format are loaded into the host's memory first, and `put` where they belong in parts.

        In eight bits they may fit a device that they would not fit as they are.
        """
        return weights != "full" and self.device_map != SPREAD

    def claim_threads(self) -> None:
        """Give the calling thread as many as suit the model: torch has a number for each that calls it.

        One that begins has the number which any other asked for last.
        """
        if self.num_threads:
            torch.set_num_threads(self.num_threads)

    def put(self, module: nn.Module) -> None:
        """Bring a part of a model there, its weights in their number format; buffers keep theirs."""
        for weight in module.parameters():
            if weight.is_floating_point():
                weight.data = weight.data.to(self.device, self.dtype)
        module.to(self.device)


def device_of(index: int = 0) -> torch.device:
    """The best device of this machine; of several GPUs, the one of that number."""
    if torch.cuda.is_available():
        return torch.device("cuda", index)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype_of(device: torch.device) -> torch.dtype:
    """The number format of large weights there."""
    if device.type == "cuda":
        # torch itself tells of the current one of several GPUs, which need not be alike
        has_bf16 = torch.version.hip is not None or torch.cuda.get_device_properties(device).major >= BF16_MAJOR
        return torch.bfloat16 if has_bf16 else torch.float16
    if device.type == "mps":
        return torch.bfloat16
    return torch.bfloat16 if _cpu_has_bf16() else torch.float32


def choose_placement(
    folder: Path, weights: WeightFormat = "full", index: int = 0, *, is_spread: bool = False
) -> Placement:
    """The best of this machine for the weights in `folder`: of several GPUs the one of that `index`, or all of them.

    A GPU: bf16 where it has it (a T4 has not), else fp16; Apple's: bf16. A CPU: fp32, and bf16 for large weights where
    the CPU multiplies bf16 itself; on others bf16 is slower by far. Beside int8 weights it is bf16, but for small ones
    where the CPU has a product of int8 of its own: that of torch is quick with bf16 alone.
    """
    device = device_of(index)
    if device.type == "cuda":
        name, count = torch.cuda.get_device_name(device), torch.cuda.device_count()
        if is_spread:  # in a format that all of them have
            has_bf16 = all(dtype_of(device_of(number)) == torch.bfloat16 for number in range(count))
            return Placement(SPREAD, torch.bfloat16 if has_bf16 else torch.float16, f"{count} x {name}")
        return Placement(str(device), dtype_of(device), name)
    if device.type == "mps":
        return Placement("mps", dtype_of(device), f"Apple GPU ({platform.machine()})")
    is_small = sum(file.stat().st_size for file in folder.glob("*.safetensors")) <= SMALL_BYTES
    num_threads = 1 if is_small else ALL_THREADS
    if is_small and (weights == "full" or can_pack_int8(device)):
        dtype = torch.float32
    else:
        dtype = torch.bfloat16 if weights == "int8" else dtype_of(device)
    name = f"CPU ({platform.machine()}, {num_threads} thread{'s' * (num_threads != 1)})"
    return Placement("cpu", dtype, name, num_threads)


def must_spread(folder: Path, weights: WeightFormat) -> bool:
    """Whether the weights in `folder` are more than one GPU has free, and there are others."""
    if not torch.cuda.is_available() or torch.cuda.device_count() < 2:
        return False
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    needed = stored if weights == "full" else stored // 2
    return needed > torch.cuda.mem_get_info(0)[0]


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
