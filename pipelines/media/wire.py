"""What passes between the server and a worker: short messages in JSON, and arrays in memory that both share.

Nothing is pickled: a worker that a file has taken over can say something false, and cannot make the server do anything.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.media.limits import MAX_DECODED_PIXELS, MAX_PICTURE_PIXELS

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

REGION_BYTES = 3 * MAX_PICTURE_PIXELS
SLOT_BYTES = 3 * MAX_DECODED_PIXELS
NUM_SLOTS = 2
"""A frame is decoded into one slot while the server takes the one before from the other."""
RESIDENT_BYTES = 48 * 1024**2
"""Of the region that stay in memory between two files; the rest is given back."""
MAX_MESSAGE_BYTES = 64 * 1024

Message = Sequence[Any]
"""A word that says what it is, and what belongs to it: strings, numbers and lists of numbers."""


class Region:
    """Memory that two processes share, and that neither can make larger."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, REGION_BYTES)
        os.close(fd)

    def put(self, array: NDArray[Any], start: int = 0) -> None:
        """Write an array, `start` bytes from the beginning. Raises ValueError where it does not fit."""
        np.copyto(self.view(array.shape, array.dtype, start), array)

    def view(self, shape: tuple[int, ...], dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """An array as it lies there; what the other side writes shows in it. Raises ValueError as `put`."""
        kind = np.dtype(dtype)
        if min(shape, default=1) < 0 or start + math.prod(shape) * kind.itemsize > REGION_BYTES:
            raise ValueError("the array is larger than the memory that is shared")
        return np.frombuffer(self._memory, kind, math.prod(shape), start).reshape(shape)

    def shrink(self) -> None:
        """Give back the memory of large arrays, where the system can."""
        if hasattr(mmap, "MADV_REMOVE"):
            self._memory.madvise(mmap.MADV_REMOVE, RESIDENT_BYTES, REGION_BYTES - RESIDENT_BYTES)


def new_region_fd() -> int:
    """A descriptor of fresh memory for a `Region`; it takes no space until something is written."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("glassbox-frames")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.truncate(fd, REGION_BYTES)
    return fd


def send(connection: Connection, *message: Any) -> None:
    """Send a message. Raises OSError where the other side is gone."""
    connection.send_bytes(json.dumps(message).encode())


def receive(connection: Connection) -> Message:
    """The next message. Raises EOFError or OSError where the other side is gone or sends something else."""
    try:
        message = json.loads(connection.recv_bytes(MAX_MESSAGE_BYTES))
    except ValueError as error:
        raise EOFError("not a message") from error
    return message if isinstance(message, list) else [message]
