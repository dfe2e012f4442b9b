"""Which kernels run, in one line for the page and the log."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from pipelines.engine.packed import can_pack_int8
from pipelines.engine.traces import can_trace
from pipelines.engine.weights import Held

PREFILL = {"fla": "flash-linear-attention", "causal_conv1d": "causal-conv1d"}
"""Packages that transformers takes up by itself on a GPU, and runs plain torch where they are not."""


def kernels_of(
    device: torch.device,
    weights: Held,
    *,
    has_experts: bool = False,
    replays: bool = True,
    is_fused: bool = False,
) -> str:
    """As `decode: CUDA graphs, int8 weights; prefill: flash-linear-attention, torch`.

    `replays` says that the engine records its step where it can, `is_fused` that it is made of Triton's kernels.
    """
    is_gpu = device.type == "cuda"
    is_traced = can_trace(device, weights, has_experts=has_experts)
    graphs = "CUDA graphs of Triton kernels" if is_fused else "CUDA graphs"
    recorded = graphs if is_gpu else "TorchScript trace" if is_traced else "torch"
    decode = recorded if replays else "torch"
    held = "" if weights == "full" else f", {weights} weights"
    if weights == "packed" or (weights == "int8" and can_pack_int8(device)):
        held += " by oneDNN"
    found = [name for package, name in PREFILL.items() if is_gpu and find_spec(package)]
    prefill = ["Triton kernels"] if is_fused else found if len(found) == len(PREFILL) else [*found, "torch"]
    return f"decode: {decode}{held}; prefill: {', '.join(prefill)}"
