"""A product with its bias and what is made of it, in one operation: of oneDNN on a CPU, of cuBLASLt on an NVIDIA GPU.

On a CPU torch copies a bias before it multiplies bfloat16, and its GELU by tanh reads and writes all outputs once more.
In one operation both are done while the outputs are at hand. Torch brings both libraries along.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

Affine = Callable[[torch.Tensor], torch.Tensor]
"""Outputs [rows, outputs] of values [rows, inputs], in their dtype."""
LEAST_ROWS = 512
"""With fewer rows, preparing the operation, which is done for each new number of them, takes longer than it saves."""


def affine(linear: Any) -> Affine:
    """A linear layer with its weights as they lie in memory."""
    weight, bias = linear.weight.detach(), linear.bias.detach()
    plain = partial(F.linear, weight=weight, bias=bias)
    if weight.dtype == torch.bfloat16 and _has_onednn(weight):
        return partial(_by_rows, plain, partial(_onednn, weight, bias, "none", ""))
    return plain


def affine_gelu(linear: Any) -> Affine:
    """A linear layer and the GELU behind it, by tanh."""
    weight, bias = linear.weight.detach(), linear.bias.detach()
    plain = partial(_plain_gelu, weight, bias)
    if _has_onednn(weight):
        return partial(_by_rows, plain, partial(_onednn, weight, bias, "gelu", "tanh"))
    if weight.device.type == "cuda" and torch.version.cuda is not None:
        return partial(_cublas_gelu, weight, bias)
    return plain


def _by_rows(of_few: Affine, of_many: Affine, values: torch.Tensor) -> torch.Tensor:
    return of_many(values) if len(values) >= LEAST_ROWS else of_few(values)


def _onednn(weight: torch.Tensor, bias: torch.Tensor, after: str, form: str, values: torch.Tensor) -> torch.Tensor:
    outputs: torch.Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, bias, after, [], form)
    return outputs


def _cublas_gelu(weight: torch.Tensor, bias: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """By tanh on a GPU, also where the library cannot; on a CPU it would be the exact one."""
    outputs: torch.Tensor = torch._addmm_activation(bias, values, weight.t(), use_gelu=True)
    return outputs


def _plain_gelu(weight: torch.Tensor, bias: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return F.gelu(F.linear(values, weight, bias), approximate="tanh")


def _has_onednn(weight: torch.Tensor) -> bool:
    """Whether it is quick at these weights: elsewhere than on x86 it may fall to a loop of reference."""
    has_library = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if weight.device.type != "cpu" or not has_library or not torch.cpu._is_avx2_supported():
        return False
    is_bf16 = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return is_bf16 or weight.dtype == torch.float32
