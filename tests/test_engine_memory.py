"""Memory that runs out: who asked for too much is told, and all others are answered as if nothing had been."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.engine import LocalEngine
from pipelines.engine.slots import LEAST_CAPACITY
from pipelines.fusion import fuse
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.types import Request, Token, UserError
from tests.engine_cases import GREEDY, ask, ignore, inputs_of, kept_busy, oracle, result_of, run, until_asked
from tests.imitated_gpu import imitate, lend


def asked_together(pool: ThreadPoolExecutor, engine: LocalEngine, *prompts: ModelInputs) -> list[Future[list[int]]]:
    """The replies to prompts that are asked in this order, before the engine begins with the first."""
    replies = []
    with kept_busy(engine):
        for number, inputs in enumerate(prompts, 1):
            replies.append(pool.submit(run, engine, inputs))
            until_asked(engine, number)
    return replies


def strike_gpu() -> None:
    """Run out of memory as torch does on an NVIDIA GPU."""
    raise torch.OutOfMemoryError


def strike_cpu() -> None:
    """Run out of memory as torch does on a CPU, with an error of no class of its own."""
    torch.empty(2**46)


@pytest.mark.parametrize("strike", [strike_gpu, strike_cpu])
@pytest.mark.parametrize("stage", ["see", "prefill", "decode"])
def test_out_of_memory_is_one_sentence_and_the_next_request_works(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, stage: str, strike: Callable[[], None]
) -> None:
    owner = engine.scheduler.tower if stage == "see" else engine.scheduler.stack
    inputs = inputs_of(engine, "picture")
    expected = oracle(engine, inputs, 80)
    real: Callable[..., object] = getattr(owner, stage)
    calls = iter(range(1000))

    def failing(*arguments: object, **others: object) -> object:
        if next(calls) == (3 if stage == "decode" else 0):
            strike()
        return real(*arguments, **others)

    monkeypatch.setattr(owner, stage, failing)
    with pytest.raises(UserError, match="ran out of memory: ask with fewer frames"):
        run(engine, inputs)
    engine.scheduler.wait_idle()
    assert engine.scheduler.stack.slots.num_bytes == engine.scheduler.snapshots.num_bytes == 0
    assert engine.scheduler.tower.num_bytes == 0
    assert run(engine, inputs) == expected


def test_a_step_that_runs_out_of_memory_spares_the_prompt_that_is_read_meanwhile(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no other reply runs, and most of what the engine holds is given back."""
    monkeypatch.setattr(engine.scheduler, "chunk_tokens", 16)
    first, second = inputs_of(engine, "text"), inputs_of(engine, "clip")
    expected, stack = oracle(engine, second, 80), engine.scheduler.stack
    last, real, held = stack.slots.rows - 1, stack.decode, list[int]()

    def failing(*arguments: object, **others: object) -> object:
        if stack.slots.lengths[last] >= 32 and not held:
            held.append(stack.slots.lengths[last])
            raise torch.OutOfMemoryError
        return real(*arguments, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(stack, "decode", failing)
    with ThreadPoolExecutor(2) as pool:
        failed, beside = asked_together(pool, engine, first, second)
        with pytest.raises(UserError, match="ran out of memory"):
            failed.result()
        assert beside.result() == expected
    assert 0 < held[0] < second.num_tokens


def test_a_prompt_that_there_is_no_room_for_spares_the_replies_that_run(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was to grow for it, some had grown."""
    first = inputs_of(engine, "picture")
    expected, slots = oracle(engine, first, 80), engine.scheduler.stack.slots
    long = fuse(*ask("Hello " * LEAST_CAPACITY), engine.checkpoint, True)
    real, running = slots._zeros, list[int]()

    def failing(shape: tuple[int, ...]) -> torch.Tensor:
        if shape[2] > LEAST_CAPACITY:
            running.append(slots.lengths[0])
        if len(running) == 3:  # keys and values of one layer have grown
            raise torch.OutOfMemoryError
        return real(shape)

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(slots, "_zeros", failing)
        beside, refused = asked_together(pool, engine, first, long)
        with pytest.raises(UserError, match="ran out of memory"):
            refused.result()
        assert beside.result() == expected
    assert running[-1] > 0
    short = replace(GREEDY, max_new_tokens=5)
    assert run(engine, long, short) == oracle(engine, long, 5)


@pytest.mark.parametrize("has_gpu", [False, True], ids=["CPU", "imitated GPU"])
def test_a_reply_that_becomes_longer_than_there_is_room_for_ends_alone(
    engine: LocalEngine, has_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended all that ran beside it, too, whose rows had room. On a GPU a step is still to be read meanwhile."""
    long = fuse(*ask("Hello " * 248), engine.checkpoint, True)
    beside, slots = inputs_of(engine, "clip"), engine.scheduler.stack.slots
    wanted, expected = oracle(engine, beside, 80), oracle(engine, long, 80)
    assert long.num_tokens < LEAST_CAPACITY < long.num_tokens + len(expected) - 1
    if has_gpu:
        imitate(monkeypatch)
        lend(engine, has_kernels=True)
    real, lengths, got = slots._zeros, list[list[int]](), list[int]()

    def failing(shape: tuple[int, ...]) -> torch.Tensor:
        if shape[2] > LEAST_CAPACITY:
            lengths.append(slots.lengths[:2])
            raise torch.OutOfMemoryError
        return real(shape)

    def follow() -> None:
        for step in engine.generate(long, GREEDY, ignore, threading.Event()):
            if isinstance(step, Token):
                got.append(step.id)

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(slots, "_zeros", failing)
        with kept_busy(engine):
            ended = pool.submit(follow)
            until_asked(engine, 1)
            other = pool.submit(run, engine, beside)
            until_asked(engine, 2)
        with pytest.raises(UserError, match="ran out of memory"):
            ended.result()
        assert other.result() == wanted
    [(full, other_length)] = lengths
    assert full == LEAST_CAPACITY
    assert beside.num_tokens < other_length < LEAST_CAPACITY
    assert len(got) > 1
    assert got == expected[: len(got)]
    assert run(engine, long) == expected


def test_a_reply_that_there_is_no_memory_to_keep_ends_as_it_would(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, picture: Path
) -> None:
    """It can go on, by way of its whole prompt; and a reply beside it notices nothing."""
    request = Request("Describe the picture.", (picture,), replace(GREEDY, max_new_tokens=5), conversation="one")
    whole = replace(request, settings=replace(GREEDY, max_new_tokens=300))
    expected = result_of(replace(whole, conversation="another"), engine)
    beside = inputs_of(engine, "clip")
    wanted = oracle(engine, beside, 80)
    slots, num_running = engine.scheduler.stack.slots, list[int]()
    real = slots.copy_out

    def failing(*arguments: object, **others: object) -> object:
        num_running.append(engine.scheduler.num_busy)
        if len(num_running) == 3:  # behind that of each prompt
            raise torch.OutOfMemoryError
        return real(*arguments, **others)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(slots, "copy_out", failing)
        with kept_busy(engine):
            other, own = pool.submit(run, engine, beside), pool.submit(result_of, request, engine)
            until_asked(engine, 2)
        assert other.result() == wanted
        cut = own.result()
    assert num_running == [2, 2, 2]
    assert (cut.finish_reason, cut.token_ids) == ("length", expected.token_ids[:5])
    assert engine.scheduler.snapshots.num_bytes == 0
    assert result_of(replace(whole, resumed=cut), engine).token_ids == expected.token_ids


@pytest.mark.parametrize("strike", [strike_gpu, strike_cpu])
def test_a_prompt_that_there_is_no_memory_to_keep_is_answered(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, strike: Callable[[], None]
) -> None:
    inputs, short = inputs_of(engine, "picture"), replace(GREEDY, max_new_tokens=5)
    expected = oracle(engine, inputs, 5)

    def failing(*_: object, **__: object) -> None:
        strike()

    with monkeypatch.context() as patched:
        patched.setattr(engine.scheduler.stack.slots, "copy_out", failing)
        engine.scheduler.snapshots.clear()
        assert run(engine, inputs, short) == expected
        engine.scheduler.wait_idle()
    assert engine.scheduler.snapshots.num_bytes == 0
    assert run(engine, inputs, short) == expected


def test_what_is_given_back_is_held_by_nothing(engine: LocalEngine) -> None:
    """Nor by the step that was recorded on it."""
    run(engine, inputs_of(engine, "picture"))
    engine.scheduler.wait_idle()
    stack = engine.scheduler.stack
    held = [weakref.ref(tensor) for pair in stack.slots.layers for tensor in pair]
    assert all(tensor() is not None for tensor in held)
    engine.scheduler.between(stack.release)
    assert all(tensor() is None for tensor in held)


def test_of_a_model_that_is_left_nothing_is_held() -> None:
    before = {id(tensor) for tensor in tensors()}
    engine = LocalEngine.load(DEMO_FOLDER, "demo")
    run(engine, inputs_of(engine, "text"))
    engine.scheduler.close()
    held = [weakref.ref(tensor) for tensor in tensors() if id(tensor) not in before]
    assert len(held) > len(list(engine.model.parameters()))
    del engine
    gc.collect()  # an engine and its parts know each other
    assert all(tensor() is None for tensor in held)


def tensors() -> list[torch.Tensor]:
    """All that are alive."""
    return [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]


@pytest.mark.parametrize("strike", [strike_gpu, strike_cpu])
def test_a_model_that_there_is_no_memory_for_is_too_large_and_not_damaged(
    monkeypatch: pytest.MonkeyPatch, strike: Callable[[], None]
) -> None:
    class Large:
        @staticmethod
        def from_pretrained(*_: object, **__: object) -> None:
            strike()

    monkeypatch.setattr("pipelines.engine.loading._class_of", lambda _: Large)
    with pytest.raises(UserError, match=r'"demo" does not fit on .*: choose a smaller model\.'):
        LocalEngine.load(DEMO_FOLDER, "demo")
