"""The weights that a decode step multiplies by: as the checkpoint gives them, or in eight bits a number.

On CPUs that are quicker so, the former too are held in an order of oneDNN's (see `pipelines.engine.packed`).

Of a step of one token the bytes of the weights are what it costs, so that half of them is twice the speed at best.
torchao quantises, a row of a matrix at a time: int8 (symmetric) with activations as they are, or as good as that (see
`pipelines.engine.packed`), fp8 (e4m3) with activations in fp8 too, for GPUs that multiply it. The head is among them:
it is a third of the 0.8B. The embedding, the convolutions and the vision tower stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.packed import PackedFloat, PackedInt8, can_pack_int8, should_pack_float
from pipelines.types import UserError, WeightFormat

Quantise = Callable[[torch.Tensor], torch.Tensor]
Held = WeightFormat | Literal["packed"]
"""How weights are held: in the format that is asked for, or full and packed."""

FP8_CAPABILITY = (8, 9)
INT8_GROUP = 32
"""Torch's int8 kernel reads so many inputs at once, and goes astray where their number is no multiple of it."""


CACHED_BYTES = 4 * 2**20
"""The largest matrix that a CPU finds in its cache at every step."""
WIDENED_BYTES = 256 * 2**20
"""Int8 weights that are widened at once on a GPU."""
QUANTISED_NUMBERS = 2**24
"""Weights that are quantised at once on a GPU: several numbers of four bytes stand for each meanwhile."""
FEW_ROWS = 16
"""Up to so many a CPU is quicker with weights of bf16 at the left of the product."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Weights [outputs, inputs] as they lie in memory, with a scale [outputs] where they are quantised.

    `product` alone knows them where a library keeps them in an order of its own.
    """

    product: Callable[[torch.Tensor], torch.Tensor]
    weight: torch.Tensor
    scale: torch.Tensor | None = None

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """The product with values [rows, inputs], [rows, outputs]."""
        return self.product(values)


def check_weights(weights: WeightFormat, device: torch.device) -> None:
    """Raise UserError where the device or this installation has no such weights."""
    if weights == "full":
        return
    if weights == "fp8" and (
        device.type != "cuda" or torch.cuda.get_device_capability(device) < FP8_CAPABILITY  # Ada and Hopper have it
    ):
        raise UserError("fp8 weights need a GPU of compute capability 8.9 or newer: use --weights int8.")
    try:
        _torchao()
    except ImportError as error:
        raise UserError(f"{weights} weights need torchao: install it with `pip install torchao`.") from error


def check_model(weights: WeightFormat, config: Any) -> None:
    """Raise UserError where a model of this text config cannot be held so: most of a mixture are its experts."""
    if weights != "full" and hasattr(config, "num_experts"):
        raise UserError(f"A mixture of experts has no {weights} weights here: leave --weights out.")


def held_as(weights: WeightFormat, model: Any) -> Held:
    """How the text layers of a model should hold weights of that format: packed where a CPU is quicker so.

    Not where the largest of them stay in its cache: these are quicker as they are, in a trace, which has no place for
    packed ones.
    """
    largest = max(weight.nbytes for weight in model.parameters() if weight.ndim == 2)
    should_pack = largest > CACHED_BYTES and should_pack_float(model.device, model.dtype)
    return "packed" if weights == "full" and should_pack else weights


def joined(linears: Sequence[Any], held: Held) -> Matrix:
    """One product for linear layers that read the same input; their own weights become parts of its."""
    if isinstance(linears[0].forward, _Part):  # as an engine before has packed them
        return linears[0].forward.whole
    dense = _whole([linear.weight.detach() for linear in linears])
    is_full = held in ("full", "packed")
    if is_full and _is_better_turned(dense):
        dense = dense.t().contiguous().t()
    elif held == "packed":
        return _packed(linears, PackedFloat(dense))
    if held == "int8" and dense.device.type == "cuda":
        return _widened(linears, *_int8_in_parts(dense))
    weight = dense if is_full else _QUANTISE[held](dense)
    if held == "int8" and can_pack_int8(dense.device):
        return _packed(linears, PackedInt8(weight.qdata, weight.scale.flatten().float()))  # type: ignore[attr-defined]
    for linear, (start, end) in zip(linears, _bounds(linears), strict=True):
        linear.weight = nn.Parameter(weight[start:end], requires_grad=False)
    plain = partial(_plain_product, weight)
    if is_full:
        is_bf16 = weight.dtype == torch.bfloat16 and weight.device.type == "cpu"
        return Matrix(partial(_bf16_product, weight) if is_bf16 else plain, weight)
    numbers: torch.Tensor = weight.qdata  # type: ignore[attr-defined]
    scale: torch.Tensor = weight.scale.flatten().to(dense.dtype)  # type: ignore[attr-defined]
    is_int8 = held == "int8" and _has_int8_product(weight)
    return Matrix(partial(_int8_product, numbers, scale) if is_int8 else plain, numbers, scale)


