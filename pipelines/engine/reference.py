"""transformers' own `generate` behind the same seam: what every faster way is measured against.

One request at a time, nothing kept between them, no end to the reasoning but the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

import torch

from pipelines.engine.base import Enter, Step
from pipelines.engine.decoder import Detokenizer
from pipelines.engine.local import LocalEngine
from pipelines.engine.rest import Stopped
from pipelines.inputs import ModelInputs
from pipelines.types import Gaze, Sampling, Settings, Work

LOOK_S = 0.05
"""How often it is looked whether a request that waits is stopped."""
NUM_SEEDS = 2**64
"""Torch takes no others, and whoever asks may give any."""
GIVEN = ("input_ids", "mm_token_type_ids", "pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw")


class ReferenceEngine(LocalEngine):
    """A `LocalEngine` that leaves the prefill and the decoding to `model.generate`."""

    engine_name = "reference"
    _generating = Lock()
    runs_own_steps = False

    def warm_up(self) -> None:
        """Do the measuring alone: the steps are those of `generate`."""
        self.roofline()

    @property
    def is_spread(self) -> bool:
        """Whether the model lies on several devices, from one to the next of which only transformers' layers go on."""
        return len({weight.device for weight in self.model.parameters()}) > 1

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:
        """As of a `LocalEngine`; None of a model that is spread."""
        return None if self.is_spread else super().gaze(inputs, stop)

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:
        """As of a `LocalEngine`; None of a model that is spread."""
        return None if self.is_spread else super().score(inputs, continuations, stop)

    def anticipate(self, inputs: ModelInputs) -> None:
        """Nothing: no prompt goes on from what was read before."""

    def generate(
        self,
        inputs: ModelInputs,
        settings: Settings,
        enter: Enter,
        stop: Flag,
        hurry: Flag | None = None,  # noqa: ARG002
    ) -> Iterator[Step]:
        """Everything before the first token is one stage, "prefill": `generate` does not tell its own apart."""
        budget, sampling = self.bounds(inputs, settings)
        left, outbox = Flag(), SimpleQueue[int | Exception | None]()
        detokenizer = Detokenizer(self.checkpoint.tokenizer)
        for token_id in inputs.input_ids[0, inputs.num_tokens - inputs.num_replied :].tolist():
            detokenizer.take(token_id)
        enter(Work("queue"))
        keywords = _keywords(sampling, budget)
        given = inputs, settings.seed, keywords, enter, outbox, (stop, left)
        worker = Thread(target=self._work, args=given, daemon=True)
        worker.start()
        num_tokens = 0
        try:
            while (token_id := _next(outbox, stop)) is not None:
                if isinstance(token_id, Exception):
                    raise self.told(token_id)
                if token_id in self.checkpoint.eos_token_ids:
                    break
                num_tokens += 1
                yield detokenizer.take(token_id)
            yield "cancelled" if stop.is_set() else "length" if num_tokens >= budget else "stop"
        finally:
            left.set()
            worker.join()

    @torch.inference_mode()
    def _work(
        self,
        inputs: ModelInputs,
        seed: int,
        keywords: dict[str, Any],
        enter: Enter,
        outbox: SimpleQueue[int | Exception | None],
        flags: tuple[Flag, ...],
    ) -> None:
        streamer = _Streamer(outbox)
        self.placement.claim_threads()
        try:
            with suppress(Stopped), self._turn(flags):  # a stop is the reader's to tell of
                enter(Work("prefill", inputs.num_tokens))
                given = {name: getattr(inputs, name) for name in GIVEN}
                given = {name: value.to(self.model.device) for name, value in given.items() if value is not None}
                torch.manual_seed(seed % NUM_SEEDS)
                self.model.model.rope_deltas = None
                criteria = [lambda ids, _scores: for_each_row(ids, is_done=any(flag.is_set() for flag in flags))]
                self.model.generate(**given, **keywords, streamer=streamer, stopping_criteria=criteria)
        except Exception as error:
            outbox.put(error)
        outbox.put(None)

    @contextmanager
    def _turn(self, flags: tuple[Flag, ...]) -> Iterator[None]:
        """Have the model alone. Raises Stopped where a flag is set before that."""
        while not self._generating.acquire(timeout=LOOK_S):
            if any(flag.is_set() for flag in flags):
                raise Stopped
        try:
            yield
        finally:
            self._generating.release()


def _next(outbox: SimpleQueue[int | Exception | None], stop: Flag) -> int | Exception | None:
    """The next token or error; None at the end, or once it is stopped."""
    while not stop.is_set():
        with suppress(Empty):
            return outbox.get(timeout=LOOK_S)
    return None


def for_each_row(ids: torch.Tensor, *, is_done: bool) -> torch.Tensor:
    """Whether each row of ids is done, where the ids are."""
    return torch.full((len(ids),), is_done, device=ids.device)


class _Streamer:
    """What `generate` gives its tokens to; the first that it gives is the prompt."""

    def __init__(self, outbox: SimpleQueue[int | Exception | None]) -> None:
        self._outbox, self._has_prompt = outbox, False

    def put(self, ids: torch.Tensor) -> None:
        """Pass on a token."""
        if self._has_prompt:
            self._outbox.put(int(ids.reshape(-1)[0]))
        self._has_prompt = True

    def end(self) -> None:
        """The end is told by the worker."""


def _keywords(sampling: Sampling, max_new_tokens: int) -> dict[str, Any]:
    """Settings in the words of `generate`, which knows no presence penalty."""
    common = {"max_new_tokens": max_new_tokens, "repetition_penalty": sampling.repetition_penalty}
    if sampling.temperature == 0:
        return {**common, "do_sample": False}
    return {
        **common,
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
    }
