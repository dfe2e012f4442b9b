"""What the engine tells beside its replies: probabilities, where it looked, what it thinks of a continuation."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.engine import LocalEngine, gaze
from pipelines.engine.rest import no_rest
from pipelines.engine.slots import SlotCache
from pipelines.fusion import fuse
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.types import Sampling, Settings, Token, UserError
from tests.engine_cases import CASES, GIVEN, GREEDY, ignore, run


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


@pytest.fixture(scope="module")
def eager() -> Qwen3_5ForConditionalGeneration:
    """transformers' model with its whole attention matrices."""
    loaded = Qwen3_5ForConditionalGeneration.from_pretrained(
        DEMO_FOLDER, dtype=torch.float32, attn_implementation="eager"
    )
    return loaded.eval()


def replied(engine: LocalEngine, case: str, thinking: bool = True) -> ModelInputs:
    inputs = fuse(*CASES[case], engine.checkpoint, thinking)
    return inputs.followed_by(run(engine, inputs))


def reference(model: Qwen3_5ForConditionalGeneration, inputs: ModelInputs) -> torch.Tensor:
    """The mean over heads and layers of transformers' attention, [tokens, tokens]."""
    given = {name: getattr(inputs, name) for name in GIVEN if getattr(inputs, name) is not None}
    model.model.rope_deltas = None
    with torch.inference_mode():
        attentions = model(**given, output_attentions=True).attentions
    return torch.stack([one[0].mean(0) for one in attentions if one is not None]).mean(0)


