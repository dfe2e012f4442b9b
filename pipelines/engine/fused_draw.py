"""The draw of the next token of each row in two kernels for NVIDIA GPUs, written in Triton.

Plain torch takes some fifty launches for it, and as long as a small model for its step. Here the first kernel looks at
each row in `PARTS` parts side by side and has the `DEEP` best of each; the second puts the `TOP` best of these together
and draws. A part all of whose best are among those that are drawn from may have more: it is looked at again as a whole,
which next to never happens, as tokens that stand side by side are in many parts.

Tokens are compared as keys int64: their logit above their id, as bits in the order of the numbers, lower ids first.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import torch
import triton
import triton.language as tl

from pipelines.engine.draws import TOP

PARTS, DEEP = 128, 8
RUN = tl.constexpr(4)
"""Tokens side by side that are in one part: as many as are still loaded quickly."""
MOST = tl.constexpr(0x7FFFFFFF)
LEAST, HIGHEST = tl.constexpr(-(2**63)), tl.constexpr(2**63 - 1)
"""The largest int32; the least and the largest int64."""
SAID, FED = tl.constexpr(1), tl.constexpr(3)
"""Marks: the bit of what the reply holds, and both bits, of which the other one is that of reply or prompt."""
TEMPERATURE, TOP_K, TOP_P, MIN_P, PRESENCE, REPETITION, MARK = (tl.constexpr(line) for line in range(7))
"""The lines of the numbers that rows draw by, float64 [7, rows]."""


@triton.jit
def _turned(bits):
    """The bits of float32, int32, in the order of the numbers; and back again."""
    return tl.where(bits >= 0, bits, bits ^ MOST)


@triton.jit
def _keys(
    logits, numbers, said, fed, part, row, rows, num_tokens,
    PARTS: tl.constexpr, BLOCK: tl.constexpr, IS_FIRST: tl.constexpr,
):  # fmt: skip
    """The keys int64 [BLOCK] of a part behind the row's penalties; what is no token is below all keys.

    With IS_FIRST the token `fed` is marked in `said`, by the part that holds it, which does without reading that.
    """
    presence = tl.load(numbers + PRESENCE * rows + row).to(tl.float32)
    repetition = tl.load(numbers + REPETITION * rows + row).to(tl.float32)
    step = tl.arange(0, BLOCK)
    i = step // RUN * (RUN * PARTS) + part * RUN + step % RUN
    is_real = i < num_tokens
    place = row.to(tl.int64) * num_tokens + i
    values = tl.load(logits + place, mask=is_real, other=float("-inf")).to(tl.float32)
    is_penalised = i < tl.where((presence != 0) | (repetition != 1), num_tokens, 0)
    marks = tl.load(said + place, mask=is_penalised, other=0).to(tl.int32)
    if IS_FIRST:
        is_fed = i == tl.load(fed + row)
        marks = tl.where(is_fed, FED, marks)
        tl.store(said + place, marks.to(tl.uint8), mask=is_penalised & is_fed)
    weaker = tl.where(values > 0, tl.div_rn(values, repetition), values * repetition)
    values = tl.where(marks > 0, weaker, values)
    values -= presence * (marks & SAID).to(tl.float32)
    values = tl.where(values == 0, 0.0, values)  # neither zero is above the other
    order = tl.where(is_real, _turned(values.to(tl.int32, bitcast=True)), -MOST - 1)
    return (order.to(tl.int64) << 32) | tl.where(is_real, MOST - i, 0).to(tl.int64)


@triton.jit
def _best(keys, num_kept, SIZE: tl.constexpr):
    """The highest `num_kept` of some keys, which are no more than SIZE: int64 [SIZE], in their order."""
    rank = tl.arange(0, SIZE)
    best = tl.full((SIZE,), LEAST, tl.int64)
    for place in range(num_kept):
        top = tl.max(keys, axis=0)
        best = tl.where(rank == place, top, best)
        keys = tl.where(keys == top, LEAST, keys)
    return best


@triton.jit
def pick_out(
    logits, numbers, said, fed, keys, num_tokens, PARTS: tl.constexpr, BLOCK: tl.constexpr, DEEP: tl.constexpr
):  # fmt: skip
    """The best of a part of a row's logits [num_tokens] behind its penalties: keys int64 [rows, PARTS, DEEP]."""
    part, row, rows = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    here = _keys(logits, numbers, said, fed, part, row, rows, num_tokens, PARTS, BLOCK, IS_FIRST=True)
    tl.store(keys + (row * PARTS + part) * DEEP + tl.arange(0, DEEP), _best(here, DEEP, DEEP))


