"""Which kernels run, in one line for the page and the log."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from pipelines.types import WeightFormat

PREFILL = {"fla": "flash-linear-attention", "causal_conv1d": "causal-conv1d"}
"""Packages that transformers takes up by itself on a GPU, and runs plain torch where they are not."""


def kernels_of(device: torch.device, weights: WeightFormat) -> str:
    """As `decode: CUDA graphs, int8 weights; prefill: flash-linear-attention, torch`."""
    is_gpu = device.type == "cuda"
    decode = "CUDA graphs" if is_gpu else "torch"
    held = "" if weights == "full" else f", {weights} weights"
    found = [name for package, name in PREFILL.items() if is_gpu and find_spec(package)]
    prefill = found if len(found) == len(PREFILL) else [*found, "torch"]
    return f"decode: {decode}{held}; prefill: {', '.join(prefill)}"
