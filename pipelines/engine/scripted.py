"""An engine that replays a fixed reply, for tests and demonstrations of the page."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from threading import Event as Flag

from pipelines.checkpoint import Checkpoint
from pipelines.clocks import Clock, HostClock
from pipelines.engine.base import Closed, Enter, Step
from pipelines.engine.decoder import Detokenizer
from pipelines.inputs import ModelInputs
from pipelines.types import EngineInfo, Gaze, Roofline, Settings, Vision, Work


class ScriptedEngine:
    """Answers every request with `reply`, a token each `token_delay_s` seconds.

    `reply` is raw model output: with thinking on it starts inside the reasoning and holds `</think>`. The checkpoint
    gives the tokenizer, so that the reply comes in the pieces that a real model would give. `num_running` counts the
    requests that are being answered.
    """

    def __init__(self, reply: str, checkpoint: Checkpoint, token_delay_s: float = 0.0) -> None:
        self.checkpoint = checkpoint
        self.vision: Vision = checkpoint
        self.clock: Clock = HostClock()
        self.info = EngineInfo("scripted", "none", "none", checkpoint.context_tokens, engine="scripted")
        self.num_running = 0
        self._ids = checkpoint.encode(reply)
        self._token_delay_s = token_delay_s

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Replay the reply, whatever is asked; of a reasoning in a hurry the rest is left out."""
        self.num_running += 1
        try:
            if inputs.num_visual_tokens:
                enter(Work("vision", inputs.num_visual_tokens))
            enter(Work("prefill", inputs.num_tokens))
            yield from self._replay(inputs.num_replied, settings.max_new_tokens, stop, hurry or Flag())
        finally:
            self.num_running -= 1

    def roofline(self) -> Roofline | None:
        """Nothing is computed."""
        return None

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:  # noqa: ARG002
        """Nothing was looked at."""
        return None

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:  # noqa: ARG002
        """Nothing is likely."""
        return None

    def anticipate(self, inputs: ModelInputs) -> None:
        """A fixed reply needs no preparing."""

    def forget(self, conversation: str) -> None:
        """Nothing is kept of any conversation."""

    def _replay(self, start: int, max_new_tokens: int, stop: Flag, hurry: Flag) -> Iterator[Step]:
        detokenizer = Detokenizer(self.checkpoint.tokenizer)
        ids, end = deque(self._ids[start:]), self.checkpoint.tokenizer.token_to_id("</think>")
        due_s = time.monotonic()
        for _ in range(max_new_tokens):
            if not ids:
                yield "stop"
                return
            due_s += self._token_delay_s
            if stop.wait(due_s - time.monotonic()) if self._token_delay_s else stop.is_set():
                yield "cancelled"
                return
            if hurry.is_set() and end in ids and ids[0] != end:
                while ids[0] != end:
                    ids.popleft()
                yield Closed("asked")
            yield detokenizer.take(ids.popleft())
        yield "length"
