"""Draws of the next token by the kernels for GPUs in Triton's interpreter, beside plain torch: a process of its own, as
TRITON_INTERPRET=1 has to be set before Triton is imported.

It prints a line of JSON for each case: how many tokens there are, how many of them are those of plain torch for the
same random numbers, and how far their log probabilities are apart.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence

import torch

from pipelines.engine import fused_draw
from pipelines.engine.draws import TOP, Draws
from pipelines.engine.sampler import Choice, Likely, Stepped, sampled
from pipelines.types import Sampling

NUM_PARTS = TOP // fused_draw.DEEP
"""Fewer than on a GPU, but where a case says otherwise: the interpreter takes its time for each."""
USUAL = Sampling(temperature=1.0, top_k=20, top_p=0.95, presence_penalty=1.5)
SAMPLINGS = (
    USUAL,
    Sampling(temperature=0.6, top_k=32, top_p=0.3, repetition_penalty=1.1),
    Sampling(temperature=2.0, top_k=TOP, min_p=0.1),
    Sampling(temperature=1.5, top_k=1),
    Sampling(presence_penalty=2.0, repetition_penalty=1.3),
    Sampling(),
    Sampling(temperature=1.0, top_k=20, top_p=0.8, min_p=0.02, presence_penalty=-0.5, repetition_penalty=0.8),
    Sampling(temperature=0.7, top_k=40, presence_penalty=1.5),
)
SLOPE = 1e-6
Case = tuple[str, torch.Tensor, Sequence[Sampling], int]
"""Its name, logits [rows, vocabulary] or [vocabulary] for all rows, their settings, and how many tokens each draws.

Where equal logits are `in order`, plain torch is given logits that fall by SLOPE from each to the next: it promises
none of equal ones.
"""


def cases() -> Iterator[Case]:
    """What is compared."""
    for size in (1, 7, 31, 100, 3001):
        yield f"{size} tokens", 3 * torch.randn(len(SAMPLINGS), size), SAMPLINGS, 2
    few = torch.randn(12)
    for sampling in (Sampling(temperature=1.0, top_k=12), Sampling(temperature=0.8, top_k=9, top_p=0.9, min_p=0.1)):
        yield f"a few, {sampling}", few, [sampling] * 8, 6
    barred = torch.randn(len(SAMPLINGS), 500).index_fill(1, torch.randperm(500)[:-5], -torch.inf)
    yield "all but five barred", barred, SAMPLINGS, 2
    wide = [USUAL, Sampling(temperature=1.0, top_k=TOP), Sampling(presence_penalty=1.0)]
    yield "equal ones, in order", torch.tensor([0.0, -0.0] * 50), wide, 3
    yield "some equal, in order", torch.randint(5, (2000,)).float(), wide, 3
    order = torch.arange(2000)
    own = order // fused_draw.RUN.value % NUM_PARTS == 3
    yield "all of the best in one part", torch.randn(2000) + 9 * own, SAMPLINGS, 2
    yield "rising", 0.01 * order, SAMPLINGS, 2
    yield "bfloat16", torch.randn(2000).bfloat16() + 20 * (order < 15) * order, SAMPLINGS, 2


def drawn(logits: torch.Tensor, samplings: Sequence[Sampling], num_draws: int, slope: float) -> tuple[int, int, float]:
    """How many tokens there are, how many are the same, and how far their log probabilities are apart at most."""
    rows, vocabulary = len(samplings), logits.shape[-1]
    logits = logits.expand(rows, -1).contiguous()
    exact = logits.float()
    dice = random.Random(vocabulary)
    said = [dice.choices(range(vocabulary), k=6) for _ in samplings]
    ours, theirs = (
        [Choice(one, row, given[:3], given[3:]) for row, (one, given) in enumerate(zip(samplings, said, strict=True))]
        for _ in range(2)
    )
    draws = Draws(fused_draw.drawn, rows, vocabulary, logits.device)
    likely = Likely(exact.argmax(-1), torch.zeros(rows, 2), exact.logsumexp(-1))
    fed, num_same, apart = likely.ids, 0, 0.0
    for _ in range(num_draws):
        numbers, ids = draws.numbers(ours, rows), torch.empty_like(fed)
        if numbers is None:
            raise AssertionError("it is left to plain torch")
        pairs = draws(Stepped(logits, fed, likely), draws.sent(numbers), ids)
        expected = sampled(exact - slope * torch.arange(vocabulary), theirs, fed, [choice.draw() for choice in theirs])
        num_same += int(((ids == expected) & (pairs[:, 0] == expected)).sum())
        logprobs = exact.log_softmax(-1).gather(1, ids[:, None])[:, 0]
        apart = max(apart, float((pairs[:, 1] - logprobs).nan_to_num(0.0).abs().max()))
        for row, token in enumerate(fed.tolist()):
            ours[row].note(token)
        fed = ids
    return rows * num_draws, num_same, apart


if __name__ == "__main__":
    torch.manual_seed(0)
    num_parts, fused_draw.PARTS = fused_draw.PARTS, NUM_PARTS
    for name, logits, samplings, num_draws in cases():
        slope = SLOPE if "in order" in name else 0.0
        print(json.dumps([name, *drawn(logits, samplings, num_draws, slope)]), flush=True)
    fused_draw.PARTS = num_parts
    print(json.dumps(["as on a GPU", *drawn(torch.randn(248_320), [USUAL], 2, 0.0)]), flush=True)
