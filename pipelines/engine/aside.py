"""Questions beside the replies: what the model thinks of a prompt, in a row of its own.

The work is done by the engine's thread in pieces, each between two turns of the requests that run: those go on, a
little slower, and nothing of theirs is touched. A prompt begins from what is kept of its conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Event as Flag
from typing import TypeVar

import torch

from pipelines.engine.gaze import GazeWatch
from pipelines.engine.positions import position_ids
from pipelines.engine.rest import Stopped
from pipelines.engine.scheduler import Scheduler
from pipelines.engine.slots import RowState
from pipelines.inputs import MERGE, ModelInputs, grid_of
from pipelines.types import Gaze, Work

T = TypeVar("T")
Append = Callable[[torch.Tensor, torch.Tensor], None]
"""Appends the embeddings of a piece of the prompt, at their position ids."""
MAX_GAZE_BYTES = 128 * 1024**2


class Aside:
    """One prompt, prefilled in a row of its own as far as it is asked for.

    A set `stop` ends it between two pieces, or, on a CPU, between two layers of the prompt or the tower. One that
    `is_watched` is for `gaze`: of what is kept, it goes on from what lies before the reply.
    """

    def __init__(self, scheduler: Scheduler, inputs: ModelInputs, stop: Flag, *, is_watched: bool = False) -> None:
        self._scheduler, self._stack, self._inputs, self._stop = scheduler, scheduler.stack, inputs, stop
        self._is_visual = inputs.mm_token_type_ids[0] > 0
        self._num_rows = self._num_watched() if is_watched else 0
        self._slots = self._stack.new_slots(1)
        self._hidden: torch.Tensor | None = None
        self._positions = position_ids(inputs)
        self._features: torch.Tensor | None = None
        self._num_seen = 0
        with suppress(Stopped):
            self._do(self._begin)

    @property
    def _length(self) -> int:
        return self._slots.lengths[0]

    def gaze(self) -> Gaze | None:
        """Where the model looked as it wrote the reply that ends the prompt; None where it was stopped.

        Of a reply so long that its weights would take more than `MAX_GAZE_BYTES`, the last tokens.
        """
        inputs, first = self._inputs, self._first
        whole_pieces = max(first - self._length, 0) // self._scheduler.chunk_tokens * self._scheduler.chunk_tokens
        self._prefill(self._length + whole_pieces, self._append)
        watch = GazeWatch(self._stack, self._slots, self._is_visual.nonzero()[:, 0], first, self._rest)
        self._prefill(inputs.num_tokens - 1, watch.prefill)
        if self._length < inputs.num_tokens - 1:
            return None
        grids = (grid_of(item.pixels) for item in inputs.media)
        weights = self._do(watch.weights)
        merged = tuple((t, h // MERGE, w // MERGE) for t, h, w in grids)
        return Gaze(weights, merged, inputs.num_replied - self._num_rows)

    def score(self, continuations: Sequence[Sequence[int]]) -> list[float] | None:
        """The log probability of each of several continuations (token ids) of the prompt; None where it was stopped."""
        self._prefill(self._inputs.num_tokens, self._append)
        if self._length < self._inputs.num_tokens:
            return None
        state = self._do(partial(self._slots.copy_out, 0))
        return [self._do(partial(self._logprob, state, ids)) for ids in continuations]

    def _num_watched(self) -> int:
        most = max(MAX_GAZE_BYTES // (2 * max(int(self._is_visual.sum()), 1)), 1)
        return min(self._inputs.num_replied, most)

    @property
    def _first(self) -> int:
        """The position that predicts the first of the tokens that are watched, or the last one."""
        return self._inputs.num_tokens - self._num_rows - 1

    def _begin(self) -> None:
        """Start behind what is kept, and know what the tower sees of the rest."""
        inputs, tower = self._inputs, self._scheduler.tower
        self._slots.reserve(inputs.num_tokens)
        state = self._scheduler.snapshots.find(inputs, self._first)
        if state is not None:
            self._slots.copy_in(0, state)
        self._num_seen = int(self._is_visual[: self._length].sum())
        if self._num_seen < inputs.num_visual_tokens:
            unseen = inputs.unseen(self._num_seen)
            self._features = torch.cat([tower.see(frames, _unheard, at, self._rest) for at, frames in unseen])

    def _rest(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _prefill(self, end: int, append: Append) -> None:
        with suppress(Stopped):
            while self._length < end:
                self._rest()
                stop = min(self._length + self._scheduler.chunk_tokens, end)
                self._do(partial(self._piece, stop, append))

    def _piece(self, end: int, append: Append) -> None:
        start = self._length
        embeddings = self._stack.embed(self._inputs, start, end, self._features, self._num_seen)
        append(embeddings, self._positions[:, :, start:end])

    def _append(self, embeddings: torch.Tensor, positions: torch.Tensor) -> None:
        self._hidden = self._stack.prefill(0, embeddings, positions, self._slots, rest=self._rest)

    def _logprob(self, state: RowState, ids: Sequence[int]) -> float:
        assert self._hidden is not None
        self._slots.copy_in(0, state)
        hidden, position = self._hidden, int(self._positions[1:].max()) + 1
        embed = self._stack.model.model.language_model.embed_tokens
        logprob = torch.zeros((), device=self._stack.device)
        for number, token_id in enumerate(ids):
            logprob = logprob + self._stack.logits(hidden).float().log_softmax(-1)[0, token_id]
            if number + 1 < len(ids):
                embedding = embed(torch.tensor([[token_id]], device=self._stack.device))
                places = torch.full((4, 1, 1), position + number)
                places[0] = self._length
                hidden = self._stack.prefill(0, embedding, places, self._slots)
        return float(logprob)

    def _do(self, work: Callable[[], T]) -> T:
        return self._scheduler.between(work)


def _unheard(work: Work) -> None:
    """Nobody times this work."""
