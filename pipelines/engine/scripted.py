"""An engine that replays a fixed reply, for tests and demonstrations of the page."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event as Flag

from pipelines.checkpoint import Checkpoint
from pipelines.engine.base import Enter
from pipelines.engine.decoder import Detokenizer
from pipelines.inputs import ModelInputs
from pipelines.timing import Clock, HostClock
from pipelines.types import EngineInfo, FinishReason, Settings, Token


class ScriptedEngine:
    """Answers every request with `reply`, a token each `token_delay_s` seconds.

    `reply` is raw model output: with thinking on it starts inside the reasoning and holds `</think>`. The checkpoint
    gives the tokenizer, so that the reply comes in the pieces that a real model would give. `num_running` counts the
    requests that are being answered.
    """

    def __init__(self, reply: str, checkpoint: Checkpoint, token_delay_s: float = 0.0) -> None:
        self.checkpoint = checkpoint
        self.clock: Clock = HostClock()
        self.info = EngineInfo("scripted", "none", "none", checkpoint.context_tokens)
        self.num_running = 0
        self._ids = checkpoint.encode(reply)
        self._token_delay_s = token_delay_s

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag
    ) -> Iterator[Token | FinishReason]:
        """Replay the reply, whatever is asked."""
        self.num_running += 1
        try:
            if inputs.num_visual_tokens:
                enter("vision")
            enter("prefill")
            yield from self._replay(settings.max_new_tokens, stop)
        finally:
            self.num_running -= 1

    def _replay(self, max_new_tokens: int, stop: Flag) -> Iterator[Token | FinishReason]:
        detokenizer = Detokenizer(self.checkpoint.tokenizer)
        for token_id in self._ids[:max_new_tokens]:
            if stop.wait(self._token_delay_s) if self._token_delay_s else stop.is_set():
                yield "cancelled"
                return
            yield detokenizer.take(token_id)
        yield "stop" if len(self._ids) <= max_new_tokens else "length"
