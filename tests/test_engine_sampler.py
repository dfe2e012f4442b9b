"""The choice of the next token, against transformers' own processors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from pipelines.engine.sampler import Choice, pick
from pipelines.engine.sending import sent
from pipelines.types import Sampling

LOGITS = torch.tensor([0.0, 3.0, 2.9, -1.0, 1.0, 2.0, 0.5, -4.0, 2.2, 1.7])
NUM_DRAWS = 20_000


def by_transformers(sampling: Sampling, logits: torch.Tensor) -> torch.Tensor:
    """The probabilities by which `generate` draws, [vocabulary]."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        warpers.append(MinPLogitsWarper(sampling.min_p))
    scores: torch.Tensor = warpers(torch.zeros(1, 0, dtype=torch.int64), logits[None])
    return scores[0].softmax(-1)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0),
        Sampling(temperature=0.6, top_k=4),
        Sampling(temperature=1.3, top_p=0.8),
        Sampling(temperature=1.0, min_p=0.2),
        Sampling(temperature=0.8, top_k=7, top_p=0.9, min_p=0.1),
    ],
    ids=str,
)
def test_tokens_are_drawn_as_often_as_by_generate(sampling: Sampling) -> None:
    """Chi-square of 20,000 draws; 9 degrees of freedom pass 40 once in 100,000 times, and the seed is fixed."""
    expected = by_transformers(sampling, LOGITS) * NUM_DRAWS
    choice = Choice(sampling, seed=1)
    rows = 500
    drawn = torch.zeros(len(LOGITS))
    for _ in range(NUM_DRAWS // rows):
        for token, _ in pick(LOGITS.expand(rows, -1), [choice] * rows).read():
            drawn[token] += 1
    possible = expected > 0
    assert drawn[~possible].sum() == 0
    assert ((drawn - expected)[possible] ** 2 / expected[possible]).sum() < 40


@pytest.mark.parametrize("temperature", [1e-5, 1e-37, 1e-38, 1e-45, 1e-46, 5e-324])
def test_a_temperature_near_0_takes_the_likeliest(temperature: float) -> None:
    """Logits divided by it were infinite, and what was drawn among them any token, or an error of `generate`."""
    choice = Choice(Sampling(temperature=temperature, top_k=5), seed=1)
    logits = torch.stack([40 * LOGITS, LOGITS - 100, LOGITS])
    chosen = [token for token, _ in pick(logits, [choice, choice, choice]).read()]
    assert chosen == logits.argmax(-1).tolist()
    assert Sampling(temperature=temperature).temperature in (0, 1e-5)


def test_rows_draw_by_their_own_settings_and_numbers() -> None:
    """What a row draws does not depend on who is beside it."""
    samplings = [Sampling(), Sampling(temperature=1.0), Sampling(temperature=2.0, top_k=3)]

    def replies(together: bool) -> list[list[tuple[int, float]]]:
        rows = [Choice(sampling, seed) for seed, sampling in enumerate(samplings)]
        if together:
            steps = [pick(LOGITS.expand(3, -1), rows).read() for _ in range(50)]
            return [list(row) for row in zip(*steps, strict=True)]
        return [[pick(LOGITS[None], [row]).read()[0] for _ in range(50)] for row in rows]

    alone = replies(False)
    assert [[token for token, _ in row] for row in replies(True)] == [[token for token, _ in row] for row in alone]
    assert [token for token, _ in replies(True)[0]] == [1] * 50


def test_the_presence_penalty_is_taken_once_from_what_was_said() -> None:
    row = Choice(Sampling(presence_penalty=1.5), 0)
    said = []
    for _ in range(4):
        said += [token for token, _ in pick(torch.tensor([[1.0, 2.0, 0.0]]), [row]).read()]
        row.note(said[-1])
    assert said == [1, 0, 1, 1]


def test_the_repetition_penalty_is_that_of_generate() -> None:
    prompt, reply = [3, 1], [8]
    row = Choice(Sampling(repetition_penalty=1.4), 0, prompt, reply)
    row.penalised(LOGITS)
    row.note(0)
    expected = RepetitionPenaltyLogitsProcessor(1.4)(torch.tensor([[3, 1, 8, 0]]), LOGITS[None].clone())
    assert torch.allclose(row.penalised(LOGITS), expected[0])


def test_a_reply_that_goes_on_remembers_what_it_said() -> None:
    row = Choice(Sampling(presence_penalty=1.5), 0, reply=[1])
    assert [token for token, _ in pick(torch.tensor([[1.0, 2.0, 0.0]]), [row]).read()] == [0]


class NoWaiting(TorchFunctionMode):
    """Refuses what copies numbers to a GPU out of memory that is not pinned, for which the host waits there."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at what is called."""
        kwargs = kwargs or {}
        places = args[1] if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) else ()
        assert not any(isinstance(one, list) for one in (places, *(places if isinstance(places, tuple) else ())))
        assert function is not torch.tensor or "device" not in kwargs
        return function(*args, **kwargs)


@pytest.mark.parametrize("temperatures", [(0.0, 0.0), (0.7, 0.7), (0.7, 0.0)], ids=str)
def test_the_host_does_not_wait_for_its_own_numbers(temperatures: tuple[float, float]) -> None:
    """A step that is begun ahead of the one before would begin behind its end."""
    samplings = [Sampling(temperature=one, presence_penalty=1.5, repetition_penalty=1.1) for one in temperatures]
    rows = [Choice(sampling, 0, [1, 2]) for sampling in samplings]
    with NoWaiting():
        pick(LOGITS.expand(2, -1), rows, torch.tensor([0, 3]))


def test_numbers_are_sent_to_a_gpu_out_of_pinned_memory() -> None:
    class Numbers:
        is_cuda, is_pinned = False, False

        def pin_memory(self) -> Numbers:
            pinned = Numbers()
            pinned.is_pinned = True
            return pinned

        def to(self, device: torch.device, *, non_blocking: bool = False) -> tuple[bool, str, bool]:
            return self.is_pinned, device.type, non_blocking

    numbers: Any = Numbers()
    assert sent(numbers, torch.device("cuda")) == (True, "cuda", True)
    numbers.is_cuda = True
    assert sent(numbers, torch.device("cuda")) == (False, "cuda", False)
    assert sent(torch.ones(2), torch.device("cpu")).tolist() == [1, 1]
