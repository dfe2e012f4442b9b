"""Products by weights in the order that oneDNN reads them, on a CPU; torch brings the library along.

Of floats: torch leaves float32 to MKL, which Intel writes for its own processors, and has oneDNN bring weights of
bfloat16 into order anew for each product, or multiplies one row by a loop of its own, which is slower yet.

Of int8, where the CPU multiplies it itself: there both sides are whole numbers, so each vector of activations becomes
two: its numbers in steps of 1/127 of the largest, and what that leaves in steps of 1/254 of these. Together they are as
exact as 16 bits, and as a product of few rows costs the reading of its weights, the second comes for nothing. torch's
own product of int8 weights widens them to bfloat16 first.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812

STEPS = 127
FINER = 2 * STEPS
ZERO_POINT = 128
"""Stands for 0: activations with a sign fall to a loop of reference in oneDNN, but for large products on AMX."""


ORDERED_FOR = 1
"""Rows of the values: the order of the weights is that for so many, and many are hardly slower in it."""
LEAST_ROWS = 4
"""Fewer of bfloat16 are multiplied as so many: the sums of one row wait for each other, and memory for them."""
MAKER = "AMD"
"""Whose processors are quicker so: on Intel's with AMX it makes no difference that can be told."""


def can_pack_int8(device: torch.device) -> bool:
    """Whether the device is a CPU with such products (VNNI): without it sums of two may be cut off at 16 bits."""
    return device.type == "cpu" and torch.cpu._is_vnni_supported() and hasattr(torch.ops.onednn, "qlinear_pointwise")


def should_pack_float(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the device is a CPU on which products of that dtype are quicker by packed weights."""
    has_library = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if device.type != "cpu" or not has_library or not torch.cpu._is_avx2_supported():
        return False
    is_bf16 = dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (is_bf16 or dtype == torch.float32) and MAKER in str(torch.cpu.get_capabilities().get("cpu_name"))


class PackedFloat:
    """Weights float32 or bfloat16 [outputs, inputs] in the order that oneDNN reads them.

    `numbers` are these weights, a tensor that only oneDNN reads; they have no `scale`.
    """

    scale = None

    def __init__(self, weight: torch.Tensor) -> None:
        self.numbers: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ORDERED_FOR)
        self._least_rows = LEAST_ROWS if weight.dtype == torch.bfloat16 else 1

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """The product with values [rows, inputs] of the weights' dtype, [rows, outputs]."""
        missing = self._least_rows - len(values)
        rows = F.pad(values, (0, 0, 0, missing)) if missing > 0 else values
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.numbers, None, "none", [], "")
        return product[: len(values)]


class PackedInt8:
    """Weights int8 [outputs, inputs] with a scale float32 [outputs] for each row, in the order that oneDNN reads them.

    `numbers` are these weights, a tensor that only oneDNN reads.
    """

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor) -> None:
        self.numbers: torch.Tensor = torch.ops.onednn.qlinear_prepack(weight, None)
        self.scale = scale
        self._zeros = torch.zeros(len(scale), dtype=torch.int64)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """The product with values [rows, inputs], [rows, outputs] in their dtype."""
        exact = values.float()
        step = torch.linalg.vector_norm(exact, ord=torch.inf, dim=-1, keepdim=True).div_(STEPS)
        exact = exact / step.clamp_(min=torch.finfo(torch.float32).tiny)
        coarse = exact.round()
        both = torch.cat([coarse, exact.sub_(coarse).mul_(FINER).round_()]).add_(ZERO_POINT).to(torch.uint8)
        products: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            both, 1.0, ZERO_POINT, self.numbers, self.scale, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        of_coarse, of_fine = torch.split(products, len(values))
        return of_coarse.add_(of_fine, alpha=1 / FINER).mul_(step).to(values.dtype)
