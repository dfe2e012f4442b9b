"""Requests beside each other, prompts in pieces, and what is kept of them: the reply is always that of `generate`."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

from pipelines.checkpoint import Checkpoint
from pipelines.engine import LocalEngine, Waiting
from pipelines.engine.placement import choose_placement
from pipelines.engine.reference import ReferenceEngine
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from pipelines.types import Request, Sampling, Settings, Token, Turn, Usage, Work
from tests.engine_cases import CASES, GREEDY, begun, ignore, inputs_of, oracle, result_of, run
from tests.media_makers import write_clip


@pytest.fixture(scope="module")
def random_engine() -> LocalEngine:
    """Random weights in the shapes of the 0.8B, cut to four layers, a small tower and the small vocabulary."""
    checkpoint = Checkpoint.open(DEMO_FOLDER)
    demo = Qwen3_5Config.from_pretrained(DEMO_FOLDER)
    text = {
        "vocab_size": demo.text_config.vocab_size,
        "hidden_size": 1024,
        "intermediate_size": 3584,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 16,
        "tie_word_embeddings": True,
        "max_position_embeddings": 4096,
        "eos_token_id": None,
    }
    vision = {"depth": 2, "hidden_size": 768, "intermediate_size": 3072, "num_heads": 12, "out_hidden_size": 1024}
    tokens = {name: getattr(demo, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    torch.manual_seed(0)
    model = Qwen3_5ForConditionalGeneration(Qwen3_5Config(text_config=text, vision_config=vision, **tokens)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4.0)  # else all tokens are about as likely
    endless = replace(checkpoint, eos_token_ids=frozenset[int]())
    return LocalEngine(model, endless, "random", choose_placement(DEMO_FOLDER))


@pytest.mark.parametrize("chunk_tokens", [1, 7, 64, 4096])
@pytest.mark.parametrize("case", CASES)
def test_a_prompt_in_pieces(engine: LocalEngine, case: str, chunk_tokens: int) -> None:
    engine.scheduler.chunk_tokens = chunk_tokens
    for thinking in (True, False):
        inputs = inputs_of(engine, case, thinking)
        assert run(engine, inputs) == oracle(engine, inputs, 80)


@pytest.mark.parametrize("case", CASES)
def test_random_weights_in_the_shapes_of_the_small_one(random_engine: LocalEngine, case: str) -> None:
    inputs = inputs_of(random_engine, case)
    short = replace(GREEDY, max_new_tokens=12)
    expected = oracle(random_engine, inputs, 12)
    for chunk_tokens in (4096, 64, 7, 1):
        random_engine.scheduler.chunk_tokens = chunk_tokens
        random_engine.scheduler.snapshots.clear()
        assert run(random_engine, inputs, short) == expected


def test_four_at_once_that_join_and_leave(engine: LocalEngine) -> None:
    """Different prompts and lengths, in random order from several threads: rows move as others end."""
    jobs = [(inputs_of(engine, case, thinking), n) for case in CASES for thinking in (True, False) for n in (5, 80)]
    expected = [oracle(engine, inputs, n) for inputs, n in jobs]
    order = random.Random(0).sample(range(len(jobs)), len(jobs))
    with ThreadPoolExecutor(6) as pool:
        replies = dict(
            zip(
                order,
                pool.map(lambda i: run(engine, jobs[i][0], replace(GREEDY, max_new_tokens=jobs[i][1])), order),
                strict=True,
            )
        )
    assert [replies[i] for i in range(len(jobs))] == expected


def test_sampled_replies_are_the_same_alone_and_in_company(engine: LocalEngine) -> None:
    hot = Settings(sampling=Sampling(temperature=1.5, top_k=20, presence_penalty=1.0), max_new_tokens=40)
    jobs = [(inputs_of(engine, case), replace(hot, seed=seed)) for seed, case in enumerate(CASES)]
    alone = [run(engine, *job) for job in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        assert list(pool.map(lambda job: run(engine, *job), jobs)) == alone


def test_who_waits_is_told_the_place(loaded: LocalEngine) -> None:
    """One row: the second request waits for the first, the third for both."""
    engine = LocalEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER), max_running=1)
    long = replace(GREEDY, max_new_tokens=200)
    first = engine.generate(inputs_of(engine, "picture"), long, ignore, threading.Event())
    begun(first)
    places: list[list[int]] = []
    stop = threading.Event()
    second, third = (engine.generate(inputs_of(engine, "text"), long, ignore, stop) for _ in range(2))
    places = [[step.place] for step in (next(second), next(third)) if isinstance(step, Waiting)]
    assert places == [[1], [2]]
    list(first)
    assert [step.place for step in third if isinstance(step, Waiting)] == [1]
    assert len([step for step in second if isinstance(step, Token)]) > 1


def test_a_chat_of_three_turns_goes_on_from_what_is_kept(
    engine: LocalEngine, loaded: LocalEngine, picture: Path, tmp_path: Path
) -> None:
    """The tower does not look again and no old token is prefilled; without anything kept the replies are the same."""
    plain = LocalEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    plain.scheduler.snapshots.max_bytes = 0
    reference = ReferenceEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    files = (picture, write_clip(tmp_path / "a.mp4", frames=20))
    history: tuple[Turn, ...] = ()
    for number, question in enumerate(("How many objects are there?", "Describe the picture.", "Where is the square?")):
        settings = Settings(sampling=Sampling(), max_new_tokens=60)
        request = Request(question, files if number == 0 else (), settings, history)
        runs, prefilled = engine.scheduler.tower.num_runs, engine.scheduler.stack.num_prefilled
        result = result_of(request, engine)
        assert result_of(request, plain).token_ids == result.token_ids
        assert result_of(request, reference).token_ids == result.token_ids
        new = engine.scheduler.stack.num_prefilled - prefilled
        if number:
            asked = len(engine.checkpoint.encode(history[-1].answer)) + len(engine.checkpoint.encode(question))
            assert engine.scheduler.tower.num_runs == runs
            assert new < asked + 16 < result.tokens.text + result.tokens.visual
        history += (Turn(question, request.media, result.answer),)


def test_the_same_file_in_a_new_chat_is_not_looked_at_again(engine: LocalEngine, picture: Path) -> None:
    ask = Request("How many objects are there?", (picture,), GREEDY, conversation="one")
    first = result_of(ask, engine)
    runs, prefilled = engine.scheduler.tower.num_runs, engine.scheduler.stack.num_prefilled
    second = result_of(replace(ask, conversation="two"), engine)
    assert second.token_ids == first.token_ids
    assert engine.scheduler.tower.num_runs == runs
    assert engine.scheduler.stack.num_prefilled - prefilled == second.tokens.text + second.tokens.visual


def test_what_is_kept_of_a_conversation_is_dropped_with_it(engine: LocalEngine, picture: Path) -> None:
    result_of(Request("How many objects are there?", (picture,), GREEDY, conversation="one"), engine)
    result_of(Request("How many objects are there?", (picture,), GREEDY, conversation="two"), engine)
    both = engine.scheduler.snapshots.num_bytes
    engine.forget("one")
    assert 0 < engine.scheduler.snapshots.num_bytes < both
    engine.forget("two")
    assert engine.scheduler.snapshots.num_bytes == 0


def test_what_does_not_fit_goes_and_the_replies_stay_right(engine: LocalEngine) -> None:
    expected = {case: oracle(engine, inputs_of(engine, case), 80) for case in CASES}
    run(engine, inputs_of(engine, "picture"))
    engine.scheduler.snapshots.max_bytes = int(2.5 * engine.scheduler.snapshots.num_bytes)
    for _ in range(2):
        for case in CASES:
            assert run(engine, inputs_of(engine, case)) == expected[case]
            assert engine.scheduler.snapshots.num_bytes <= engine.scheduler.snapshots.max_bytes


def test_another_picture_under_the_same_question_is_another_prompt(engine: LocalEngine) -> None:
    """Its placeholders are the same tokens: only the content tells them apart."""
    messages, _ = CASES["picture"]
    for item in (CASES["picture"][1][0], CASES["two pictures"][1][0]):
        inputs = fuse(messages, [item], engine.checkpoint, True)
        assert run(engine, inputs) == oracle(engine, inputs, 80)


def test_after_a_stopped_request_the_next_is_right(engine: LocalEngine) -> None:
    inputs = inputs_of(engine, "picture")
    for taken in range(5):
        steps = engine.generate(inputs, GREEDY, ignore, threading.Event())
        for _ in range(taken):
            next(steps)
        steps.close()  # type: ignore[attr-defined]
        assert run(engine, inputs_of(engine, "clip")) == oracle(engine, inputs_of(engine, "clip"), 80)


def test_a_stop_between_two_pieces_of_a_prompt(engine: LocalEngine) -> None:
    engine.scheduler.chunk_tokens = 1
    stop = threading.Event()
    entered: list[str] = []

    def enter(work: Work) -> None:
        entered.append(work.task)
        if work.task == "prefill":
            stop.set()

    steps = list(engine.generate(inputs_of(engine, "picture"), GREEDY, enter, stop))
    assert [type(step) for step in steps] == [Usage, str]
    assert steps[-1] == "cancelled"
    engine.scheduler.wait_idle()
    assert entered == ["queue", "send", "vision", "prefill", "prefill", "deliver"]
    assert engine.scheduler.stack.num_prefilled <= 1
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows


def test_of_who_leaves_as_the_prompt_is_read_nothing_is_kept(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leaves is forgotten at once, and a piece that is being read ends later."""
    stop, read = threading.Event(), engine.scheduler.stack.prefill_kept

    def leaving(*given: Any) -> Any:
        kept = read(*given)
        stop.set()
        engine.forget("one")
        return kept

    monkeypatch.setattr(engine.scheduler.stack, "prefill_kept", leaving)
    inputs = replace(inputs_of(engine, "picture"), conversation="one")
    assert list(engine.generate(inputs, GREEDY, ignore, stop))[-1] == "cancelled"
    engine.scheduler.wait_idle()
    assert engine.scheduler.snapshots.num_bytes == 0


