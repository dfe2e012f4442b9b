"""The decode step as CUDA graphs: hundreds of launches become one.

A graph is captured for a number of rows and a window of the caches, in the moment when it is first needed, without any
compiler. It reads and writes fixed buffers: the tokens and places given here, and the slots, whose growth makes all
graphs void.
"""

from __future__ import annotations

import torch

from pipelines.engine.lean import LeanStep
from pipelines.engine.slots import SlotCache

LEAST_WINDOW = 512
WARM_UPS = 2


class StepGraphs:
    """Stands for a `LeanStep` on a GPU; rows and windows are rounded up to powers of two."""

    def __init__(self, step: LeanStep, slots: SlotCache) -> None:
        self._step, self._slots = step, slots
        self._graphs: dict[tuple[int, int], _StepGraph] = {}
        self._buffers: tuple[int, ...] = ()

    def __call__(self, given: torch.Tensor, window: int) -> torch.Tensor:
        """As `LeanStep`, of its tokens, held and positions in one, int64 [3, rows].

        The logits are overwritten by the next step.
        """
        buffers = tuple(tensor.data_ptr() for pair in self._slots.layers for tensor in pair)
        if buffers != self._buffers:
            self._graphs.clear()
            self._buffers = buffers
        rows = min(_power_of_two(given.shape[1]), self._slots.rows - 1)
        window = min(max(_power_of_two(window), LEAST_WINDOW), self._slots.capacity)
        if (rows, window) not in self._graphs:
            self._graphs[rows, window] = _StepGraph(self._step, self._slots, rows, window)
        return self._graphs[rows, window](given)


class _StepGraph:
    def __init__(self, step: LeanStep, slots: SlotCache, rows: int, window: int) -> None:
        device = slots.layers[0][0].device
        self._given = torch.zeros(3, rows, dtype=torch.int64, device=device)
        tokens, held, positions = self._given
        # warming up runs the step, which changes recurrent states; keys and values are written over by the next one
        linear = [pair for pair, is_linear in zip(slots.layers, slots.is_linear, strict=True) if is_linear]
        before = [[tensor.clone() for tensor in pair] for pair in linear]
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                step(tokens, held, positions, window, is_masked=True)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # other threads read the events of their requests meanwhile
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._logits = step(tokens, held, positions, window, is_masked=True)
        for pair, kept in zip(linear, before, strict=True):
            for tensor, values in zip(pair, kept, strict=True):
                tensor.copy_(values)

    def __call__(self, given: torch.Tensor) -> torch.Tensor:
        num_rows = given.shape[1]
        self._given.zero_()
        self._given[:, :num_rows] = given
        self._graph.replay()
        return self._logits[:num_rows]


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
