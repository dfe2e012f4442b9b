"""The likeliest token of each row in kernels for NVIDIA GPUs, written in Triton, with what its probability needs.

torch goes through the logits of a row with one block of threads, which takes longer than a layer of a small model.
Here each row is looked at in `PARTS` parts side by side, which a second kernel puts together.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import torch
import triton
import triton.language as tl

PARTS = 256


@triton.jit
def look(logits, tops, places, weights, num_tokens, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    """The highest of a part of a row's logits [num_tokens], its place, and the sum of all their powers beside it."""
    part, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    size = tl.cdiv(num_tokens, PARTS)
    step = tl.arange(0, BLOCK)
    i = part * size + step
    is_real = (step < size) & (i < num_tokens)
    values = tl.load(logits + row * num_tokens + i, mask=is_real, other=float("-inf")).to(tl.float32)
    top = tl.max(values, axis=0)
    at = row * PARTS + part
    tl.store(tops + at, top)
    tl.store(places + at, tl.min(tl.where(is_real & (values == top), i, num_tokens), axis=0))
    powers = tl.where(values == float("-inf"), 0.0, tl.exp(values - top))  # a part of such alone has no highest
    tl.store(weights + at, tl.sum(powers, axis=0))


@triton.jit
def settle(tops, places, weights, ids, logprobs, wholes, num_tokens, PARTS: tl.constexpr):
    """The parts of a row together: the first of its likeliest tokens, its log probability, and the sum of all powers,
    as a logarithm.
    """
    row, part = tl.program_id(0), tl.arange(0, PARTS)
    at = row * PARTS + part
    most = tl.load(tops + at)
    top = tl.max(most, axis=0)
    place = tl.where(most == top, tl.load(places + at), num_tokens - 1)
    # of logits that are no numbers it is some token too
    tl.store(ids + row, tl.minimum(tl.min(place, axis=0), num_tokens - 1).to(tl.int64))
    rest = tl.log(tl.sum(tl.load(weights + at) * tl.exp(most - top), axis=0))
    tl.store(logprobs + row, -rest)
    tl.store(wholes + row, top + rest)


def likeliest(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of logits [rows, vocabulary]: ids int64 [rows], and float32 [rows] their log probabilities and the logarithms of
    the sums of all powers, which are logits less their log probability.
    """
    rows, num_tokens = logits.shape
    parts = logits.new_empty((3, rows, PARTS), dtype=torch.float32)
    tops, weights, places = parts[0], parts[1], parts[2].view(torch.int32)
    ids = logits.new_empty(rows, dtype=torch.int64)
    logprobs, wholes = logits.new_empty((2, rows), dtype=torch.float32)
    block = triton.next_power_of_2(-(-num_tokens // PARTS))
    look[PARTS, rows](logits, tops, places, weights, num_tokens, PARTS=PARTS, BLOCK=block, num_warps=4)
    settle[(rows,)](tops, places, weights, ids, logprobs, wholes, num_tokens, PARTS=PARTS, num_warps=4)
    return ids, logprobs, wholes
