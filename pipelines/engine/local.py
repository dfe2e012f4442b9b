"""The engine that runs a Qwen3.5 checkpoint in this process: transformers' model, with caches and a loop of our own.

Greedy output equals `model.generate(do_sample=False)` token for token, even when other requests run beside it, when a
prompt is prefilled in pieces, and when it continues from what is kept of the previous question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import Any, Self

from pipelines.checkpoint import Checkpoint
from pipelines.clocks import Clock, CudaClock, HostClock
from pipelines.engine.aside import Aside
from pipelines.engine.base import Enter, Step
from pipelines.engine.job import Job
from pipelines.engine.kernels import kernels_of
from pipelines.engine.loading import TOO_LARGE, load_model
from pipelines.engine.memory import is_out_of_memory
from pipelines.engine.placement import Placement, choose_placement, stay
from pipelines.engine.presets import GREEDY, preset
from pipelines.engine.roofline import measure
from pipelines.engine.rows import choose_kept
from pipelines.engine.scheduler import Scheduler
from pipelines.engine.snapshots import Snapshots
from pipelines.engine.stack import Stack
from pipelines.engine.tower import Tower
from pipelines.engine.weights import check_model, check_weights, held_as
from pipelines.inputs import ModelInputs
from pipelines.types import (
    EngineInfo,
    EngineName,
    Gaze,
    Roofline,
    Sampling,
    Settings,
    TooLittleMemoryError,
    UserError,
    Vision,
    WeightFormat,
    Work,
)

OUT_OF_MEMORY = "The {device} ran out of memory: ask with fewer frames, a smaller picture or a shorter conversation."

CHUNK_TOKENS, GPU_CHUNK_TOKENS = 512, 2048
"""Tokens of a prompt that are read before it is checked who wants to stop, and before the running requests have their
next step."""


class LocalEngine:
    """A `qwen3_5` or `qwen3_5_moe` model on this machine."""

    engine_name: EngineName = "local"
    runs_own_steps = True
    """Whether this engine runs the steps itself, with weights and kernels of its own, timed where they are done.

    If not, transformers does everything, and the host times each step by the arrival of its token."""

    def __init__(
        self,
        model: Any,
        checkpoint: Checkpoint,
        name: str,
        placement: Placement,
        max_running: int | None = None,
        weights: WeightFormat = "full",
    ) -> None:
        self.checkpoint = checkpoint
        self.vision: Vision = checkpoint
        self.model, self.placement = model, placement
        check_weights(weights, placement.device)
        check_model(weights, model.config.text_config)
        held = held_as(weights, model) if self.runs_own_steps else weights
        put = placement.put if placement.is_staged(weights) else stay
        stack = Stack(model, max_running and max_running + 1, held, put)
        tower = Tower(model)
        if self.runs_own_steps:
            stack.use_kernels()
            tower.use_kernels()
        has_experts = hasattr(model.config.text_config, "num_experts")
        kernels = kernels_of(
            model.device, held, has_experts=has_experts, replays=self.runs_own_steps, is_fused=stack.has_kernels
        )
        facts = (placement.device_name, placement.dtype_name, checkpoint.context_tokens)
        self.info = EngineInfo(name, *facts, kernels, self.engine_name)
        self.clock: Clock = CudaClock() if placement.is_cuda and self.runs_own_steps else HostClock()
        chunk_tokens = GPU_CHUNK_TOKENS if model.device.type == "cuda" else CHUNK_TOKENS
        snapshots = Snapshots(choose_kept(model))
        self.scheduler = Scheduler(stack, tower, snapshots, chunk_tokens, self.told, placement.claim_threads)
        self._measuring = Lock()
        self._roofline: Roofline | None = None

    @classmethod
    def load(cls, folder: Path, name: str, placement: Placement | None = None, weights: WeightFormat = "full") -> Self:
        """Load a checkpoint folder; see `pipelines.engine.loading`."""
        checkpoint = Checkpoint.open(folder, name)
        placement = placement or choose_placement(folder, weights)
        check_weights(weights, placement.device)
        model = load_model(folder, name, placement, is_staged=placement.is_staged(weights))
        try:
            return cls(model, checkpoint, name, placement, weights=weights)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(TOO_LARGE.format(name=name, device=placement.device_name)) from error

    def warm_up(self) -> None:
        """Do what the first requests would wait for: measuring, and on a GPU capturing the graphs."""
        self.scheduler.between(self.scheduler.stack.warm_up)
        self.roofline()

    def preset(self, *, thinking: bool, has_media: bool) -> Sampling:
        """The model card's values, or greedy if the checkpoint's own generation_config turns sampling off.

        Qwen/Qwen3.5-2B and 4B have no such file, and get the card's values.
        """
        if self.model.generation_config.do_sample is False:
            return GREEDY
        config = self.model.config.text_config
        is_mixture = hasattr(config, "num_experts")
        return preset(config.hidden_size, thinking=thinking, has_media=has_media, is_mixture=is_mixture)

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Prefill, then one token a step. Raises UserError if the context or the memory does not suffice."""
        budget, sampling = self.bounds(inputs, settings)
        job = Job(inputs, settings, sampling, budget, self.checkpoint, enter, stop, hurry or Flag())
        enter(Work("queue"))
        self.scheduler.submit(job)
        yield from job.steps()

    def bounds(self, inputs: ModelInputs, settings: Settings) -> tuple[int, Sampling]:
        """The most new tokens, and how they are chosen. Raises UserError for a prompt beyond the context."""
        room = self.info.context_tokens - inputs.num_tokens
        if room < 1:
            raise UserError(
                f"The question and its media take {inputs.num_tokens:,} tokens, and this model holds "
                f"{self.info.context_tokens:,}: shorten the text or take fewer frames or pictures."
            )
        sampling = settings.sampling or self.preset(thinking=settings.thinking, has_media=inputs.num_visual_tokens > 0)
        return min(room, settings.max_new_tokens), sampling

    def roofline(self) -> Roofline:
        """Measured when first asked for, between two turns of the running requests."""
        with self._measuring:
            if self._roofline is None:
                self.scheduler.between(self._measure)
            assert self._roofline is not None
            return self._roofline

    def _measure(self) -> None:
        self._roofline = measure(self.model, self.scheduler.stack.slots)

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:
        """One pass over the reply, from what is kept of its prompt, or over both if nothing is."""
        if not (inputs.num_replied and inputs.media):
            return None
        return Aside(self.scheduler, inputs, stop, is_watched=True).gaze()

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:
        """The sum of the log probabilities of each continuation's tokens."""
        return Aside(self.scheduler, inputs, stop).score([self.checkpoint.encode(text) for text in continuations])

    def anticipate(self, inputs: ModelInputs) -> None:
        """Read it in pieces while there is nothing else to do, if the conversation's media are still kept."""
        if inputs.num_tokens < self.info.context_tokens:
            self.scheduler.anticipate(inputs)

    def forget(self, conversation: str) -> None:
        """Free what is kept for a conversation whose visitor has left."""
        self.scheduler.forget(conversation)

    def told(self, error: Exception) -> Exception:
        """The error that a person is told of instead of one that the device raised."""
        if is_out_of_memory(error):
            return TooLittleMemoryError(OUT_OF_MEMORY.format(device=self.info.device))
        return error
