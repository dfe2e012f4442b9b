"""Prompts for tests of the engine, and transformers' own reply to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch

from pipelines.engine import Engine, LocalEngine, Step
from pipelines.fusion import fuse
from pipelines.inputs import ModelInputs
from pipelines.run import answer
from pipelines.types import Clip, Media, Message, Picture, Request, Result, Sampling, Settings, Token, Work

GREEDY = Settings(sampling=Sampling(), max_new_tokens=80)
GIVEN = ("input_ids", "mm_token_type_ids", "pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw")


def begun(steps: Iterator[Step]) -> list[Token]:
    """The first token of a reply, as a list, past what comes before it."""
    return [next(step for step in steps if isinstance(step, Token))]


def ignore(work: Work) -> None:
    """A listener that does not listen."""


def picture(seed: int = 0, height: int = 160, width: int = 192) -> Picture:
    """Two squares somewhere."""
    rgb = np.full((height, width, 3), 225, np.uint8)
    rng = np.random.default_rng(seed)
    for colour in ((220, 30, 35), (35, 80, 220)):
        y, x = rng.integers(0, height - 50), rng.integers(0, width - 50)
        rgb[y : y + 48, x : x + 48] = colour
    return Picture("squares.png", rgb, f"picture {seed} {height} {width}")


def clip(num_frames: int = 6) -> Clip:
    """A square that moves to the right."""
    rgb = np.full((num_frames, 96, 128, 3), 230, np.uint8)
    for index in range(num_frames):
        rgb[index, 30:60, 8 + 14 * index : 38 + 14 * index] = (30, 160, 60)
    times = tuple(index / 2 for index in range(num_frames))
    content = f"clip {num_frames}"
    return Clip("moving.mp4", rgb, times, tuple(range(num_frames)), num_frames / 2, content=content)


def ask(question: str, *media: Media) -> tuple[list[Message], list[Media]]:
    """A conversation of one question."""
    kinds = [{"type": "video" if isinstance(item, Clip) else "image"} for item in media]
    return [{"role": "user", "content": [*kinds, {"type": "text", "text": question}]}], list(media)  # type: ignore[list-item]


CASES = {
    "text": ask("Hello"),
    "picture": ask("How many squares are there?", picture()),
    "two pictures": ask("Describe the picture.", picture(1), picture(2, 128, 128)),
    "clip": ask("Which way does the square move?", clip()),
    "odd clip": ask("What moves?", clip(5)),
    "clip and picture": ask("Locate the red square.", clip(4), picture(3)),
}


def inputs_of(engine: LocalEngine, case: str, thinking: bool = True) -> ModelInputs:
    """The prompt of one of the cases."""
    return fuse(*CASES[case], engine.checkpoint, thinking)


def result_of(request: Request, engine: Engine) -> Result:
    """What a request comes to in the end."""
    *_, last = answer(request, engine)
    assert isinstance(last, Result)
    return last


@contextmanager
def kept_busy(engine: LocalEngine) -> Iterator[None]:
    """Within, the engine's thread does something else."""
    told, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        told.set()
        assert go_on.wait(30)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(engine.scheduler.between, hold)
        assert told.wait(30)
        try:
            yield
        finally:
            go_on.set()
    engine.scheduler.wait_idle()


def until_asked(engine: LocalEngine, num_requests: int) -> None:
    """Wait until the engine has so many requests."""
    deadline_s = time.monotonic() + 60
    while engine.scheduler.num_busy < num_requests:
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.001)


def run(engine: LocalEngine, inputs: ModelInputs, settings: Settings = GREEDY) -> list[int]:
    """The token ids of the engine's reply."""
    steps = engine.generate(inputs, settings, ignore, threading.Event())
    return [step.id for step in steps if isinstance(step, Token)]


def oracle(engine: LocalEngine, inputs: ModelInputs, max_new_tokens: int) -> list[int]:
    """The token ids of what `model.generate` replies greedily."""
    given = {name: getattr(inputs, name) for name in GIVEN if getattr(inputs, name) is not None}
    engine.model.model.rope_deltas = None
    with torch.inference_mode():
        ids = engine.model.generate(**given, max_new_tokens=max_new_tokens, do_sample=False)
    reply: list[int] = ids[0, inputs.num_tokens :].tolist()
    return [token for token in reply if token not in engine.checkpoint.eos_token_ids]
