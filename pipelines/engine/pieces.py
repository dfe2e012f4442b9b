"""Pieces of prompts on an NVIDIA GPU, out of its kernels: short ones as a CUDA graph, long ones when they come again.

A piece is filled up to a multiple of `PIECE_TOKENS`, and a graph serves every piece of one such size, whatever stands
before it. Where the kernels do not run, that is found out at the first piece, and nothing of it is left in its row.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.captured import Replay, Work
from pipelines.engine.slots import SlotCache

PIECE_TOKENS = 64
"""What a piece is filled up to, or to a multiple of it."""
MOST_GRAPHS = 8

_log = logging.getLogger(__name__)

Capture = Callable[[Work, list[torch.Tensor]], Replay]


class Pieces:
    """Runs pieces of prompts by `piece`, which stands for `LeanStack.piece` over the slots.

    `begin_pool` gives what captures graphs that live together, and is asked again when none is left.
    """

    def __init__(self, piece: Work, slots: SlotCache, begin_pool: Callable[[], Capture]) -> None:
        self._piece, self._slots, self._begin_pool = piece, slots, begin_pool
        self._capture: Capture | None = None
        self._graphs: OrderedDict[tuple[int, int, int], Replay] = OrderedDict()
        self._buffers: tuple[int, ...] = ()
        self._seen: set[int] = set()
        self._proven: set[str] = set()
        self._failed: set[str] = set()

    @property
    def num_captured(self) -> int:
        """Graphs that are at hand."""
        return len(self._graphs)

    def __call__(self, row: int, hidden: torch.Tensor, held: int, positions: torch.Tensor) -> torch.Tensor | None:
        """The last hidden state [1, hidden] of a piece in a row that holds `held` tokens; None where that cannot be.

        `hidden` [tokens, hidden] are its embeddings, `positions` int64 [3, tokens]. The slots have room for it.
        """
        num_tokens = len(hidden)
        fill = -num_tokens % PIECE_TOKENS
        size = num_tokens + fill
        numbers = torch.tensor([[held], [num_tokens]]).to(hidden.device)
        inputs = [F.pad(hidden, (0, 0, 0, fill)), numbers, F.pad(positions, (0, fill))]
        is_again = size <= PIECE_TOKENS or size in self._seen
        self._seen.add(size)
        last = self._tried("graphs", row, lambda: self._replayed(row, inputs)) if is_again else None
        return self._tried("kernels", row, lambda: self._piece(row, *inputs)) if last is None else last

    def _tried(self, kind: str, row: int, work: Callable[[], torch.Tensor]) -> torch.Tensor | None:
        """What some work gives; None where it cannot be done, which shows the first time."""
        if kind in self._failed or "kernels" in self._failed:
            return None
        if kind in self._proven:
            return work()
        before = self._slots.copy_out(row)
        try:
            last = work()
            if last.is_cuda:
                torch.cuda.synchronize(last.device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of a compiler or a library that does not know this GPU
            self._failed.add(kind)
            self._graphs.clear()
            self._slots.copy_in(row, before)
            _log.warning("Prompts go on without %s of Triton: %s: %s", kind, type(error).__name__, error)
            return None
        self._proven.add(kind)
        return last

    def _replayed(self, row: int, inputs: list[torch.Tensor]) -> torch.Tensor:
        if self._slots.addresses != self._buffers:
            self._graphs.clear()
            self._buffers = self._slots.addresses
        key = row, len(inputs[0]), self._slots.capacity
        if key not in self._graphs:
            if self._capture is None or not self._graphs:
                self._capture = self._begin_pool()
            before = self._slots.copy_out(row)
            self._graphs[key] = self._capture(lambda *given: self._piece(row, *given), inputs)
            self._slots.copy_in(row, before)
            if len(self._graphs) > MOST_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        return self._graphs[key](inputs).clone()
