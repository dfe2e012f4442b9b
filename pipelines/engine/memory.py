"""Whether an error says that memory ran out: torch has a class for that on NVIDIA GPUs alone."""

from __future__ import annotations

import torch

SAID = ("DefaultCPUAllocator", "out of memory")
"""What torch says of the host's memory, whatever the system, and of Apple's GPUs, in a RuntimeError."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether it is one of those that go away where less is asked for."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in SAID)