@triton.jit
def draw(
    logits, numbers, said, fed, keys, wholes, ids, pairs, num_tokens,
    PARTS: tl.constexpr, BLOCK: tl.constexpr, DEEP: tl.constexpr, TOP: tl.constexpr,
):  # fmt: skip
    """The token of a row out of the best of its parts: its id, and beside it the log probability that the model gave.

    `wholes` float32 [rows] are the logarithms of the sums of all powers.
    """
    row, rows = tl.program_id(0), tl.num_programs(0)
    rank = tl.arange(0, TOP)
    num_kept = tl.load(numbers + TOP_K * rows + row).to(tl.int32)
    own = keys + row * PARTS * DEEP
    best = _best(tl.load(own + tl.arange(0, PARTS * DEEP)), num_kept, TOP)
    least = tl.load(own + tl.arange(0, PARTS) * DEEP + DEEP - 1)
    if tl.max(least, axis=0) >= tl.min(tl.where(rank < num_kept, best, HIGHEST), axis=0):
        for part in range(PARTS):
            bound = tl.load(own + part * DEEP + DEEP - 1)
            if bound >= tl.min(tl.where(rank < num_kept, best, HIGHEST), axis=0):
                here = _keys(logits, numbers, said, fed, part, row, rows, num_tokens, PARTS, BLOCK, IS_FIRST=False)
                here = tl.where(here < bound, here, LEAST)
                for _ in range(num_kept):
                    top = tl.max(here, axis=0)
                    last = tl.min(tl.where(rank < num_kept, best, HIGHEST), axis=0)
                    best = tl.where(best == last, tl.maximum(top, last), best)
                    here = tl.where(here == top, LEAST, here)
        best = _best(best, num_kept, TOP)
    values = _turned((best >> 32).to(tl.int32)).to(tl.float32, bitcast=True)
    tokens = MOST - (best & MOST).to(tl.int32)

    temperature = tl.load(numbers + TEMPERATURE * rows + row).to(tl.float32)
    values = tl.div_rn(values, tl.where(temperature > 0, temperature, 1.0))
    values = tl.where(rank < num_kept, values, float("-inf"))
    powers = tl.exp(values - tl.max(values, axis=0))
    likely = tl.div_rn(powers, tl.sum(powers, axis=0))
    before = tl.cumsum(likely, axis=0) - likely
    is_out = before >= tl.load(numbers + TOP_P * rows + row).to(tl.float32)
    is_out |= likely < tl.load(numbers + MIN_P * rows + row).to(tl.float32) * tl.max(likely, axis=0)
    kept = tl.where(is_out & (rank > 0), 0.0, likely).to(tl.float64)
    reached = tl.cumsum(kept, axis=0)
    mark = tl.load(numbers + MARK * rows + row) * tl.max(reached, axis=0)
    place = tl.sum((reached <= mark).to(tl.int32), axis=0)
    place = tl.minimum(place, tl.max(tl.where(kept > 0, rank, 0), axis=0))
    place = tl.where(temperature > 0, place, 0)
    # of logits that are no numbers it is some token too
    token = tl.minimum(tl.sum(tl.where(rank == place, tokens, 0), axis=0), num_tokens - 1)
    tl.store(ids + row, token.to(tl.int64))
    logit = tl.load(logits + row.to(tl.int64) * num_tokens + token).to(tl.float32)
    tl.store(pairs + 2 * row, token.to(tl.float32))
    tl.store(pairs + 2 * row + 1, logit - tl.load(wholes + row))


def drawn(
    logits: torch.Tensor,
    wholes: torch.Tensor,
    fed: torch.Tensor,
    numbers: torch.Tensor,
    said: torch.Tensor,
    ids: torch.Tensor,
) -> torch.Tensor:
    """Draws as `pipelines.engine.draws` wants it: pairs float32 [rows, 2]."""
    rows, num_tokens = logits.shape
    keys = logits.new_empty((rows, PARTS, DEEP), dtype=torch.int64)
    pairs = logits.new_empty((rows, 2), dtype=torch.float32)
    size = -(-num_tokens // (PARTS * RUN.value)) * RUN.value
    block = max(triton.next_power_of_2(size), TOP)
    given, parts = (logits, numbers, said, fed, keys), {"PARTS": PARTS, "BLOCK": block, "DEEP": DEEP}
    pick_out[PARTS, rows](*given, num_tokens, **parts, num_warps=8)
    draw[(rows,)](*given, wholes, ids, pairs, num_tokens, **parts, TOP=TOP, num_warps=4)
    return pairs
