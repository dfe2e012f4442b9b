"""Draws of the next token for all rows on a GPU, in few launches: what they need of the host.

Each row has its numbers, which go up with every step, and what its reply and prompt hold as bits, which stay on the
device: there the token that is fed is marked before the host knows it. They are written anew where a row is another
reply's than before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from pipelines.engine.sampler import Choice, Chosen, Likely, Stepped
from pipelines.engine.sending import sent

TOP = 64
"""The most likely tokens that a draw looks at; the cards of the models advise up to 40."""
IN_PROMPT, IN_REPLY = 2, 3
"""Marks of tokens: both penalties take what is in the reply, and that of repetition the prompt too."""
IDLE = (0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0)
"""The numbers of a row that nobody has."""

Draw = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    torch.Tensor,
]
"""Pairs float32 [rows, 2] of the tokens drawn and the model's log probabilities, by logits [rows, vocabulary], `wholes`
float32 [rows], the tokens `fed` int64 [rows], numbers float64 [7, rows] and `said` uint8 [rows, vocabulary], which gets
the marks of those that were fed. The tokens are written into `ids` int64 [rows] too.
"""


class Draws:
    """Draws for up to `rows` rows of a `vocabulary` on a device, by `draw`."""

    def __init__(self, draw: Draw, rows: int, vocabulary: int, device: torch.device) -> None:
        self._draw, self.rows = draw, rows
        self._said = torch.zeros((rows, vocabulary), dtype=torch.uint8, device=device)
        self._held: list[Choice | None] = [None] * rows

    def numbers(self, choices: Sequence[Choice], rows: int, first: int = 0) -> list[list[float]] | None:
        """What the rows from `first` on draw by next, [7][rows], where each has one of the choices or nobody has it.

        None where that is left to plain torch: where nothing is drawn, or out of more tokens than are looked at here.
        """
        last = first + len(choices)
        self._held[last:] = [None] * (len(self._held) - last)
        if all(choice.is_plain for choice in choices) or max(map(self._num_kept, choices)) > TOP:
            self._held[first:last] = [None] * len(choices)  # tokens go by that are not marked here
            return None
        for row, choice in enumerate(choices, first):
            if self._held[row] is not choice and choice.is_penalised:
                self._mark(row, choice)
            self._held[row] = choice
        given = [*map(self._numbers_of, choices), *[IDLE] * (rows - len(choices))]
        return [list(line) for line in zip(*given, strict=True)]

    def sent(self, numbers: Sequence[Sequence[float]]) -> torch.Tensor:
        """Numbers on the device, float64 [7, rows]."""
        return sent(torch.tensor(numbers, dtype=torch.float64), self._said.device)

    def __call__(self, stepped: Stepped, numbers: torch.Tensor, ids: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Draw for the rows from `first` on behind a step, which found the likeliest: pairs float32 [rows, 2].

        `numbers` float64 [7, rows] are those on the device. The tokens are written into `ids` int64 [rows] too.
        """
        logits, fed, likely = stepped
        assert likely is not None
        return self._draw(logits, likely.wholes, fed, numbers, self._said[first : first + len(logits)], ids)

    def first(self, logits: torch.Tensor, likely: Likely, choice: Choice, row: int) -> Chosen | None:
        """The first token of a reply that comes into a row, by logits [1, vocabulary]; None as for `numbers`."""
        numbers = self.numbers([choice], 1, row)
        if numbers is None:
            return None
        ids = torch.empty_like(likely.ids)
        fed = torch.full_like(ids, -1)
        return Chosen(ids, self(Stepped(logits, fed, likely), self.sent(numbers), ids, row))

    def _num_kept(self, choice: Choice) -> int:
        """Of how many tokens the next one is drawn, as far as top-k goes."""
        vocabulary = self._said.shape[1]
        return min(choice.sampling.top_k or vocabulary, vocabulary) if choice.sampling.temperature > 0 else 1

    def _numbers_of(self, choice: Choice) -> tuple[float, ...]:
        one = choice.sampling
        limits = one.temperature, self._num_kept(choice), one.top_p, one.min_p
        return *limits, one.presence_penalty, one.repetition_penalty, choice.draw()

    def _mark(self, row: int, choice: Choice) -> None:
        """Mark what a reply and its prompt hold, as far as the host knows it."""
        said = self._said[row].zero_()
        for ids, mark in ((choice.prompt, IN_PROMPT), (choice.reply, IN_REPLY)):
            said.index_fill_(0, sent(torch.tensor(ids, dtype=torch.int64), said.device), mark)
