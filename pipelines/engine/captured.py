"""Some work on a GPU as one CUDA graph, and a few such graphs that are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Generic, TypeVar

import torch

WARM_UPS = 2

T = TypeVar("T")

Recordable = Callable[..., torch.Tensor]
Replay = Callable[[Sequence[torch.Tensor]], torch.Tensor]
Capture = Callable[[Recordable, Sequence[torch.Tensor]], Replay]

CAPTURING = Lock()
"""Torch captures one graph at a time in a process, and each of several GPUs has an engine's thread of its own."""


class Captured(Generic[T]):
    """Some work on buffers of its own, the `inputs`, captured on a stream beside the current one.

    It is warmed up with the numbers that it is wanted for: what it writes to the caches then is written again by the
    first replay, and nowhere else. Graphs of one `pool` have their memory together: each overwrites the others' output.
    """

    def __init__(
        self, work: Callable[..., T], inputs: Sequence[torch.Tensor], stream: torch.cuda.Stream, pool: Any = None
    ) -> None:
        self.inputs = [one.clone() for one in inputs]
        current = torch.cuda.current_stream(inputs[0].device)
        self._graph = torch.cuda.CUDAGraph()
        with CAPTURING:
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    work(*self.inputs)
            current.wait_stream(stream)
            with _captured(self._graph, stream, pool or torch.cuda.graph_pool_handle()):
                self._output = work(*self.inputs)

    def __call__(self, inputs: Sequence[torch.Tensor]) -> T:
        """What the work gives, until the next replay."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        return self.replay()

    def replay(self) -> T:
        """What the work gives for what was written into the inputs, until the next replay."""
        self._graph.replay()
        return self._output


@contextmanager
def _captured(graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream, pool: Any) -> Iterator[None]:
    """Capture what is done within; where that fails, leave the thread and the allocator as they were."""
    with torch.cuda.stream(stream):  # torch stays on the stream where a capture cannot be ended
        try:
            # other threads read the events of their requests meanwhile
            with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                yield
        except BaseException:
            # nor is the pool left then: all that the stream asks for later would come out of it, and stay there
            with suppress(RuntimeError):  # of a capture that did end, or never began
                torch._C._cuda_endAllocateToPool(stream.device_index, pool)
                torch._C._cuda_releasePool(stream.device_index, pool)
            raise


class SharedPool:
    """Captures graphs whose memory is one: as much as the largest needs. It serves as long as one of them lives.

    Several pools may have one `stream`: what libraries keep for each stream is never given back.
    """

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._stream, self._pool = stream, torch.cuda.graph_pool_handle()

    def __call__(self, work: Recordable, inputs: Sequence[torch.Tensor]) -> Replay:
        """Capture some work."""
        return Captured(work, inputs, self._stream, self._pool)


class Recordings:
    """At most `most` graphs, the least recently used out first, whose memory is one.

    `begin_pool` gives what captures them, and is asked again when none is left.
    """

    def __init__(self, most: int, begin_pool: Callable[[], Capture]) -> None:
        self._most, self._begin_pool = most, begin_pool
        self._capture: Capture | None = None
        self._kept: OrderedDict[Hashable, tuple[Replay, Recordable]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def clear(self) -> None:
        """Give back the memory of all."""
        self._kept.clear()
        self._capture = None

    def record(self, key: Hashable, work: Recordable, inputs: Sequence[torch.Tensor]) -> None:
        """Capture some work, and keep it."""
        if self._capture is None or not self._kept:
            self._capture = self._begin_pool()
        # the work stays alive with its graph, which reads what it holds
        self._kept[key] = self._capture(work, inputs), work
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def replay(self, key: Hashable, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the work gives, as a tensor of its own."""
        self._kept.move_to_end(key)
        return self._kept[key][0](inputs).clone()
