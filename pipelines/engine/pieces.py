"""Pieces of prompts on an NVIDIA GPU, out of its kernels: short ones as a CUDA graph, long ones when they come again.

A piece is filled up to a multiple of `PIECE_TOKENS`, and a graph serves every piece of one such size, whatever stands
before it, and wherever within it the states of the linear layers are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.captured import Capture, Recordable, Recordings
from pipelines.engine.places import Keep
from pipelines.engine.sending import sent
from pipelines.engine.slots import SlotCache, States

PIECE_TOKENS = 64
"""What a piece is filled up to, or to a multiple of it."""
MOST_GRAPHS = 8

_log = logging.getLogger(__name__)


class Pieces:
    """Runs pieces of prompts by `piece`, which stands for `LeanStack.piece` over the slots.

    It is called as `FusedPiece` is.
    """

    def __init__(self, piece: Recordable, slots: SlotCache, begin_pool: Callable[[], Capture]) -> None:
        self._piece, self._slots = piece, slots
        self._recordings = Recordings(MOST_GRAPHS, begin_pool)
        self._generation = 0
        self._kept: States | None = None
        self._seen: set[int] = set()
        self._can_record = True

    @property
    def num_captured(self) -> int:
        """Graphs that are at hand."""
        return len(self._recordings)

    def clear(self) -> None:
        """Give back the memory of all graphs."""
        self._recordings.clear()
        self._kept = None

    def __call__(
        self, row: int, hidden: torch.Tensor, held: int, positions: torch.Tensor, keep: Keep | None = None
    ) -> torch.Tensor:
        """The last hidden state [1, hidden] of a piece in a row that holds `held` tokens.

        `hidden` [tokens, hidden] are its embeddings, `positions` int64 [3, tokens]. The slots have room for it. States
        within it can be kept.
        """
        num_tokens = len(hidden)
        fill = -num_tokens % PIECE_TOKENS
        size = num_tokens + fill
        num_kept = num_tokens if keep is None else keep.count
        numbers = sent(torch.tensor([[held], [num_tokens], [num_kept]]), hidden.device)
        inputs = [F.pad(hidden, (0, 0, 0, fill)), numbers, F.pad(positions, (0, fill))]
        is_again = size <= PIECE_TOKENS or size in self._seen
        self._seen.add(size)
        key, kept = (row, size), self._room()
        if is_again and self._can_record and self._is_recorded(key, inputs, kept):
            last = self._recordings.replay(key, inputs)
        else:
            last = self._piece(row, *inputs, kept)
        if keep is not None:
            keep.take(kept)
        return last

    def _room(self) -> States:
        """Where states are kept: one place as long as graphs live, which write there."""
        if self._slots.generation != self._generation:
            self.clear()
            self._generation = self._slots.generation
        if self._kept is None:
            self._kept = self._slots.new_states()
        return self._kept

    def _is_recorded(self, key: tuple[int, int], inputs: list[torch.Tensor], kept: States) -> bool:
        """Whether there is a graph, captured now where there was none; that leaves the row as it is."""
        if key in self._recordings:
            return True
        row = key[0]
        before = self._slots.copy_out(row)
        try:
            self._recordings.record(key, lambda *given: self._piece(row, *given, kept), inputs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of a library that cannot be captured
            self._can_record = False
            self._recordings.clear()
            _log.warning("Prompts go on without CUDA graphs: %s: %s", type(error).__name__, error)
        self._slots.copy_in(row, before)
        return self._can_record
