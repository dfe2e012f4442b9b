"""How a decode step begins, in a kernel for NVIDIA GPUs, written in Triton: a step has no time for small operations."""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents

BLOCK = 1024
"""Numbers of an embedding that one block of threads copies."""


@triton.jit
def enter(
    tokens, chosen, positions, embed, frequencies, signs, hidden, cosines, sines, size, dim,
    BLOCK: tl.constexpr, BLOCK_TURN: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """A part of the embedding of one row's token, or the cosines and signed sines [rows, dim] of its rotary position.

    `tokens`, `chosen` and `positions` are int64 [rows]; where a token is below 0 that of `chosen` stands for it, and
    takes its place. What the kernel reads was there before the step: it waits for nothing.
    """
    if OVERLAP:
        gdc_launch_dependents()
    row, part = tl.program_id(0), tl.program_id(1)
    if part == tl.num_programs(1) - 1:
        i = tl.arange(0, BLOCK_TURN)
        is_turn = i < dim
        angles = tl.load(positions + row).to(tl.float32) * tl.load(frequencies + i, mask=is_turn, other=0.0)
        sine = tl.sin(angles) * tl.load(signs + i, mask=is_turn, other=0.0)
        tl.store(cosines + row * dim + i, tl.cos(angles).to(cosines.dtype.element_ty), mask=is_turn)
        tl.store(sines + row * dim + i, sine.to(sines.dtype.element_ty), mask=is_turn)
    else:
        token = tl.load(tokens + row)
        if token < 0:
            token = tl.load(chosen + row)
        if part == 0:  # the other blocks of the row come to the same, whichever they find there
            tl.store(tokens + row, token)
        j = part * BLOCK + tl.arange(0, BLOCK)
        is_number = j < size
        given = tl.load(embed + token * size + j, mask=is_number, other=0.0)
        tl.store(hidden + row * size + j, given, mask=is_number)
