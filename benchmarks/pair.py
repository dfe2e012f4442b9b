"""Two engines that are compared, what they are asked, and the time of a reply."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pipelines.checkpoint import Checkpoint
from pipelines.engine import LocalEngine
from pipelines.engine.placement import choose_placement
from pipelines.engine.presets import GREEDY
from pipelines.engine.reference import ReferenceEngine
from pipelines.fusion import fuse
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.types import Clip, ContentPart, Limits, Media, Message, Picture, Sampling, Settings, Token, WeightFormat

NUM_TOKENS = 64
NUM_FRAMES = 16
REPEATS = 3
"""Of what takes seconds."""


@dataclass(frozen=True)
class Times:
    """Seconds to the first token, and from it to the last, of `num_tokens`."""

    first_s: float
    rest_s: float
    num_tokens: int

    @property
    def rate(self) -> float:
        """Tokens a second behind the first."""
        return (self.num_tokens - 1) / self.rest_s


@dataclass(frozen=True, eq=False)
class Pair:
    """What is compared, and the pixels of the pictures that it is asked about."""

    name: str
    ours: LocalEngine
    theirs: ReferenceEngine
    picture_pixels: int
    repeats: int = REPEATS

    @property
    def is_gpu(self) -> bool:
        """Whether the rows that mean something on a GPU alone are measured."""
        return bool(self.ours.model.device.type == "cuda")


def pair_of(name: str, model: Any, peer: Any, picture_pixels: int, weights: WeightFormat = "full") -> Pair:
    """Ours on `model` and `generate` on `peer`; replies have no end of their own."""
    placement = replace(choose_placement(DEMO_FOLDER), num_threads=torch.get_num_threads())  # as whoever measures has
    checkpoint = replace(Checkpoint.open(DEMO_FOLDER), eos_token_ids=frozenset[int](), context_tokens=32_768)
    peer.generation_config.eos_token_id = None
    theirs = ReferenceEngine(peer, checkpoint, name, placement)
    return Pair(name, LocalEngine(model, checkpoint, name, placement, weights=weights), theirs, picture_pixels)


def prompt(pair: Pair, media: Media, *talk: str) -> ModelInputs:
    """A conversation about a medium: question, answer, question ..."""
    kind: ContentPart = {"type": "video" if isinstance(media, Clip) else "image"}
    question, *rest = talk
    messages: list[Message] = [{"role": "user", "content": [kind, {"type": "text", "text": question}]}]
    for number, text in enumerate(rest):
        messages.append({"role": "user" if number % 2 else "assistant", "content": text})
    most = Limits(1024, max(pair.picture_pixels, 65_536))
    checkpoint = replace(pair.ours.checkpoint, picture_limits=most)
    return fuse(messages, [media], checkpoint, False)


def picture(pair: Pair, seed: int) -> Picture:
    """Noise of the pair's pixels."""
    side = int(pair.picture_pixels**0.5) // 32 * 32
    rgb = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return Picture("noise", rgb, f"{seed} {side}")


def clip(seed: int) -> Clip:
    """Noise that changes twice a second."""
    rgb = np.random.default_rng(seed).integers(0, 256, (NUM_FRAMES, 320, 480, 3), np.uint8)
    times = tuple(number / 2 for number in range(NUM_FRAMES))
    return Clip("noise", rgb, times, tuple(range(NUM_FRAMES)), times[-1], content=f"clip {seed}")


def timed(engine: LocalEngine, inputs: ModelInputs, num_tokens: int = NUM_TOKENS, sampling: Sampling = GREEDY) -> Times:
    """One reply."""
    steps = engine.generate(inputs, settings_for(num_tokens, sampling), lambda _work: None, threading.Event())
    started = time.perf_counter()
    stamps = [time.perf_counter() for step in steps if isinstance(step, Token)]
    return Times(stamps[0] - started, stamps[-1] - stamps[0], len(stamps))


def settings_for(num_tokens: int, sampling: Sampling = GREEDY) -> Settings:
    """So many tokens, greedy where nothing else is said."""
    return Settings(sampling=sampling, max_new_tokens=num_tokens)


def forget(engine: LocalEngine) -> None:
    """Leave nothing that a prompt could go on from."""
    engine.scheduler.snapshots.clear()
    engine.scheduler.tower.clear()
