"""An engine whose GPU is lent for one request at a time: Hugging Face's ZeroGPU.

`spaces.GPU` runs a generator in a forked process that has the GPU for as many seconds as were asked for, and hands on
what it yields. So what crosses is plain (numbers, text, numpy arrays), the engine is made in that process and forgotten
with it, and nothing is kept between requests. Files are read and fused outside, where time costs nobody's quota.
"""

from __future__ import annotations

import mmap
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Flag
from time import monotonic, perf_counter
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.checkpoint import Checkpoint
from pipelines.clocks import Clock, HostClock
from pipelines.engine.base import Engine, Enter, Step
from pipelines.engine.loading import load_model
from pipelines.engine.local import LocalEngine
from pipelines.engine.placement import Placement, choose_placement
from pipelines.inputs import Frames, ModelInputs
from pipelines.types import EngineInfo, Settings, TooLittleMemoryError, UserError, Vision, Work

START_S = 8.0
"""The weights onto the GPU, and whatever else comes before the first token."""
PROMPT_TOKENS_PER_S = 4_000
STEP_S = 0.015
BYTES_PER_S = 1e12
"""A step takes its launches and once the weights. Guessed from the GPU's data, with room: none was measured there."""
MAX_S = 110
"""The host refuses more."""
SPARE_S = 2.0
"""So long before its end a reply is cut off, so that what is there of it is kept."""
TICK_S = 0.1
LENT = Placement("cuda", torch.bfloat16, "a shared GPU (ZeroGPU)")
NUM_SLOTS = 256

Item = Step | Work
Lend = Callable[..., Any]
"""`spaces.GPU`, or what behaves like it."""

_HURRY = mmap.mmap(-1, NUM_SLOTS)
"""A byte for each running request, shared with the processes that are forked: 1 ends its reasoning."""


@dataclass(frozen=True)
class PlainInputs:
    """`ModelInputs` as numpy arrays: a tensor would cross to another process by a file of its own."""

    input_ids: NDArray[np.int64]
    types: NDArray[np.int64]
    media: tuple[tuple[NDArray[np.uint8], bool, str], ...]
    thinking_open: bool
    num_replied: int

    @classmethod
    def of(cls, inputs: ModelInputs) -> Self:
        """The plain form."""
        media = tuple((item.pixels.numpy(), item.is_clip, item.content) for item in inputs.media)
        ids, types = inputs.input_ids.numpy(), inputs.mm_token_type_ids.numpy()
        return cls(ids, types, media, inputs.thinking_open, inputs.num_replied)

    def inputs(self) -> ModelInputs:
        """What an engine takes."""
        return ModelInputs(
            input_ids=torch.from_numpy(self.input_ids),
            mm_token_type_ids=torch.from_numpy(self.types),
            media=tuple(Frames(torch.from_numpy(pixels), is_clip, name) for pixels, is_clip, name in self.media),
            thinking_open=self.thinking_open,
            num_replied=self.num_replied,
        )


@dataclass(frozen=True)
class Refused:
    """What the user can put right, as it crosses from the process that has the GPU."""

    sentence: str
    is_of_memory: bool = False

    @property
    def error(self) -> UserError:
        """As it was raised there."""
        return (TooLittleMemoryError if self.is_of_memory else UserError)(self.sentence)


Items = SimpleQueue[Item | Refused | Exception | None]
"""From the thread that asks the engine to the generator that hands on; None is the end."""


