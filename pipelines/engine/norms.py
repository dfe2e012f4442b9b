"""Norms of a model's layers in few operations: on a CPU torch takes nine for its own."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812


class Norm:
    """Root mean square norm with weights around 0, as `Qwen3_5RMSNorm`."""

    def __init__(self, norm: Any) -> None:
        self.given = norm.weight.detach()
        self.weight = 1.0 + self.given.float()
        self.eps = norm.eps
        self._scale = Scale(norm.eps, self.weight.shape[-1], self.weight.device)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """The normed values, in their dtype."""
        return self._scale.normed(values.float(), self.weight).to(values.dtype)


class Scale:
    """Divides vectors of float32 by the root of their mean square, `size` of it, over the last dimension.

    With a `size` of 1 it is their sum of squares. `eps` is added below the root.
    """

    def __init__(self, eps: float, size: int, device: torch.device) -> None:
        self._eps, self._share = torch.tensor(eps, device=device), 1.0 / size
        self._plain_eps, self._size = eps, size

    def normed(self, values: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """The values in their new length, times `weight` [size] where there is one."""
        if values.is_cuda and self._size == values.shape[-1]:  # one kernel
            return F.rms_norm(values, values.shape[-1:], weight, self._plain_eps)
        length = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
        normed = values * torch.addcmul(self._eps, length, length, value=self._share).rsqrt_()
        return normed if weight is None else normed * weight
