"""Memory that one array leaves to the next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.buffers import Buffers


def address(array: NDArray[np.generic]) -> int:
    return int(array.ctypes.data)


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    buffers = Buffers(1000)
    array = buffers.array((10, 5), np.float32)
    first = address(array)
    part = torch.from_numpy(array)[2:]
    del array
    assert buffers.num_bytes == 0
    other = buffers.array((50,), np.float32)
    assert address(other) != first
    part.fill_(7)
    del part
    assert address(buffers.array((5, 10), np.float32)) == first


def test_no_more_is_kept_than_allowed_and_no_array_takes_far_too_large_a_block() -> None:
    buffers = Buffers(100)
    for size in (60, 50, 101):
        buffers.array((size,), np.uint8)
    assert buffers.num_bytes == 60
    small = buffers.array((20,), np.uint8)
    assert small.shape == (20,)
    assert buffers.num_bytes == 60


def test_arrays_that_live_at_once_share_nothing() -> None:
    buffers = Buffers(10_000)

    def fill(value: int) -> None:
        array = buffers.array((300,), np.uint8)
        array[:] = value
        assert (array == value).all()

    def work(value: int) -> bool:
        for _ in range(200):
            fill(value)
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert buffers.num_bytes <= 4 * 300
