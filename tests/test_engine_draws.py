"""Draws by kernels: what a row is said to hold, and when the kernels are trusted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pipelines.engine.draws import IN_PROMPT, IN_REPLY, Draws
from pipelines.engine.proof import draw_alike
from pipelines.engine.sampler import Choice, Likely, Stepped, pick
from pipelines.types import Sampling
from tests.imitated_gpu import drawn

VOCABULARY = 300
USUAL = Sampling(temperature=1.0, top_k=20, presence_penalty=1.5)
OF_ALL = Sampling(temperature=1.0)
CPU = torch.device("cpu")


@pytest.fixture
def draws() -> Draws:
    return Draws(drawn, 3, VOCABULARY, CPU)


def marks(draws: Draws, row: int) -> dict[int, int]:
    """The tokens that are marked in a row, and how."""
    return {token: mark for token, mark in enumerate(draws._said[row].tolist()) if mark}


def feed(draws: Draws, choices: list[Choice], tokens: list[int]) -> None:
    """Draw behind some tokens."""
    numbers, rows = draws.numbers(choices, len(choices)), len(choices)
    assert numbers is not None
    logits = torch.zeros(rows, VOCABULARY)
    likely = Likely(torch.zeros(rows, dtype=torch.int64), torch.zeros(rows, 2), logits.logsumexp(-1))
    stepped = Stepped(logits, torch.tensor(tokens), likely)
    draws(stepped, draws.sent(numbers), torch.zeros(rows, dtype=torch.int64))


def test_a_row_holds_what_was_said_wherever_it_was_before(draws: Draws) -> None:
    repeating = Sampling(temperature=1.0, top_k=20, repetition_penalty=1.2)
    first, second = Choice(USUAL, 0, [7, 8], [1, 2]), Choice(repeating, 1, [8, 9], [3])
    feed(draws, [first, second], [2, 3])
    assert marks(draws, 0) == dict.fromkeys((1, 2), IN_REPLY)
    assert marks(draws, 1) == {3: IN_REPLY, 8: IN_PROMPT, 9: IN_PROMPT}
    feed(draws, [first, second], [5, 8])
    assert marks(draws, 0) == dict.fromkeys((1, 2, 5), IN_REPLY)
    assert marks(draws, 1) == {3: IN_REPLY, 8: IN_REPLY, 9: IN_PROMPT}
    second.note(8)
    feed(draws, [second], [6])  # the first one left
    assert marks(draws, 0) == {3: IN_REPLY, 6: IN_REPLY, 8: IN_REPLY, 9: IN_PROMPT}


def test_a_row_that_is_not_penalised_is_marked_when_it_is_anothers(draws: Draws) -> None:
    first, free = Choice(USUAL, 0, [], [1]), Choice(Sampling(temperature=1.0, top_k=5), 0, [], [4])
    feed(draws, [first], [1])
    feed(draws, [free], [4])
    first.note(2)
    feed(draws, [first], [3])
    assert marks(draws, 0) == dict.fromkeys((1, 2, 3), IN_REPLY)


def test_what_was_said_while_plain_torch_drew_counts_too(draws: Draws) -> None:
    """Which it does for all rows where one draws out of more tokens than the kernels look at."""
    row, beside = Choice(USUAL, 0), Choice(OF_ALL, 0)
    feed(draws, [row], [1])
    row.note(1)
    assert draws.numbers([row, beside], 2) is None
    row.note(2)
    feed(draws, [row], [3])
    assert marks(draws, 0) == dict.fromkeys((1, 2, 3), IN_REPLY)


def test_no_number_is_drawn_for_what_is_left_to_plain_torch(draws: Draws) -> None:
    rows = [Choice(USUAL, 5), Choice(OF_ALL, 6)]
    assert draws.numbers(rows, 2) is None
    assert [row.draw() for row in rows] == [Choice(USUAL, 5).draw(), Choice(OF_ALL, 6).draw()]
    assert draws.numbers([Choice(Sampling(), 0)], 1) is None


def test_the_first_token_is_that_of_plain_torch(draws: Draws) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, VOCABULARY)
    likely = Likely(logits.argmax(-1), torch.zeros(1, 2), logits.logsumexp(-1))
    for seed in range(20):
        chosen = draws.first(logits, likely, Choice(USUAL, seed, [], [0, 1]), 2)
        assert chosen is not None
        [(token, logprob)] = chosen.read()
        [(expected, expected_logprob)] = pick(logits, [Choice(USUAL, seed, [], [0, 1])]).read()
        assert token == expected
        assert logprob == pytest.approx(expected_logprob, abs=1e-5)
    assert marks(draws, 2) == dict.fromkeys((0, 1), IN_REPLY)


Wrong = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]
"""Changes logits, numbers and what was said before a draw."""


def deaf(_logits: torch.Tensor, _numbers: torch.Tensor, said: torch.Tensor) -> None:
    said.zero_()


def greedy(_logits: torch.Tensor, numbers: torch.Tensor, _said: torch.Tensor) -> None:
    numbers[0] = 0


def narrow(_logits: torch.Tensor, numbers: torch.Tensor, _said: torch.Tensor) -> None:
    numbers[1] -= 5


def unlike(logits: torch.Tensor, _numbers: torch.Tensor, _said: torch.Tensor) -> None:
    logits *= 0.9


def right(*_: torch.Tensor) -> None:
    pass


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("wrong", [right, deaf, greedy, narrow, unlike])
def test_kernels_draw_where_they_draw_as_torch_does(
    wrong: Wrong, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    def draw(
        logits: torch.Tensor, wholes: torch.Tensor, fed: torch.Tensor, numbers: torch.Tensor, *rest: torch.Tensor
    ) -> torch.Tensor:
        logits = logits.clone()
        wrong(logits, numbers, rest[0])
        return drawn(logits, wholes, fed, numbers, *rest)

    embed = torch.zeros(VOCABULARY, 1, dtype=dtype)
    assert draw_alike(Draws(draw, 3, VOCABULARY, CPU), embed) == (wrong is right)
    assert len(caplog.records) == (wrong is not right)


def test_memory_that_runs_out_while_they_are_tried_is_told() -> None:
    def draw(*_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        draw_alike(Draws(draw, 1, VOCABULARY, CPU), torch.zeros(VOCABULARY, 1))
