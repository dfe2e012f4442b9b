"""The choice of the next token for all rows at once, on the device of the logits.

Order of the steps as in transformers' `generate`: penalties, temperature, top-k, top-p, min-p. The presence penalty
takes a fixed amount from every token that the reply holds already (as vLLM defines it); the repetition penalty weakens
those of the prompt too (as transformers does). Each row draws by random numbers of its own, so that a seed repeats a
reply whatever else runs beside it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from pipelines.engine.sending import sent
from pipelines.types import Sampling

AHEAD = -1
"""Stands for a token that was chosen on the device and not read yet."""


class Likely(NamedTuple):
    """What is likeliest by some logits: `ids` int64 [rows], `pairs` float32 [rows, 2] as `paired` gives them, and
    `wholes` float32 [rows], the logarithms of the sums of all powers.
    """

    ids: torch.Tensor
    pairs: torch.Tensor
    wholes: torch.Tensor


Likeliest = Callable[[torch.Tensor, torch.Tensor | None], Likely]
"""Of logits [rows, vocabulary]; the ids are written into the int64 [rows] beside them, where there is one."""


class Stepped(NamedTuple):
    """What the next token of each row is chosen from: `logits` [rows, vocabulary] behind the tokens `fed` int64 [rows],
    and what is likeliest, where the device was asked for it already.
    """

    logits: torch.Tensor
    fed: torch.Tensor
    likely: Likely | None = None


class Choice:
    """How one reply chooses, and what it has said: `prompt` and `reply` are token ids, of the prompt those that count.

    A number is drawn for each token, so that a reply that goes on draws as if it had never been cut off.
    """

    def __init__(self, sampling: Sampling, seed: int, prompt: Sequence[int] = (), reply: Sequence[int] = ()) -> None:
        self.sampling = sampling
        self._random = random.Random(seed)
        for _ in reply:
            self.draw()
        self.prompt = tuple(prompt) if sampling.repetition_penalty != 1 else ()
        self.reply = list(reply)
        self._said: torch.Tensor | None = None
        self._read: torch.Tensor | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the likeliest token is taken and nothing is penalised."""
        return self.sampling.temperature == 0 and not self.is_penalised

    @property
    def is_penalised(self) -> bool:
        """Whether tokens lose by what was said before."""
        return self.sampling.presence_penalty != 0 or self.sampling.repetition_penalty != 1

    def note(self, token: int) -> None:
        """Take in the next token of the reply."""
        self.reply.append(token)
        for mask in (self._said, self._read):
            if mask is not None:
                mask[token] = True

    def draw(self) -> float:
        """A number from 0 to 1, for the next token; 0 where that is not drawn."""
        return self._random.random() if self.sampling.temperature > 0 else 0.0

    def penalised(self, logits: torch.Tensor, fed: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [vocabulary] after the penalties; `fed` int64 [1] is the token before, where it may not be noted."""
        sampling = self.sampling
        if sampling.repetition_penalty != 1:
            if self._read is None:
                self._read = _mask([*self.prompt, *self.reply], logits)
            if fed is not None:
                self._read.index_fill_(0, fed, value=True)
            weaker = torch.where(logits > 0, logits / sampling.repetition_penalty, logits * sampling.repetition_penalty)
            logits = torch.where(self._read, weaker, logits)
        if sampling.presence_penalty:
            if self._said is None:
                self._said = _mask(self.reply, logits)
            if fed is not None:
                self._said.index_fill_(0, fed, value=True)
            logits = logits - sampling.presence_penalty * self._said
        return logits


def paired(ids: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
    """Ids [rows] and their log probabilities as float32 [rows, 2], which holds every id below 16 million exactly.

    So the device is waited for once.
    """
    return torch.stack([ids.float(), logprobs], dim=-1)


class Chosen:
    """The next token of each row, on the device: `ids` int64 [rows], and `pairs` with their log probabilities.

    The pairs are copied here, on a GPU to the host without a wait: what is begun behind it may write over them.
    """

    def __init__(self, ids: torch.Tensor, pairs: torch.Tensor) -> None:
        self.ids = ids
        self._reached: torch.cuda.Event | None = None
        if pairs.is_cuda:  # whatever is begun behind it is not waited for
            # pinned memory that torch keeps from others until it was written
            self._pairs = torch.empty(pairs.shape, pin_memory=True).copy_(pairs, non_blocking=True)
            self._reached = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._reached.record()
        else:
            self._pairs = pairs.clone()

    def read(self) -> list[tuple[int, float]]:
        """Wait for them."""
        if self._reached is not None:
            self._reached.synchronize()
        pairs: list[list[float]] = self._pairs.tolist()
        return [(int(token_id), logprob) for token_id, logprob in pairs]


def pick(
    logits: torch.Tensor,
    choices: Sequence[Choice],
    fed: torch.Tensor | None = None,
    likely: Likely | None = None,
) -> Chosen:
    """Choose the next token of each row, for logits [rows, vocabulary].

    The probability is the model's own, before penalties and sampling. Rows do not note their token by themselves:
    `fed` int64 [rows] are those before, where they were not known yet when they were fed. `likely` is what was found of
    the logits already.
    """
    is_plain = all(choice.is_plain for choice in choices)
    if likely is not None:
        if is_plain:
            return Chosen(likely.ids, likely.pairs)
        ids = sampled(logits.float(), choices, fed, _marks(choices))
        return Chosen(ids, paired(ids, logits.gather(1, ids[:, None])[:, 0].float() - likely.wholes))
    logits = logits.float()  # a CPU is slow at the largest of bfloat16
    ids = logits.argmax(-1) if is_plain else sampled(logits, choices, fed, _marks(choices))
    return Chosen(ids, paired(ids, logits.log_softmax(-1).gather(1, ids[:, None])[:, 0]))


def sampled(
    logits: torch.Tensor, choices: Sequence[Choice], fed: torch.Tensor | None, marks: Sequence[float]
) -> torch.Tensor:
    """Tokens int64 [rows] by float32 logits [rows, vocabulary], drawn by a number from 0 to 1 for each row."""
    before = [None if fed is None else fed[row : row + 1] for row in range(len(choices))]
    given = zip(choices, logits, before, strict=True)
    rows = torch.stack([choice.penalised(row, token) for choice, row, token in given])
    drawing = [row for row, choice in enumerate(choices) if choice.sampling.temperature > 0]
    if len(drawing) == len(choices):
        return _drawn(rows, choices, marks)
    chosen = rows.argmax(-1)
    if drawing:
        places = sent(torch.tensor(drawing), rows.device)
        those = [choices[row] for row in drawing], [marks[row] for row in drawing]
        chosen.index_copy_(0, places, _drawn(rows.index_select(0, places), *those))
    return chosen


def _marks(choices: Sequence[Choice]) -> list[float]:
    return [choice.draw() for choice in choices]


def _drawn(logits: torch.Tensor, choices: Sequence[Choice], marks: Sequence[float]) -> torch.Tensor:
    device, num_tokens = logits.device, logits.shape[1]
    wide = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs have no wider numbers
    samplings = [choice.sampling for choice in choices]
    top_k = [min(sampling.top_k or num_tokens, num_tokens) for sampling in samplings]
    given = [(one.temperature, k, one.top_p, one.min_p) for one, k in zip(samplings, top_k, strict=True)]
    # all numbers in one copy, as each costs a launch
    columns = sent(torch.tensor([*zip(*given, strict=True), marks], dtype=wide), device)[:, :, None]
    temperature, last, top_p, min_p = columns[:4].float()
    values, ids = torch.topk(logits, max(top_k), dim=-1)
    values = values / temperature
    rank = torch.arange(values.shape[1], device=device)
    likely = values.masked_fill(rank >= last, -torch.inf).softmax(-1)
    before = likely.cumsum(-1) - likely
    is_out = (before >= top_p) | (likely < min_p * likely[:, :1])
    is_out[:, 0] = False
    reached = likely.masked_fill(is_out, 0.0).to(wide).cumsum(-1)
    place = torch.searchsorted(reached, columns[4] * reached[:, -1:], right=True).clamp(max=values.shape[1] - 1)
    return ids.gather(1, place)[:, 0]


def _mask(ids: Sequence[int], logits: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    return mask.index_fill_(0, sent(torch.tensor(ids, dtype=torch.int64), logits.device), value=True)