@pytest.mark.parametrize("case", ["picture", "two pictures", "clip", "clip and picture"])
def test_where_it_looked_is_the_attention_of_transformers(
    engine: LocalEngine, eager: Qwen3_5ForConditionalGeneration, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in pieces of 40 tokens and for 3 query rows at a time, from what is kept and from the beginning."""
    inputs = replied(engine, case)
    visual = inputs.mm_token_type_ids[0] > 0
    asked = slice(inputs.num_tokens - inputs.num_replied - 1, inputs.num_tokens - 1)
    expected = reference(eager, inputs)[asked, visual].numpy()
    monkeypatch.setattr(engine.scheduler, "chunk_tokens", 40)
    for least_rows in (gaze.LEAST_ROWS, 3):
        monkeypatch.setattr(gaze, "LEAST_ROWS", least_rows)
        monkeypatch.setitem(gaze.BLOCK_BYTES, "cpu", 1)
        seen = engine.gaze(inputs, threading.Event())
        assert seen is not None
        assert np.allclose(seen.weights, expected, atol=2e-3)
        engine.scheduler.snapshots.clear()
    assert seen is not None
    maps = seen.of(range(2, 4))
    assert [one.size for one in maps] == [int(np.prod(grid)) for grid in seen.grids]
    assert np.allclose(np.concatenate([one.ravel() for one in maps]), expected[2:4].mean(0), atol=2e-3)


@pytest.mark.parametrize("cut", [1, 5])
def test_where_it_looked_in_a_reply_that_went_on_is_where_it_did_in_a_whole_one(engine: LocalEngine, cut: int) -> None:
    """What is kept of a reply that was cut off lies behind its first words."""
    inputs = fuse(*CASES["picture"], engine.checkpoint, True)
    reply = run(engine, inputs)
    expected = engine.gaze(inputs.followed_by(reply), threading.Event())
    assert run(engine, inputs, replace(GREEDY, max_new_tokens=cut)) == reply[:cut]
    for part in (reply[:cut], reply):
        seen = engine.gaze(inputs.followed_by(part), threading.Event())
        assert expected is not None
        assert seen is not None
        assert seen.first == 0
        assert np.allclose(seen.weights, expected.weights[: len(part)], atol=2e-3)


def test_where_it_looked_begins_behind_what_is_kept(engine: LocalEngine) -> None:
    """The pass costs the reply alone: neither the tower nor the prompt again."""
    inputs = replied(engine, "picture")
    runs, prefilled = engine.scheduler.tower.num_runs, engine.scheduler.stack.num_prefilled
    assert engine.gaze(inputs, threading.Event()) is not None
    assert engine.scheduler.tower.num_runs == runs
    assert engine.scheduler.stack.num_prefilled - prefilled <= inputs.num_replied + 2


def test_replies_go_on_untouched_while_it_is_asked_where_it_looked(engine: LocalEngine) -> None:
    inputs = replied(engine, "picture")
    alone = run(engine, fuse(*CASES["clip"], engine.checkpoint, True))
    expected = engine.gaze(inputs, threading.Event())
    with ThreadPoolExecutor(2) as pool:
        replies = [pool.submit(run, engine, fuse(*CASES["clip"], engine.checkpoint, True)) for _ in range(3)]
        looks = [engine.gaze(inputs, threading.Event()) for _ in range(5)]
        assert all(reply.result() == alone for reply in replies)
    assert expected is not None
    assert all(look is not None and np.allclose(look.weights, expected.weights, atol=1e-4) for look in looks)


def test_of_a_reply_too_long_the_last_tokens_are_known(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = replied(engine, "picture")
    whole = engine.gaze(inputs, threading.Event())
    monkeypatch.setattr("pipelines.engine.aside.MAX_GAZE_BYTES", 2 * inputs.num_visual_tokens * 5)
    part = engine.gaze(inputs, threading.Event())
    assert whole is not None
    assert part is not None
    assert part.first == inputs.num_replied - 5
    assert np.allclose(part.weights, whole.weights[-5:], atol=1e-3)
    assert not part.of(range(2))[0].any()


def test_where_nothing_can_be_told_or_it_was_stopped_there_is_nothing(engine: LocalEngine) -> None:
    stopped = threading.Event()
    stopped.set()
    assert engine.gaze(fuse(*CASES["picture"], engine.checkpoint, True), threading.Event()) is None
    assert engine.gaze(replied(engine, "text"), threading.Event()) is None
    engine.scheduler.snapshots.clear()
    assert engine.gaze(replied(engine, "picture", thinking=False), stopped) is None
    assert engine.score(fuse(*CASES["text"], engine.checkpoint, False), ["Yes"], stopped) is None


def test_where_memory_runs_out_room_is_made_and_the_next_question_works(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, real = engine.scheduler, engine.scheduler.stack.new_slots
    inputs = replied(engine, "picture")

    def full(shape: tuple[int, ...]) -> torch.Tensor:
        raise torch.OutOfMemoryError(shape)

    def without_room(rows: int) -> SlotCache:
        slots = real(rows)
        monkeypatch.setattr(slots, "_zeros", full)
        return slots

    with monkeypatch.context() as patched:
        patched.setattr(scheduler.stack, "new_slots", without_room)
        with pytest.raises(UserError, match="ran out of memory"):
            engine.gaze(inputs, threading.Event())
    scheduler.wait_idle()
    assert scheduler.snapshots.num_bytes == scheduler.tower.num_bytes == scheduler.stack.slots.num_bytes == 0
    assert engine.gaze(inputs, threading.Event()) is not None


@pytest.mark.parametrize("case", ["text", "picture", "clip"])
def test_a_continuation_has_the_probability_that_transformers_gives(
    engine: LocalEngine, eager: Qwen3_5ForConditionalGeneration, case: str
) -> None:
    inputs = fuse(*CASES[case], engine.checkpoint, False)
    told = engine.score(inputs, ["Yes, there is", "No"], threading.Event())
    assert told is not None
    for text, logprob in zip(["Yes, there is", "No"], told, strict=True):
        ids = engine.checkpoint.encode(text)
        both = inputs.followed_by(ids)
        given = {name: getattr(both, name) for name in GIVEN if getattr(both, name) is not None}
        eager.model.rope_deltas = None
        with torch.inference_mode():
            known = eager(**given).logits[0].log_softmax(-1)
        expected = sum(known[inputs.num_tokens + at - 1, token_id].item() for at, token_id in enumerate(ids))
        assert logprob == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(temperature=2.0, presence_penalty=1.0)], ids=["greedy", "hot"]
)
def test_a_token_comes_with_the_models_own_probability(
    engine: LocalEngine, eager: Qwen3_5ForConditionalGeneration, sampling: Sampling
) -> None:
    """Whatever the sampling; a token that closes the thought for the model has none."""
    inputs = fuse(*CASES["picture"], engine.checkpoint, True)
    settings = Settings(sampling=sampling, max_new_tokens=40, max_thinking_tokens=10)
    steps = engine.generate(inputs, settings, ignore, threading.Event())
    tokens = [step for step in steps if isinstance(step, Token)]
    both = inputs.followed_by([token.id for token in tokens])
    given = {name: getattr(both, name) for name in GIVEN if getattr(both, name) is not None}
    eager.model.rope_deltas = None
    with torch.inference_mode():
        known = eager(**given).logits[0].log_softmax(-1)
    chosen = [(at, token) for at, token in enumerate(tokens) if token.logprob is not None]
    closing = engine.checkpoint.encode("\n</think>\n\n")
    assert [token.id for token in tokens if token.logprob is None] == closing
    for at, token in chosen:
        assert token.logprob == pytest.approx(known[inputs.num_tokens + at - 1, token.id].item(), abs=1e-3)
    assert GREEDY.max_new_tokens >= len(chosen) > 10


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The largest tensor that any operation gave, in bytes."""

    num_bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        if isinstance(given, torch.Tensor) and func._schema.returns[0].alias_info is None:  # not a view of another
            self.num_bytes = max(self.num_bytes, given.nbytes)
        return given


@torch.inference_mode()
def test_memory_stays_bounded_for_12288_visual_tokens(engine: LocalEngine) -> None:
    """The weights of one layer from 300 tokens to all of them of six heads would take 90 MB at once."""
    stack, num_visual, num_replied = engine.scheduler.stack, 12_288, 300
    slots = stack.new_slots(1)
    slots.reserve(num_visual + num_replied)
    slots.lengths[0] = num_visual
    watch = gaze.GazeWatch(stack, slots, torch.arange(num_visual), num_visual, no_rest)
    positions = torch.arange(num_visual, num_visual + num_replied).expand(4, 1, -1)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        watch.prefill(torch.randn(1, num_replied, engine.model.config.text_config.hidden_size), positions)
    weights = watch.weights()
    assert weights.shape == (num_replied, num_visual)
    assert 0.5 < weights.astype("float32").sum(1).mean() <= 1.01
    assert largest.num_bytes == 4 * num_replied * num_visual  # what is told, and no more