class ZeroGpuEngine:
    """An engine that is made by `make` where there is a GPU, which is lent by `lend`.

    What the host refuses are errors of the types `refusals`. `weight_bytes` is what a step reads.
    """

    def __init__(
        self,
        info: EngineInfo,
        checkpoint: Checkpoint,
        make: Callable[[], Engine],
        lend: Lend,
        refusals: tuple[type[Exception], ...],
        weight_bytes: int = 0,
    ) -> None:
        self.info = info
        self.vision: Vision = checkpoint
        self.clock: Clock = HostClock()
        self._make, self._refusals, self._weight_bytes = make, refusals, weight_bytes
        self._free = SimpleQueue[int]()
        for slot in range(NUM_SLOTS):
            self._free.put(slot)
        self._engine: Engine | None = None
        self._lent = lend(duration=self.duration_s)(self._answer)

    @classmethod
    def load(
        cls,
        folder: Path,
        name: str,
        lend: Lend,
        refusals: tuple[type[Exception], ...],
        placement: Placement | None = None,
    ) -> Self:
        """Load a checkpoint onto the GPU: to be called while the page's module is loaded, as the host wants it.

        Where there is neither a GPU nor one to be lent, it stays on the CPU.
        """
        placement = placement or (LENT if torch.cuda.is_available() else choose_placement(folder))
        on_host = Placement("cpu", placement.dtype, placement.device_name, placement.num_threads)
        checkpoint = Checkpoint.open(folder, name)
        model = load_model(folder, name, on_host).to(placement.device)
        facts = placement.device_name, placement.dtype_name, checkpoint.context_tokens
        info = EngineInfo(name, *facts, engine="lent")
        weight_bytes = sum(weight.nbytes for weight in model.parameters())
        make = partial(LocalEngine, model, checkpoint, name, placement)
        return cls(info, checkpoint, make, lend, refusals, weight_bytes)

    def duration_s(self, inputs: PlainInputs, settings: Settings, slot: int) -> int:  # noqa: ARG002
        """For how many seconds a request needs the GPU: what is asked of the host, and of the visitor's quota."""
        num_tokens = int(inputs.input_ids.shape[1])
        room = max(1, self.info.context_tokens - num_tokens)
        num_new_tokens = min(room, settings.max_new_tokens)
        step_s = STEP_S + self._weight_bytes / BYTES_PER_S
        needed_s = START_S + num_tokens / PROMPT_TOKENS_PER_S + num_new_tokens * step_s
        return round(min(MAX_S, needed_s + SPARE_S))

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """The steps of the process that has the GPU. Raises UserError for what it, or the host, refuses."""
        slot = self._free.get()
        _HURRY[slot] = 0
        enter(Work("queue"))
        batches = self._lent(PlainInputs.of(inputs), settings, slot)
        try:
            for batch in batches:
                if stop.is_set():
                    yield "cancelled"
                    return
                _HURRY[slot] = bool(hurry and hurry.is_set())
                for item in batch:
                    if isinstance(item, Refused):
                        raise item.error
                    if isinstance(item, Work):
                        enter(item)
                    else:
                        yield item
        except self._refusals as error:
            raise _told(error) from error
        finally:
            batches.close()  # by this the process that has the GPU stops too
            self._free.put(slot)

    def roofline(self) -> None:
        """Not known: to measure it would cost a visitor's quota."""

    def gaze(self, inputs: ModelInputs, stop: Flag) -> None:
        """Not told: the state that it begins from is gone with the process that answered."""

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> None:
        """Not told: to ask for the GPU again would cost a visitor's quota."""

    def anticipate(self, inputs: ModelInputs) -> None:
        """Not done: to ask for the GPU again would cost a visitor's quota, and nothing is kept there."""

    def forget(self, conversation: str) -> None:
        """Nothing is kept of any conversation."""

    def _answer(self, inputs: PlainInputs, settings: Settings, slot: int) -> Iterator[list[Item | Refused]]:
        """Runs where the GPU is. An empty list is a heartbeat: at each the host looks whether to stop."""
        items, stop, hurry = Items(), Flag(), Flag()
        deadline = monotonic() + self.duration_s(inputs, settings, slot) - SPARE_S
        asking = (inputs.inputs(), settings, items, stop, hurry)
        threading.Thread(target=self._run, args=asking, daemon=True, name="lent").start()
        is_cut = False
        try:
            while True:
                batch = _gathered(items)
                if _HURRY[slot]:
                    hurry.set()
                if monotonic() > deadline and not stop.is_set():
                    is_cut = True
                    stop.set()
                yield [_plain(item, is_cut) for item in batch if item is not None]
                if None in batch:
                    return
        finally:
            stop.set()

    def _run(
        self,
        inputs: ModelInputs,
        settings: Settings,
        items: Items,
        stop: Flag,
        hurry: Flag,
    ) -> None:
        try:
            if self._engine is None:  # a process that is lent the GPU again has it already
                self._engine = self._make()
            for step in self._engine.generate(inputs, settings, partial(_dated, items), stop, hurry):
                items.put(step)
        except UserError as error:
            items.put(Refused(str(error), isinstance(error, TooLittleMemoryError)))
        except Exception as error:  # raised again by the generator, for the host to tell
            items.put(error)
        finally:
            items.put(None)


def _dated(items: Items, work: Work) -> None:
    """Put down work with its beginning: it is heard of at the next tick, and both processes have the same clock."""
    items.put(replace(work, at_s=perf_counter()))


def _gathered(items: Items) -> list[Item | Refused | Exception | None]:
    """What is there, or what comes first within a tick."""
    batch: list[Item | Refused | Exception | None] = []
    with suppress(Empty):
        batch.append(items.get(timeout=TICK_S))
        while True:
            batch.append(items.get_nowait())
    return batch


def _plain(item: Item | Refused | Exception, is_cut: bool) -> Item | Refused:
    if isinstance(item, Exception):
        raise item
    return "length" if is_cut and item == "cancelled" else item


def _told(error: Exception) -> UserError:
    """A refusal of the host in its own words, without their markup, and with what a visitor can do."""
    words = " ".join(re.sub(r"<[^>]*>", " ", str(getattr(error, "message", error))).split())
    return UserError(
        f"The shared GPU is not to be had now: {words.rstrip('.')}. Wait a little, sign in to Hugging Face for more of "
        "its time, or ask with fewer new tokens."
    )
