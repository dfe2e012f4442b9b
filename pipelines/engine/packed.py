"""Products by int8 weights on a CPU that multiplies int8 itself, out of oneDNN, which torch brings along.

There both sides are whole numbers, so each vector of activations becomes two: its numbers in steps of 1/127 of the
largest, and what that leaves in steps of 1/254 of these. Together they are as exact as 16 bits, and as a product of few
rows costs the reading of its weights, the second comes for nothing. torch's own product of int8 weights widens them to
bfloat16 first.
"""

from __future__ import annotations

import torch

STEPS = 127
FINER = 2 * STEPS
ZERO_POINT = 128
"""Stands for 0: activations with a sign fall to a loop of reference in oneDNN, but for large products on AMX."""


def can_pack(device: torch.device) -> bool:
    """Whether the device is a CPU with such products (VNNI): without it sums of two may be cut off at 16 bits."""
    return device.type == "cpu" and torch.cpu._is_vnni_supported() and hasattr(torch.ops.onednn, "qlinear_pointwise")


class Packed:
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
