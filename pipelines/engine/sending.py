"""Numbers on their way from the host to the model's device."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on that device, for which the host does not wait; itself where it is there.

    A copy out of memory that may be paged out has the host wait for all that the GPU was given before. Out of pinned
    memory it does not, and torch keeps that from others until it was read: so it is asked for anew each time.
    """
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def send(numbers: Sequence[Sequence[float]], target: torch.Tensor) -> None:
    """Write numbers into a tensor of their shape on any device, for which the host does not wait: one copy."""
    target.copy_(torch.tensor(numbers, dtype=target.dtype, pin_memory=target.is_cuda), non_blocking=True)
