"""The likeliest token of each row in kernels for NVIDIA GPUs, written in Triton, with what its probability needs.

torch goes through the logits of a row with one block of threads, which takes longer than a layer of a small model.
Here each row is looked at in `PARTS` parts side by side, which a second kernel puts together.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from pipelines.engine.fused import can_overlap
from pipelines.engine.sampler import Likely

PARTS = 256


@triton.jit
def look(logits, tops, places, weights, num_tokens, PARTS: tl.constexpr, BLOCK: tl.constexpr, OVERLAP: tl.constexpr):
    """The highest of a part of a row's logits [num_tokens], its place, and the sum of all their powers beside it."""
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
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
def settle(tops, places, weights, ids, pairs, wholes, num_tokens, PARTS: tl.constexpr, OVERLAP: tl.constexpr):
    """The parts of a row together: the first of its likeliest tokens, beside which is its log probability in `pairs`
    float32 [rows, 2], and the sum of all powers, as a logarithm.
    """
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
    row, part = tl.program_id(0), tl.arange(0, PARTS)
    at = row * PARTS + part
    most = tl.load(tops + at)
    top = tl.max(most, axis=0)
    place = tl.where(most == top, tl.load(places + at), num_tokens - 1)
    # of logits that are no numbers it is some token too
    token = tl.minimum(tl.min(place, axis=0), num_tokens - 1)
    rest = tl.log(tl.sum(tl.load(weights + at) * tl.exp(most - top), axis=0))
    tl.store(ids + row, token.to(tl.int64))
    tl.store(pairs + 2 * row, token.to(tl.float32))
    tl.store(pairs + 2 * row + 1, -rest)
    tl.store(wholes + row, top + rest)


class FusedChoice:
    """What is likeliest by logits on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.overlaps = can_overlap(device)

    def __call__(self, logits: torch.Tensor, ids: torch.Tensor | None = None) -> Likely:
        """As `sampler.Likeliest`."""
        rows, num_tokens = logits.shape
        parts = logits.new_empty((3, rows, PARTS), dtype=torch.float32)
        tops, weights, places = parts[0], parts[1], parts[2].view(torch.int32)
        if ids is None:
            ids = logits.new_empty(rows, dtype=torch.int64)
        pairs, wholes = (logits.new_empty(shape, dtype=torch.float32) for shape in ((rows, 2), (rows,)))
        options = {"PARTS": PARTS, "OVERLAP": self.overlaps, "num_warps": 4}
        if self.overlaps:
            options["launch_pdl"] = True
        block = triton.next_power_of_2(-(-num_tokens // PARTS))
        look[PARTS, rows](logits, tops, places, weights, num_tokens, BLOCK=block, **options)
        settle[(rows,)](tops, places, weights, ids, pairs, wholes, num_tokens, **options)
        return Likely(ids, pairs, wholes)
