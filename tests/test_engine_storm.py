"""Memory runs out again and again, anywhere, while visitors ask, leave, look back and ask further.

Each gets the reply of `generate`, as far as it was wanted, or the sentence about memory; and nothing is left behind.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch

from pipelines.engine import LocalEngine
from pipelines.engine.attention import Attention
from pipelines.engine.delta import GatedDelta
from pipelines.engine.slots import SlotCache
from pipelines.inputs import ModelInputs
from pipelines.types import Token, TooLittleMemoryError
from tests.engine_cases import CASES, GREEDY, ignore, inputs_of, oracle

NUM_TOKENS = 40
VISITORS = 8
ROUNDS = (0.0, 0.002, 0.01, 0.05)
"""How often memory runs out, before and behind each of the places."""
VISITS = 60

Prompt = tuple[ModelInputs, list[int]]


@pytest.fixture(scope="module")
def prompts(loaded: LocalEngine) -> list[Prompt]:
    """With what `generate` replies."""
    asked = [inputs_of(loaded, case, thinking) for case in CASES for thinking in (True, False)]
    return [(inputs, oracle(loaded, inputs, NUM_TOKENS)) for inputs in asked]


class Storm:
    """Memory that runs out in the engine's thread, by chance."""

    def __init__(self, engine: LocalEngine, patched: pytest.MonkeyPatch) -> None:
        self.share, self.num_errors = 0.0, 0
        self._random = random.Random(5)
        stack, tower = engine.scheduler.stack, engine.scheduler.tower
        places: list[tuple[Any, str]] = [
            *((SlotCache, name) for name in ("_zeros", "copy_out", "copy_in")),
            *((mixer, "_piece") for mixer in (GatedDelta, Attention)),
            *((stack, name) for name in ("embed", "decode", "first", "next")),
            (tower, "_run"),
        ]
        for owner, name in places:
            patched.setattr(owner, name, self._striking(getattr(owner, name)))

    def _striking(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def work(*given: Any, **others: Any) -> Any:
            self._strike()
            found = real(*given, **others)
            self._strike()
            return found

        return work

    def _strike(self) -> None:
        if threading.current_thread().name == "engine" and self._random.random() < self.share:
            self.num_errors += 1
            raise torch.OutOfMemoryError


def visit(engine: LocalEngine, prompt: Prompt, chance: random.Random) -> None:
    """Look back, ask beside the replies, have something read ahead, or ask and perhaps leave or stop in the middle."""
    (inputs, expected), stop = prompt, threading.Event()
    inputs = replace(inputs, conversation=str(chance.randrange(3)))
    what = chance.random()
    if what < 0.15:
        assert (engine.gaze(inputs.followed_by(expected[:5]), stop) is not None) == bool(inputs.media)
    elif what < 0.25:
        assert engine.score(inputs, ["yes", "no"], stop) is not None
    elif what < 0.4:
        engine.anticipate(inputs)
    else:
        most = chance.randrange(30) if chance.random() < 0.3 else None
        ids = list(asked(engine, inputs, stop, most, is_leaving=chance.random() < 0.5))
        assert ids == expected[: len(ids)]
        assert most is not None or len(ids) == len(expected)


def asked(
    engine: LocalEngine, inputs: ModelInputs, stop: threading.Event, most: int | None, *, is_leaving: bool
) -> Iterator[int]:
    """The ids of a reply; behind the first `most`, whoever asked leaves or stops it."""
    num_tokens = 0
    for step in engine.generate(inputs, replace(GREEDY, max_new_tokens=NUM_TOKENS), ignore, stop):
        if isinstance(step, Token):
            num_tokens += 1
            yield step.id
        if most is not None and num_tokens >= most:
            if is_leaving:
                return
            stop.set()


def test_who_meets_the_end_of_memory_is_told_and_all_others_are_answered(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, prompts: list[Prompt]
) -> None:
    scheduler, chance = engine.scheduler, random.Random(1)
    monkeypatch.setattr(scheduler, "chunk_tokens", 24)
    storm = Storm(engine, monkeypatch)

    def one(seed: int) -> bool:
        own = random.Random(seed)
        try:
            visit(engine, own.choice(prompts), own)
        except TooLittleMemoryError:
            return False
        return True

    for share in ROUNDS:
        storm.share = share
        with ThreadPoolExecutor(VISITORS) as pool:
            served = list(pool.map(one, chance.sample(range(10_000), VISITS)))
        storm.share = 0.0
        scheduler.wait_idle()
        assert storm.num_errors or all(served)
        assert scheduler.num_busy == 0
        assert scheduler.stack.slots.lengths == [0] * scheduler.stack.slots.rows
    assert storm.num_errors > 20
