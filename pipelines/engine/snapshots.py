"""The ends of prompts: a question that follows goes on from there, without the tower and without the old prompt.

A recurrent state cannot be cut back, only extended, and the template leaves out earlier reasoning. So what is kept is
the state where the answer to the last question begins, and where the next question will once the answer is read again;
and, of a reply that ran out of tokens, where it stopped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipelines.engine.slots import RowState
from pipelines.inputs import ModelInputs

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state behind a prompt: its token ids, what tells its media apart, and whose conversation it is."""

    ids: Ids
    media_keys: tuple[str, ...]
    conversation: str
    state: RowState

    @classmethod
    def of(cls, inputs: ModelInputs, ids: Sequence[int] | Ids, state: RowState) -> Self:
        """The state of a row behind the first of the token ids `ids`, of the prompt `inputs` or a reply to it."""
        return cls(np.array(ids[: state.length]), inputs.media_keys, inputs.conversation, state)

    def begins(self, inputs: ModelInputs, ids: Ids) -> bool:
        """Whether a prompt starts with this one and goes on behind it."""
        num_tokens, num_media = len(self.ids), len(self.media_keys)
        return (
            self.conversation == inputs.conversation
            and num_tokens < len(ids)
            and self.media_keys == inputs.media_keys[:num_media]
            and np.array_equal(self.ids, ids[:num_tokens])
        )

    def is_same(self, other: Snapshot) -> bool:
        """Whether both are of one prompt of one conversation."""
        return (
            self.conversation == other.conversation
            and self.media_keys == other.media_keys
            and np.array_equal(self.ids, other.ids)
        )


class Snapshots:
    """Snapshots, together at most `max_bytes`: what others go on from goes first, then the least recently used."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[int, Snapshot] = OrderedDict()
        self._number = 0
        self._lock = Lock()

    @property
    def num_bytes(self) -> int:
        """What all of them take."""
        with self._lock:
            return self._sum()

    def find(self, inputs: ModelInputs, longest: int | None = None) -> RowState | None:
        """The state of the longest snapshot that a prompt begins with; those of one conversation serve it alone.

        `longest` bounds its tokens.
        """
        ids: Ids = inputs.input_ids[0].numpy()
        longest = len(ids) if longest is None else longest
        with self._lock:
            beginning = {number: len(one.ids) for number, one in self._kept.items() if one.begins(inputs, ids)}
            fitting = {number: length for number, length in beginning.items() if length <= longest}
            if not fitting:
                return None
            number = max(fitting, key=lambda one: fitting[one])
            self._kept.move_to_end(number)
            return self._kept[number].state

    def keep(
        self, snapshot: Snapshot, behind: RowState | None = None, is_over: Callable[[], bool] | None = None
    ) -> None:
        """Keep a snapshot, in the place of one of the same prompt, where it is not too large by itself.

        Nothing of a conversation that `is_over`, which was so before it was forgotten.
        One that goes on from the state `behind` is kept only where that still is: it may have been dropped meanwhile.
        The next to go is that one then: it serves a question that is asked again.
        """
        if snapshot.state.num_bytes > self.max_bytes:
            return
        with self._lock:
            if is_over is not None and is_over():
                return
            if behind is not None:
                before = next((number for number, other in self._kept.items() if other.state is behind), None)
                if before is None:
                    return
                self._kept.move_to_end(before, last=False)
            for number, other in list(self._kept.items()):
                if other.is_same(snapshot):
                    del self._kept[number]
            self._number += 1
            self._kept[self._number] = snapshot
            while self._sum() > self.max_bytes:
                self._kept.popitem(last=False)

    def forget(self, conversation: str) -> None:
        """Drop what belongs to a conversation."""
        with self._lock:
            for number, snapshot in list(self._kept.items()):
                if snapshot.conversation == conversation:
                    del self._kept[number]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._kept.clear()

    def _sum(self) -> int:
        return sum(snapshot.state.num_bytes for snapshot in self._kept.values())
