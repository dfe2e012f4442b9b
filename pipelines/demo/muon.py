"""Muon, an optimiser for matrices, shared out among the processes of a training run."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import distributed

POLYNOMIALS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
)
"""Quintic steps that bring every singular value near 1."""


class Muon:
    """Momentum, orthogonalised, at the size of an AdamW step. Parameters without a gradient rest."""

    def __init__(self, parameters: list[torch.nn.Parameter], momentum: float = 0.95) -> None:
        self.parameters = parameters
        self.momenta = [torch.zeros_like(parameter) for parameter in parameters]
        self.momentum = momentum

    @torch.no_grad()
    def step(self, rate: float, weight_decay: float = 0.02) -> None:
        """Update every parameter that has a gradient, in place."""
        active = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        if not active:
            return
        updates = self._updates(active)
        if distributed.is_initialized():
            flat = torch.cat([update.flatten() for update in updates])
            distributed.all_reduce(flat)
            sizes = [update.numel() for update in updates]
            updates = list(torch.split(flat, sizes))
        parameters: list[torch.Tensor] = [self.parameters[i] for i in active]
        shaped = [update.view_as(parameter) for update, parameter in zip(updates, parameters, strict=True)]
        torch._foreach_mul_(parameters, 1 - rate * weight_decay)
        torch._foreach_add_(parameters, shaped, alpha=-rate)

    def _updates(self, active: list[int]) -> list[torch.Tensor]:
        """The update of each active parameter; zeros for the share of the other processes."""
        gradients = [gradient for i in active if (gradient := self.parameters[i].grad) is not None]
        momenta = [self.momenta[i] for i in active]
        torch._foreach_lerp_(momenta, gradients, 1 - self.momentum)
        ahead = torch._foreach_lerp(gradients, momenta, self.momentum)
        by_shape: dict[torch.Size, list[tuple[int, torch.Tensor]]] = defaultdict(list)
        for place, matrix in enumerate(one.flatten(1) for one in ahead):
            by_shape[matrix.shape].append((place, matrix))
        updates = [torch.zeros_like(self.parameters[i]) for i in active]
        for group in by_shape.values():
            for place, matrix in _orthogonal(_share(group)):
                updates[place] = matrix
        return updates

    def state(self) -> list[torch.Tensor]:
        """What must be saved to go on later."""
        return self.momenta

    def load(self, momenta: list[torch.Tensor]) -> None:
        """Go on from a saved state."""
        for own, saved in zip(self.momenta, momenta, strict=True):
            own.copy_(saved)


def _share(group: list[tuple[int, torch.Tensor]]) -> list[tuple[int, torch.Tensor]]:
    if not distributed.is_initialized():
        return group
    rank, world = distributed.get_rank(), distributed.get_world_size()
    return group[rank * len(group) // world : (rank + 1) * len(group) // world]


def _orthogonal(group: list[tuple[int, torch.Tensor]]) -> list[tuple[int, torch.Tensor]]:
    """Matrices of one shape, each replaced by its nearest orthogonal one times 0.2 sqrt(longer side)."""
    if not group:
        return []
    stack = torch.stack([matrix for _, matrix in group])
    is_tall = stack.shape[1] > stack.shape[2]
    stack = stack.mT if is_tall else stack
    stack = stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for a, b, c in POLYNOMIALS:
        gram = stack @ stack.mT
        stack = a * stack + (b * gram + c * (gram @ gram)) @ stack
    stack = stack * 0.2 * max(stack.shape[1:]) ** 0.5
    return list(zip([place for place, _ in group], stack.mT if is_tall else stack, strict=True))
