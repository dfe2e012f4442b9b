"""Large arrays whose memory is used again.

Memory fresh from the system is zeroed page by page as it is first touched, which for the patches of a picture takes
longer than computing them. What an array leaves behind is given to the next one.
"""

from __future__ import annotations

import ctypes
import weakref
from threading import RLock

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Buffers:
    """Gives arrays, and keeps the memory of those that nobody refers to any longer, at most `max_bytes` of it."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._free: list[NDArray[np.uint8]] = []
        self._lock = RLock()  # an array may die while its thread is in here

    @property
    def num_bytes(self) -> int:
        """What is kept for the next arrays."""
        with self._lock:
            return sum(block.nbytes for block in self._free)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
        """An array with any content; its memory comes back when the last view of it is gone."""
        num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        block = self._take(num_bytes)
        # numpy keeps the owner of foreign memory alive as long as any view of it, so the owner tells when that ends
        owner = (ctypes.c_uint8 * block.nbytes).from_buffer(block.data)
        weakref.finalize(owner, self._give_back, block)
        return np.frombuffer(memoryview(owner), np.uint8, num_bytes).view(dtype).reshape(shape)

    def _take(self, num_bytes: int) -> NDArray[np.uint8]:
        """The smallest free block that is large enough and not much larger, or a new one."""
        with self._lock:
            fitting = [block for block in self._free if num_bytes <= block.nbytes <= 2 * num_bytes]
            if fitting:
                block = min(fitting, key=lambda one: one.nbytes)
                self._free = [one for one in self._free if one is not block]
                return block
        return np.empty(num_bytes, np.uint8)

    def _give_back(self, block: NDArray[np.uint8]) -> None:
        with self._lock:
            if block.nbytes <= self.max_bytes:
                self._free.append(block)
            while sum(one.nbytes for one in self._free) > self.max_bytes:
                self._free.pop(0)
