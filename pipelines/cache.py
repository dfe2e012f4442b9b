"""A small cache, bounded in bytes: the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Values by key, together at most `max_bytes` by what `size` says of each. Safe to use from several threads.

    Whoever gets a value shares it with all others, and must not change it.
    """

    def __init__(self, max_bytes: int, size: Callable[[V], int]) -> None:
        self.max_bytes = max_bytes
        self._size = size
        self._lock = Lock()
        self._values: OrderedDict[K, V] = OrderedDict()
        self._num_bytes = 0

    @property
    def num_bytes(self) -> int:
        """What the values that are kept take."""
        return self._num_bytes

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of `key`, made where it is not kept. Two threads may both make it; nothing is kept of a failure."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._keep(key, value)
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._num_bytes = 0

    def _keep(self, key: K, value: V) -> None:
        if key in self._values or self._size(value) > self.max_bytes:
            return
        self._values[key] = value
        self._num_bytes += self._size(value)
        while self._num_bytes > self.max_bytes:
            _, oldest = self._values.popitem(last=False)
            self._num_bytes -= self._size(oldest)
