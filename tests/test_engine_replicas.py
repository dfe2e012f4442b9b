"""Several engines of one model side by side, one on each GPU: who goes to which, and what they answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event as Flag

import pytest
import torch

from pipelines.checkpoint import Checkpoint
from pipelines.engine import Enter, LocalEngine, ScriptedEngine, Step
from pipelines.engine.replicas import Replicas
from pipelines.fusion import fuse
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER, Running, load_engine
from pipelines.run import answer
from pipelines.types import Request, Result, Sampling, Settings, UserError
from tests.engine_cases import CASES

QUESTION = Request("What can you do?", settings=Settings(thinking=False))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(DEMO_FOLDER)


class Held(ScriptedEngine):
    """Answers once it may, and notes who asked and who left."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__("Yes.", checkpoint)
        self.may_answer, self.is_lost = Flag(), False
        self.asked: list[str] = []
        self.forgotten: list[str] = []
        self.anticipated: list[str] = []

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        self.asked.append(inputs.conversation)
        if self.is_lost:
            raise RuntimeError("CUDA error: unspecified launch failure")
        assert self.may_answer.wait(30)
        yield from super().generate(inputs, settings, enter, stop, hurry)

    def anticipate(self, inputs: ModelInputs) -> None:
        self.anticipated.append(inputs.conversation)

    def forget(self, conversation: str) -> None:
        self.forgotten.append(conversation)


def test_replicas_share_visitors_and_keep_conversations(checkpoint: Checkpoint) -> None:
    engines = [Held(checkpoint), Held(checkpoint)]
    both = Replicas(engines)
    assert both.info.device == "2 replicas, each on none"

    def visit(name: str) -> None:
        list(answer(replace(QUESTION, conversation=name), both))

    visitors = [threading.Thread(target=visit, args=(name,)) for name in "ab"]
    for number, visitor in enumerate(visitors, 1):
        visitor.start()
        while sum(len(engine.asked) for engine in engines) < number:
            threading.Event().wait(0.01)
    assert [len(engine.asked) for engine in engines] == [1, 1]
    for engine in engines:
        engine.may_answer.set()
    for visitor in visitors:
        visitor.join()
    for _ in range(3):
        visit("b")
    assert [engine.asked for engine in engines] == [["a"], ["b"] * 4]
    both.anticipate(replace(fuse(*CASES["text"], checkpoint, False), conversation="b"))
    assert [engine.anticipated for engine in engines] == [[], ["b"]]
    both.forget("b")
    both.forget("nobody")
    assert [engine.forgotten for engine in engines] == [[], ["b"]]


def test_an_engine_that_fails_is_asked_after_the_others(checkpoint: Checkpoint) -> None:
    """It was idle again at once, so that all who came were sent there, and stayed."""
    lost, other = Held(checkpoint), Held(checkpoint)
    both = Replicas([lost, other])
    lost.is_lost = True
    other.may_answer.set()

    def visit(name: str) -> None:
        list(answer(replace(QUESTION, conversation=name), both))

    with pytest.raises(RuntimeError):
        visit("a")
    assert lost.forgotten == ["a"]
    for name in "abc":
        visit(name)
    assert (lost.asked, other.asked) == (["a"], ["a", "b", "c"])

    lost.is_lost = False
    lost.may_answer.set()
    other.may_answer.clear()
    waiting = threading.Thread(target=visit, args=("c",))
    waiting.start()
    while len(other.asked) < 4:
        threading.Event().wait(0.01)
    visit("d")
    other.may_answer.set()
    waiting.join()
    visit("e")
    assert lost.asked == ["a", "d", "e"]


def test_replicas_of_the_shipped_model_answer_as_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that says it has two GPUs and can use none, both engines run on the CPU: the same code, twice."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    both = load_engine("demo", Running(replicas=2))
    assert isinstance(both, Replicas)
    engines = both.engines
    assert engines[0] is not engines[1]
    questions = [replace(QUESTION, conversation=name, settings=Settings(sampling=Sampling())) for name in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda request: list(answer(request, both))[-1], questions))
    *_, alone = answer(replace(questions[0], conversation="alone"), engines[0])
    engines[0].forget("alone")
    assert isinstance(alone, Result)
    assert [reply.answer for reply in replies if isinstance(reply, Result)] == [alone.answer] * 4
    kept = [engine.scheduler.snapshots.num_bytes for engine in engines if isinstance(engine, LocalEngine)]
    assert len(kept) == 2
    assert all(kept)
    for name in "abcd":
        both.forget(name)
    assert [engine.scheduler.snapshots.num_bytes for engine in engines if isinstance(engine, LocalEngine)] == [0, 0]


def test_more_replicas_than_gpus_are_refused() -> None:
    with pytest.raises(UserError, match="64 replicas need 64 GPUs, and this machine has"):
        load_engine("demo", Running(replicas=64))
