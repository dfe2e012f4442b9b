"""The convolution of a piece of a prompt in a kernel for NVIDIA GPUs, written in Triton.

What a kernel of a piece is given is told in `pipelines.engine.fused_delta`.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import triton
import triton.language as tl

from pipelines.engine.fused import silu


@triton.jit
def _token(own, t, count, c, num_conv, width):
    """The numbers of token `t` in the columns `c`, nothing of one that does not count."""
    return tl.load(own + t * width, mask=c < tl.where(t < count, num_conv, 0), other=0.0)


@triton.jit
def _convolved(place, first, second, third, fourth, taps, is_counted):
    """Store one token's numbers out of its own, `fourth`, and those of the three before."""
    dtype = fourth.dtype
    total = first.to(tl.float32) * taps[0] + second.to(tl.float32) * taps[1]
    total += third.to(tl.float32) * taps[2]
    total += fourth.to(tl.float32) * taps[3]
    tl.store(place, silu(total.to(dtype).to(tl.float32)).to(dtype), mask=is_counted)


@triton.jit
def _input(own, state, t, c, num_conv, num_held, width):
    """What stood in the columns `c` at token `t`: before the first, out of the state of a row that holds something."""
    newer = tl.load(own + t * width, mask=c < tl.where(t >= 0, num_conv, 0), other=0.0)
    older = tl.load(state + t + 4, mask=c < tl.where(t < 0, num_held, 0), other=0.0)
    return tl.where(t < 0, older, newer)


@triton.jit
def convolve(mixed, numbers, conv, kept, taps, out, width, num_conv, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr):
    """The first `num_conv` columns of mixed [tokens, width] convolved by `taps` [num_conv, 4], and through SiLU.

    Before the first token stand the last inputs in the state `conv` [num_conv, 4], which takes up the last four, as
    does `kept` where the states are kept. BLOCK_T tokens, four times some number, are gone through one after the other,
    so that hardly one is read twice.
    """
    count, keep = tl.load(numbers + 1).to(tl.int32), tl.load(numbers + 2).to(tl.int32)
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    start = tl.program_id(1) * BLOCK_T
    is_channel = c < num_conv
    own, state = mixed + c, conv + c * 4
    if start == 0:  # nobody else reads the state
        num_held = tl.where(tl.load(numbers) > 0, num_conv, 0)
        first = tl.load(state + 1, mask=c < num_held, other=0.0)
        second = tl.load(state + 2, mask=c < num_held, other=0.0)
        third = tl.load(state + 3, mask=c < num_held, other=0.0)
        if keep < count:
            for slot in tl.static_range(4):
                value = _input(own, state, keep - 4 + slot, c, num_conv, num_held, width)
                tl.store(kept + c * 4 + slot, value, mask=is_channel)
        for slot in tl.static_range(4):
            value = _input(own, state, count - 4 + slot, c, num_conv, num_held, width)
            tl.debug_barrier()  # several threads may hold one number: all have read before one writes
            tl.store(state + slot, value, mask=is_channel)
            tl.debug_barrier()  # what stands in a slot is read before, as it moves to an earlier one
    else:
        first = _token(own, start - 3, count, c, num_conv, width)
        second = _token(own, start - 2, count, c, num_conv, width)
        third = _token(own, start - 1, count, c, num_conv, width)
    taps += c * 4
    weights = (
        tl.load(taps, mask=is_channel, other=0.0).to(tl.float32),
        tl.load(taps + 1, mask=is_channel, other=0.0).to(tl.float32),
        tl.load(taps + 2, mask=is_channel, other=0.0).to(tl.float32),
        tl.load(taps + 3, mask=is_channel, other=0.0).to(tl.float32),
    )
    for step in tl.static_range(BLOCK_T // 4):  # four are on their way at once
        t = start + 4 * step
        fourth = _token(own, t, count, c, num_conv, width)
        fifth = _token(own, t + 1, count, c, num_conv, width)
        sixth = _token(own, t + 2, count, c, num_conv, width)
        last = _token(own, t + 3, count, c, num_conv, width)
        place, left = out + t * num_conv + c, count - t
        _convolved(place, first, second, third, fourth, weights, c < tl.where(left > 0, num_conv, 0))
        _convolved(place + num_conv, second, third, fourth, fifth, weights, c < tl.where(left > 1, num_conv, 0))
        _convolved(place + 2 * num_conv, third, fourth, fifth, sixth, weights, c < tl.where(left > 2, num_conv, 0))
        _convolved(place + 3 * num_conv, fourth, fifth, sixth, last, weights, c < tl.where(left > 3, num_conv, 0))
        first, second, third = fifth, sixth, last
