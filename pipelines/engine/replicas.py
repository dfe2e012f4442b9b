"""Several engines of one model side by side, one on each GPU, so that more visitors are answered at once.

A conversation stays where it began, as what is kept of it lies there; a new one goes to whichever has the least to do.
An engine that fails would soon be that one: each time in a row counts as a request that it still has.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event as Flag

from pipelines.clocks import Clock
from pipelines.engine.base import Engine, Enter, Step
from pipelines.inputs import ModelInputs
from pipelines.types import EngineInfo, Gaze, Roofline, Settings, UserError, Vision

MAX_KNOWN = 10_000
"""Conversations that are remembered; of more, the oldest may move."""


class Replicas:
    """Engines that stand in for one another."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = tuple(engines)
        self._num_running, self._num_failed = [0] * len(engines), [0] * len(engines)
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def info(self) -> EngineInfo:
        """The first engine's, with the number of replicas."""
        first = self.engines[0].info
        return replace(first, device=f"{len(self.engines)} replicas, each on {first.device}")

    @property
    def vision(self) -> Vision:
        """All see alike."""
        return self.engines[0].vision

    @property
    def clock(self) -> Clock:
        """What times the stages; all are of one kind."""
        return self.engines[0].clock

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Have the conversation's own engine answer, which another one is next time where that fails."""
        place = self._take(inputs.conversation)
        try:
            yield from self.engines[place].generate(inputs, settings, enter, stop, hurry)
            self._num_failed[place] = 0
        except UserError:
            raise
        except Exception:
            self._num_failed[place] += 1
            self.forget(inputs.conversation)
            raise
        finally:
            with self._lock:
                self._num_running[place] -= 1

    def roofline(self) -> Roofline | None:
        """The first engine's: all run on the same kind of device."""
        return self.engines[0].roofline()

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:
        """Where the conversation's own engine looked."""
        return self.engines[self._place_of(inputs.conversation)].gaze(inputs, stop)

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:
        """As the conversation's own engine scores them."""
        return self.engines[self._place_of(inputs.conversation)].score(inputs, continuations, stop)

    def anticipate(self, inputs: ModelInputs) -> None:
        """Told to the conversation's own engine."""
        self.engines[self._place_of(inputs.conversation)].anticipate(inputs)

    def forget(self, conversation: str) -> None:
        """Free what is kept of a conversation, wherever it is."""
        with self._lock:
            place = self._places.pop(conversation, None)
        if place is not None:
            self.engines[place].forget(conversation)

    def _place_of(self, conversation: str) -> int:
        with self._lock:
            return self._places.get(conversation, 0)

    def _take(self, conversation: str) -> int:
        """Where a conversation is answered; it counts as running there from now on."""
        with self._lock:
            place = self._places.get(conversation)
            if place is None:
                place = min(range(len(self.engines)), key=lambda at: self._num_running[at] + self._num_failed[at])
            if conversation:
                self._places.pop(conversation, None)
                self._places[conversation] = place
                while len(self._places) > MAX_KNOWN:
                    self._places.pop(next(iter(self._places)))
            self._num_running[place] += 1
            return place
