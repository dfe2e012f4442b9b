"""What the next prompts of conversations will begin with, read while the engine has nothing else to do.

A prompt replays the answer before it without its thought, so nothing that was computed as it was written can serve: it
is read again. While a person reads it too, that costs nobody any time, and the next question has itself alone to wait
for. It goes on from what is kept of the conversation, and is kept in the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import torch

from pipelines.engine.positions import position_ids
from pipelines.engine.slots import RowState
from pipelines.engine.snapshots import Snapshot, Snapshots
from pipelines.engine.stack import Stack
from pipelines.inputs import ModelInputs

PIECE_TOKENS = 32
"""A request that comes meanwhile waits for one piece at most."""
MAX_WAITING = 4
"""Conversations: each holds the pixels of its media until it is read."""


@dataclass(frozen=True, eq=False)
class _Reading:
    """A beginning of a prompt that is being read behind what is kept of it; `positions` int64 [4, 1, S] are of the
    rest.
    """

    inputs: ModelInputs
    behind: RowState
    positions: torch.Tensor


class Anticipated:
    """Beginnings of prompts that are read into the last slot, a piece at a time, by the engine's thread."""

    def __init__(self, stack: Stack, snapshots: Snapshots) -> None:
        self._stack, self._slots, self._snapshots = stack, stack.slots, snapshots
        self._row = stack.slots.rows - 1
        self._waiting: OrderedDict[str, ModelInputs] = OrderedDict()
        self._reading: _Reading | None = None
        self._is_over = False
        """Whether nobody wants what is being read any more."""
        self._lock = Lock()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        with self._lock:
            return not self._waiting and self._reading is None

    def add(self, inputs: ModelInputs) -> None:
        """Have it read when there is time, in the place of whatever else of its conversation; by any thread."""
        with self._lock:
            self._waiting.pop(inputs.conversation, None)
            self._waiting[inputs.conversation] = inputs
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)

    def drop(self, conversation: str) -> None:
        """Read no more of a conversation that waits, as its next question came; by any thread."""
        with self._lock:
            self._waiting.pop(conversation, None)

    def forget(self, conversation: str) -> None:
        """Read no more of a conversation, which is over, and keep nothing of what is being read; by any thread."""
        with self._lock:
            self._waiting.pop(conversation, None)
            if self._reading is not None and self._reading.inputs.conversation == conversation:
                self._is_over = True  # the slot is freed by the engine's thread, which may be in it

    def read(self) -> None:
        """Read one piece; the slot is nobody else's."""
        if self._is_over:
            self.leave()
        with self._lock:
            self._reading = self._reading or self._begun()
            reading = self._reading
        if reading is None:
            return
        inputs, start = reading.inputs, self._slots.lengths[self._row]
        end = min(start + PIECE_TOKENS, inputs.num_tokens)
        embeddings = self._stack.embed(inputs, start, end, None, inputs.num_visual_tokens)
        known = reading.behind.length
        self._stack.prefill(self._row, embeddings, reading.positions[:, :, start - known : end - known])
        if end == inputs.num_tokens:
            self.leave()

    def leave(self) -> None:
        """Keep what was read so far, where what it goes on from still is, and leave the slot to others."""
        with self._lock:
            reading, self._reading = self._reading, None
            is_over, self._is_over = self._is_over, False
        if reading is None:
            return
        try:
            if not is_over and self._slots.lengths[self._row] > reading.behind.length:
                state, inputs = self._slots.copy_out(self._row), reading.inputs
                self._snapshots.keep(Snapshot.of(inputs, inputs.input_ids[0].numpy(), state), behind=reading.behind)
        finally:
            self._slots.free(self._row)

    def clear(self) -> None:
        """Read nothing of all that; a slot in which nothing of it is read stays as it is."""
        with self._lock:
            self._waiting.clear()
            reading, self._reading, self._is_over = self._reading, None, False
        if reading is not None:
            self._slots.free(self._row)

    def _begun(self) -> _Reading | None:
        """The next one whose media are within what is kept of it, brought into the slot."""
        while self._waiting:
            _, inputs = self._waiting.popitem(last=False)
            state = self._snapshots.find(inputs)
            if state is None or inputs.count_visual(state.length, inputs.num_tokens):
                continue
            reading = _Reading(inputs, state, position_ids(inputs, state.length))
            self._slots.free(self._row)
            self._slots.copy_in(self._row, state)
            return reading
        return None
