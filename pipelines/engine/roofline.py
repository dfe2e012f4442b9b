"""How fast the device could be at best, after the roofline model (Williams et al. 2009).

Of a decode step every weight that its token passes is read once, so that bytes bound it; of a prompt each of them
multiplies every token, so that products do. Both rates are measured on the device itself, with the threads and the
number format of the model, and the bytes are those of the tensors as they lie in memory, quantised ones too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from pipelines.clocks import Clock, CudaClock, HostClock
from pipelines.engine.slots import SlotCache
from pipelines.types import Roofline

MAX_READ_BYTES = {"cpu": 256 * 2**20, "cuda": 2**30, "mps": 2**29}
MATRIX_SHAPES = {"cpu": (512, 1024, 1024), "cuda": (4096, 4096, 4096), "mps": (2048, 2048, 2048)}
READ_WIDTH = 1024
BUDGET_S = 0.2
"""Time for each of the three measurements, after its first try."""
MIN_TRIES = 3


def measure(model: Any, slots: SlotCache) -> Roofline:
    """The best that the device does with this model. It takes about half a second, and nothing may run beside it."""
    passed = list(_passed(model.model.language_model.layers, model.config.text_config))
    weight_bytes = sum(round(real_bytes(weight) * part) for weight, part in [*passed, (model.lm_head.weight, 1.0)])
    slots.reserve(1)
    state_bytes = token_bytes = 0
    for is_linear, pair in zip(slots.is_linear, slots.layers, strict=True):
        num_bytes = sum(tensor.nbytes for tensor in pair) // slots.rows
        if is_linear:
            state_bytes += 2 * num_bytes  # read and written
        else:
            token_bytes += num_bytes // slots.capacity
    return Roofline(
        bytes_per_s=bandwidth(model.device, weight_bytes),
        flops_per_s=_matrix_rate(model.device, model.dtype),
        weight_bytes=weight_bytes,
        state_bytes=state_bytes,
        token_bytes=token_bytes,
        token_flops=2 * sum(round(weight.numel() * part) for weight, part in passed if _is_product(weight)),
    )


def real_bytes(tensor: torch.Tensor) -> int:
    """The memory of a tensor, or of those that one is made of: a quantised tensor tells of what it stands for."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return tensor.nbytes
    names, _ = tensor.__tensor_flatten__()
    return sum(real_bytes(getattr(tensor, name)) for name in names)


def _passed(layers: Any, config: Any) -> Iterator[tuple[torch.Tensor, float]]:
    """The weights of the layers, each with the part of it that a token passes: of the experts, those it chooses."""
    chosen = config.num_experts_per_tok / config.num_experts if hasattr(config, "num_experts") else 1.0
    for name, weight in layers.named_parameters():
        yield weight, chosen if ".experts." in name else 1.0


def _is_product(weight: torch.Tensor) -> bool:
    """Whether it is a matrix, or one for each expert, and no convolution or norm."""
    return weight.ndim == 2 or (weight.ndim == 3 and weight.shape[1] > 1)


def bandwidth(device: torch.device, num_bytes: int) -> float:
    """Bytes a second, of reading as much as a step does: what fits a cache is read from there."""
    most = MAX_READ_BYTES[device.type]
    if device.type == "cuda":
        most = min(most, torch.cuda.mem_get_info(device)[0] // 4)
    numbers = torch.ones(max(min(num_bytes, most), 2**20) // (4 * READ_WIDTH), READ_WIDTH, device=device)
    vector = torch.ones(READ_WIDTH, device=device)
    # by a sum and by a product with a vector: which of them keeps up with the memory differs from machine to machine
    return numbers.nbytes / min(best_s(read, device) for read in (numbers.sum, lambda: torch.mv(numbers, vector)))


def _matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a matrix product, two for each multiplication that is added."""
    rows, inner, columns = MATRIX_SHAPES[device.type]
    # numbers that are all one need less power, with which a GPU multiplies quicker than it ever will
    left = torch.randn(rows, inner, dtype=dtype, device=device)
    right = torch.randn(columns, inner, dtype=dtype, device=device)
    return 2 * rows * inner * columns / best_s(lambda: torch.nn.functional.linear(left, right), device)


def best_s(work: Callable[[], object], device: torch.device) -> float:
    """The least seconds of several tries."""
    # on a GPU from event to event: a launch and a wait take longer than a read of small weights
    clock: Clock = CudaClock() if device.type == "cuda" else HostClock()
    best_ms, began_s, num_tries = float("inf"), time.perf_counter(), 0
    while num_tries < MIN_TRIES or time.perf_counter() - began_s < BUDGET_S:
        start = clock.mark()
        work()
        took_ms = clock.elapsed_ms(start, clock.mark())
        best_ms, num_tries = min(best_ms, took_ms), num_tries + 1
        if took_ms > BUDGET_S * 1000:
            break
    return best_ms / 1000