def test_of_who_leaves_as_the_prompt_is_copied_nothing_is_kept(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, copy_out = threading.Event(), engine.scheduler.stack.slots.copy_out

    def leaving(*given: Any) -> Any:
        state = copy_out(*given)
        stop.set()
        engine.forget("one")
        return state

    monkeypatch.setattr(engine.scheduler.stack.slots, "copy_out", leaving)
    inputs = replace(inputs_of(engine, "picture"), conversation="one")
    assert list(engine.generate(inputs, GREEDY, ignore, stop))[-1] == "cancelled"
    engine.scheduler.wait_idle()
    assert engine.scheduler.snapshots.num_bytes == 0


def test_of_who_leaves_as_a_reply_that_ran_out_of_tokens_is_copied_nothing_is_kept(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind its prompt, which was kept while somebody was there."""
    stop, copy_out, num_copied = threading.Event(), engine.scheduler.stack.slots.copy_out, iter(range(2))

    def leaving(*given: Any) -> Any:
        state = copy_out(*given)
        if next(num_copied):
            stop.set()
            engine.forget("one")
        return state

    monkeypatch.setattr(engine.scheduler.stack.slots, "copy_out", leaving)
    inputs = replace(inputs_of(engine, "picture"), conversation="one")
    list(engine.generate(inputs, replace(GREEDY, max_new_tokens=2), ignore, stop))
    engine.scheduler.wait_idle()
    assert not list(num_copied)
    assert engine.scheduler.snapshots.num_bytes == 0


def test_two_hundred_requests_leave_nothing_behind(engine: LocalEngine) -> None:
    """A third is stopped at a random moment, by a stop or by leaving."""
    rng = random.Random(3)
    inputs = [inputs_of(engine, case, thinking) for case in CASES for thinking in (True, False)]
    for prompt in inputs:
        run(engine, prompt)
    engine.scheduler.wait_idle()
    threads, slots = set(threading.enumerate()), engine.scheduler.stack.slots.num_bytes
    kept = engine.scheduler.snapshots.num_bytes, engine.scheduler.tower.num_bytes

    def one(seed: int) -> None:
        own, stop = random.Random(seed), threading.Event()
        steps = engine.generate(own.choice(inputs), replace(GREEDY, max_new_tokens=20), ignore, stop)
        for _ in range(own.randrange(12) if seed % 3 == 0 else 1000):
            if isinstance(next(steps), str):  # it ended by itself
                return
        if own.random() < 0.5:
            stop.set()
            assert list(steps)[-1] in ("cancelled", "stop", "length")
        steps.close()  # type: ignore[attr-defined]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, rng.sample(range(10_000), 200)))
    engine.scheduler.wait_idle()
    assert engine.scheduler.num_busy == 0
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows
    assert set(threading.enumerate()) <= threads  # those of engines before may end meanwhile
    assert engine.scheduler.stack.slots.num_bytes == slots
    assert engine.scheduler.tower.num_bytes == kept[1]


def test_what_fails_in_the_model_is_raised_to_who_asked(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a kernel failed")

    monkeypatch.setattr(engine.scheduler.stack, "prefill", broken)
    with pytest.raises(RuntimeError, match="a kernel failed"):
        run(engine, inputs_of(engine, "text"))
    monkeypatch.undo()
    assert run(engine, inputs_of(engine, "text"))
