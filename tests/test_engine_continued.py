"""A reply that ran out of tokens and goes on, as often as it takes, is the reply that never did."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.engine import LocalEngine
from pipelines.engine.decoder import Detokenizer
from pipelines.engine.placement import choose_placement
from pipelines.engine.reference import ReferenceEngine
from pipelines.engine.sampler import Chosen, paired
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.types import Delta, Request, Result, Sampling, Settings, Token
from tests.engine_cases import ignore, inputs_of, result_of, run

GREEDY, DRAWN = Sampling(), Sampling(temperature=1.0, top_p=0.95, top_k=20)
WAYS = {
    "greedy": Settings(sampling=GREEDY),
    "without thinking": Settings(sampling=GREEDY, thinking=False),
    "drawn": Settings(sampling=DRAWN, seed=7),
    "penalised": Settings(sampling=replace(DRAWN, presence_penalty=1.5, repetition_penalty=1.1), seed=3),
    "a thought within a budget": Settings(sampling=GREEDY, max_thinking_tokens=10),
    "drawn within a budget": Settings(sampling=DRAWN, seed=5, max_thinking_tokens=10),
}


def in_parts(request: Request, engine: LocalEngine, lengths: list[int]) -> Result:
    """Its result, cut off behind so many tokens, then so many more, and in the end not any more."""
    stack = engine.scheduler.stack
    for length in lengths:
        prefilled = stack.num_prefilled
        part = result_of(replace(request, settings=replace(request.settings, max_new_tokens=length)), engine)
        assert part.finish_reason == "length"
        assert request.resumed is None or stack.num_prefilled == prefilled + 1
        request = replace(request, resumed=part)
    return result_of(request, engine)


@pytest.mark.parametrize("lengths", [[1], [9], [10], [11], [12], [13], [4, 6], [10, 1, 1, 1]], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_a_reply_goes_on_as_it_would_have(engine: LocalEngine, picture: Path, way: str, lengths: list[int]) -> None:
    request = Request("Describe the picture.", (picture,), replace(WAYS[way], max_new_tokens=300))
    expected = result_of(request, engine)
    assert len(expected.token_ids) > sum(lengths)
    whole = in_parts(request, engine, lengths)
    assert whole.token_ids == expected.token_ids
    assert (whole.reasoning, whole.answer) == (expected.reasoning, expected.answer)
    assert (whole.thought_end, whole.finish_reason) == (expected.thought_end, "stop")
    assert whole.certainty == pytest.approx(expected.certainty)


def test_a_reply_that_goes_on_to_the_end_of_the_context_is_known_to_fill_it(
    engine: LocalEngine, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood there before was not counted: it was let go on once more, and that was refused with wrong advice."""
    begun = Request("Describe the picture.", (picture,), Settings(sampling=GREEDY, max_new_tokens=6))
    prompt = result_of(begun, engine).tokens
    room = replace(engine.info, context_tokens=prompt.text + prompt.visual + 10)
    monkeypatch.setattr(engine, "info", room)
    cut = result_of(begun, engine)
    assert (cut.finish_reason, cut.fills_context, cut.can_go_on) == ("length", False, True)
    full = result_of(replace(begun, resumed=cut), engine)
    assert len(full.token_ids) == 10
    assert (full.finish_reason, full.fills_context, full.can_go_on) == ("length", True, False)
    assert (full.tokens.text, full.tokens.visual) == (prompt.text, prompt.visual)


@pytest.mark.parametrize("length", [6, 9])
def test_a_thought_beyond_a_budget_that_is_smaller_now_is_told_to_end_by_it(
    engine: LocalEngine, picture: Path, length: int
) -> None:
    begun = Request("Describe the picture.", (picture,), Settings(sampling=GREEDY, max_new_tokens=length))
    cut = result_of(begun, engine)
    assert (cut.thought_end, cut.finish_reason) == (None, "length")
    now = Settings(sampling=GREEDY, max_new_tokens=300, max_thinking_tokens=6)
    rest = result_of(replace(begun, settings=now, resumed=cut), engine)
    assert rest.token_ids[:length] == cut.token_ids
    assert (rest.thought_end, rest.finish_reason) == ("budget", "stop")
    assert rest.answer.strip()


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_an_answer_that_was_asked_for_comes_however_the_reply_is_cut(
    engine: LocalEngine, picture: Path, length: int
) -> None:
    hurry = threading.Event()
    hurry.set()
    asked = Request("Describe the picture.", (picture,), Settings(sampling=GREEDY, max_new_tokens=length))
    *_, cut = answer(asked, engine, hurry=hurry)
    assert isinstance(cut, Result)
    assert (cut.thought_end, cut.finish_reason) == ("asked", "length")
    rest = result_of(replace(asked, settings=replace(asked.settings, max_new_tokens=300), resumed=cut), engine)
    assert len(engine.checkpoint.encode(rest.reasoning)) <= 3
    assert (rest.thought_end, rest.finish_reason) == ("asked", "stop")
    assert rest.answer.strip()


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_character_of_several_tokens_may_be_cut_in_the_middle(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """Not the model's own words: it is made to say them."""
    words = "A 🙂 é!"
    script = [*engine.checkpoint.encode(words), *engine.checkpoint.eos_token_ids]
    place = iter(range(len(script)))

    def saying(*_: object) -> Chosen:
        ids = torch.tensor([script[next(place)]])
        return Chosen(ids, paired(ids, torch.zeros(1)))

    monkeypatch.setattr("pipelines.engine.stack.pick", saying)
    request = Request("Hello", (), Settings(sampling=GREEDY, thinking=False, max_new_tokens=cut))
    part = result_of(request, engine)
    place = iter(range(cut, len(script)))
    assert words.startswith(part.answer)
    rest = replace(request, resumed=part, settings=replace(request.settings, max_new_tokens=300))
    deltas = list(answer(rest, engine))
    assert isinstance(deltas[-1], Result)
    assert deltas[-1].answer == words
    assert part.answer + "".join(one.text for one in deltas if isinstance(one, Delta)) == words


def test_the_reference_goes_on_in_the_middle_of_a_character(loaded: LocalEngine) -> None:
    reference = ReferenceEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    ids = loaded.checkpoint.encode("A 🙂")
    inputs = inputs_of(reference, "text", thinking=False)
    told = Detokenizer(loaded.checkpoint.tokenizer)
    for token_id in ids[:-1]:
        told.take(token_id)
    expected = [told.take(token_id) for token_id in run(reference, inputs.followed_by(ids[:-1]))]
    steps = reference.generate(
        inputs.followed_by(ids[:-1]), Settings(sampling=GREEDY, max_new_tokens=80), ignore, threading.Event()
    )
    assert [step for step in steps if isinstance(step, Token)] == expected
