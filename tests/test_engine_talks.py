"""Several visitors talk at once, each with whatever comes to a visitor's mind, and get what each would get alone.

They stop, leave, have their answer now, go on with what was cut off, look back and have answers read ahead, while
little is kept and prompts are read in small pieces.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from pipelines.asides import anticipate, gaze
from pipelines.engine import LocalEngine
from pipelines.engine.placement import choose_placement
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.types import Request, Result, Sampling, Settings, Turn
from tests.engine_cases import result_of
from tests.media_makers import write_clip

VISITORS = 6
MAX_PARTS = 6
WHOLE = 400
QUESTIONS = ("Describe it.", "How many objects are there?", "Where is the square?", "What colour is the star?")
SAMPLINGS = (
    Sampling(),
    Sampling(temperature=1.0, top_p=0.95, top_k=20, presence_penalty=1.5),
    Sampling(temperature=0.8, min_p=0.05, repetition_penalty=1.1),
)


@dataclass(frozen=True)
class Asked:
    """One question of a talk, with what it comes to where nobody else asks, and its answer is not cut off."""

    request: Request
    expected: Result


def talk(engine: LocalEngine, files: Sequence[Path], chance: random.Random) -> list[Asked]:
    """Up to three questions, each with files of its own or none."""
    asked: list[Asked] = []
    history: tuple[Turn, ...] = ()
    for number in range(chance.randint(1, 3)):
        settings = Settings(
            thinking=chance.random() < 0.6,
            max_new_tokens=chance.choice([3, 10, 30, 120]),
            max_thinking_tokens=chance.choice([None, 5, 20]),
            sampling=chance.choice(SAMPLINGS),
            seed=chance.randrange(100),
        )
        media = tuple(chance.sample(files, chance.randint(0 if number else 1, 2)))
        request = Request(chance.choice(QUESTIONS), media, settings, history)
        result = result_of(replace(request, settings=replace(settings, max_new_tokens=WHOLE)), engine)
        asked.append(Asked(request, result))
        history = (*history, Turn(request.question, media, result.answer))
    return asked


def disturb(request: Request, engine: LocalEngine, chance: random.Random) -> None:
    """Ask, and stop it, leave, or have the answer now, somewhere in the middle."""
    stop, hurry, most = threading.Event(), threading.Event(), chance.randrange(20)
    what = chance.choice(["stop", "hurry", "leave"])
    steps = answer(request, engine, stop, None, hurry)
    for number, _ in enumerate(steps):
        if number >= most:
            if what == "leave":
                steps.close()  # type: ignore[attr-defined]
                return
            (stop if what == "stop" else hurry).set()


def whole(request: Request, engine: LocalEngine, chance: random.Random) -> Result:
    """What it comes to, cut off and gone on with as often as its length asks for."""
    for part in count(1):
        settings = request.settings if part < MAX_PARTS else replace(request.settings, max_new_tokens=WHOLE)
        result = result_of(replace(request, settings=settings), engine)
        if result.finish_reason != "length":
            return result
        request = replace(request, resumed=result)
        if chance.random() < 0.3:
            anticipate(request, result, engine)
        if chance.random() < 0.2:
            engine.forget(request.conversation)
    raise AssertionError


def visit(engine: LocalEngine, asked: Sequence[Asked], name: str) -> None:
    chance = random.Random(name)
    for one in asked:
        request = replace(one.request, conversation=name)
        while chance.random() < 0.3:
            disturb(request, engine, chance)
        result, expected = whole(request, engine, chance), one.expected
        assert result.token_ids == expected.token_ids
        assert (result.reasoning, result.answer) == (expected.reasoning, expected.answer)
        assert (result.thought_end, result.finish_reason) == (expected.thought_end, expected.finish_reason)
        if chance.random() < 0.3 and request.files:
            assert gaze(request, result, engine, threading.Event()) is not None
        if chance.random() < 0.6:
            anticipate(request, result, engine)
    engine.forget(name)


@pytest.mark.parametrize(("pieces", "kept_bytes"), [(7, 64 << 20), (64, 1 << 20), (512, 4 << 20)])
def test_each_of_several_talks_is_what_it_would_be_alone(
    engine: LocalEngine, loaded: LocalEngine, picture: Path, tmp_path: Path, pieces: int, kept_bytes: int
) -> None:
    alone = LocalEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    files = [picture, *(write_clip(tmp_path / f"{frames}.mp4", frames=frames) for frames in (20, 32))]
    chance = random.Random(pieces)
    talks = [talk(alone, files, chance) for _ in range(VISITORS)]
    engine.scheduler.chunk_tokens, engine.scheduler.snapshots.max_bytes = pieces, kept_bytes
    with ThreadPoolExecutor(VISITORS) as pool:
        visits = [pool.submit(visit, engine, one, f"{pieces} {number}") for number, one in enumerate(talks)]
        for done in visits:
            done.result()
    engine.scheduler.wait_idle()
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows
    assert engine.scheduler.num_busy == engine.scheduler.snapshots.num_bytes == 0
    alone.scheduler.close()