def _whole(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Matrices below each other as one; where an engine before has joined them, that one."""
    first, size = parts[0], sum(map(len, parts))
    if all(type(part) is torch.Tensor for part in parts):
        starts = accumulate((len(part) for part in parts[:-1]), initial=0)
        places = [(first.untyped_storage()._cdata, first.stride(), start * first.stride(0)) for start in starts]
        begin = first.storage_offset()
        if places == [(one.untyped_storage()._cdata, one.stride(), one.storage_offset() - begin) for one in parts]:
            return first.as_strided((size, first.shape[1]), first.stride(), begin)
    return first if len(parts) == 1 else torch.cat(list(parts))


@dataclass(frozen=True, eq=False)
class _Part:
    """The outputs of a layer from `start` to `end` of the product of several layers."""

    whole: Matrix
    start: int
    end: int

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """As of the layer itself: values [..., inputs] to [..., outputs]."""
        outputs = self.whole(values.flatten(0, -2))[:, self.start : self.end]
        return outputs.unflatten(0, values.shape[:-1])  # type: ignore[no-any-return, no-untyped-call]


def _packed(linears: Sequence[Any], product: PackedFloat | PackedInt8) -> Matrix:
    """The weights cannot be taken apart: the first layer holds those of all, and each gives its part of the product."""
    whole, numbers = Matrix(product, product.numbers, product.scale), product.numbers
    for linear, (start, end) in zip(linears, _bounds(linears), strict=True):
        own = torch.empty(0, linear.in_features, dtype=numbers.dtype) if start else numbers
        linear.weight = nn.Parameter(own, requires_grad=False)
        linear.forward = _Part(whole, start, end)
    return whole


def _widened(linears: Sequence[Any], numbers: torch.Tensor, scale: torch.Tensor) -> Matrix:
    """The layers multiply by their parts of the same numbers in the same way."""
    for linear, (start, end) in zip(linears, _bounds(linears), strict=True):
        linear.weight = nn.Parameter(numbers[start:end], requires_grad=False)
        linear.forward = partial(_widened_product, numbers[start:end], scale[start:end])
    return Matrix(partial(_widened_product, numbers, scale), numbers, scale)


def _is_better_turned(weight: torch.Tensor) -> bool:
    """Whether a CPU multiplies quicker by weights that lie input by input: by float32 that stays in its cache."""
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.nbytes <= CACHED_BYTES


def _bounds(linears: Sequence[Any]) -> list[tuple[int, int]]:
    """Where the outputs of each begin and end."""
    ends = list(accumulate(linear.out_features for linear in linears))
    return list(zip([0, *ends], ends, strict=False))


def _plain_product(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return F.linear(values, weight)


def _bf16_product(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """What is quickest for so many rows on a CPU."""
    if len(values) == 1:
        return torch.mv(weight, values[0])[None]
    if len(values) <= FEW_ROWS:
        return torch.mm(weight, values.t()).t().contiguous()
    return F.linear(values, weight)


def _int8_product(weight: torch.Tensor, scales: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = torch.ops.aten._weight_int8pack_mm(values, weight, scales)
    return product


def _widened_product(weight: torch.Tensor, scales: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """By int8 numbers in the values' format, some outputs at a time: the head of a large vocabulary would be wide."""
    most = max(WIDENED_BYTES // (weight.shape[1] * values.element_size()), 1)
    parts = zip(weight.split(most), scales.split(most), strict=True)  # type: ignore[no-untyped-call]
    products = [_scaled_product(numbers, scale, values) for numbers, scale in parts]
    return products[0] if len(products) == 1 else torch.cat(products, -1)


def _scaled_product(numbers: torch.Tensor, scale: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    if values.dtype == torch.float16:  # the product of the numbers alone may be infinite there
        return F.linear(values, numbers * scale[:, None])
    return F.linear(values, numbers.to(values.dtype)) * scale


def _has_int8_product(weight: torch.Tensor) -> bool:
    """Whether torch multiplies by int8 itself; elsewhere torchao widens the weights first, which is slow.

    On an NVIDIA GPU it has but a kernel that multiplies number by number, which is slower still for a prompt.
    """
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key("aten::_weight_int8pack_mm", weight.device.type.upper())
    return has_kernel and weight.shape[1] % INT8_GROUP == 0


def _int8(weight: torch.Tensor) -> torch.Tensor:
    quantisation = _torchao()
    quantised: torch.Tensor = quantisation.Int8Tensor.from_hp(weight, quantisation.PerRow())
    return quantised


def _int8_in_parts(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers and scales of weights, which are quantised some rows at a time."""
    rows = max(QUANTISED_NUMBERS // weight.shape[1], 1)
    parts: list[Any] = [_int8(part) for part in weight.split(rows)]  # type: ignore[no-untyped-call]
    return torch.cat([part.qdata for part in parts]), torch.cat([part.scale for part in parts]).flatten().to(
        weight.dtype
    )


def _fp8(weight: torch.Tensor) -> torch.Tensor:
    quantisation = _torchao()
    holder = nn.Linear(1, 1, bias=False, device="meta")
    holder.weight = nn.Parameter(weight, requires_grad=False)
    config = quantisation.Float8DynamicActivationFloat8WeightConfig(
        granularity=quantisation.PerRow(), set_inductor_config=False
    )
    quantisation.quantize_(holder, config)
    return holder.weight.data


def _torchao() -> Any:
    logging.getLogger("torchao").setLevel(logging.ERROR)  # it tells of kernels for other GPUs that it cannot load
    from torchao import quantization

    return quantization


_QUANTISE: dict[Held, Quantise] = {"int8": _int8, "fp8": _fp8}
