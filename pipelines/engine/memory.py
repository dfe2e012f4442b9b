"""The memory of devices: whether an error says that it ran out, and giving back what nobody holds any more."""

from __future__ import annotations

import gc

import torch

SAID = ("DefaultCPUAllocator", "out of memory")
"""What torch says of the host's memory, whatever the system, and of Apple's GPUs, in a RuntimeError."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether it is one of those that go away where less is asked for; torch has a class for NVIDIA GPUs alone."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in SAID)


def free_memory() -> None:
    """Give the memory of engines that nobody holds any more back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
