"""Kernels for NVIDIA GPUs, written in Triton: the products of a decode step, and what others of them share.

A step reads every weight once, and on a GPU that takes hardly longer than the launches of some thirty small operations
a layer. So what is small rides along with what reads weights: the norm before a product is applied while its input is
read, its convolution, gate or sum before its output is written. What is left is one kernel for the recurrence
(`fused_delta`) and three for attention (`fused_attention`). Several rows are multiplied by tensor cores, for which they
are normed beforehand. Of a piece of a prompt the products are left to torch.

Where the GPU can (OVERLAP, from Hopper on), a kernel is launched while the one before still runs: it fetches what does
not depend on that one, weights above all, and waits for the rest.

Values are rounded to the model's dtype where torch rounds them in its own operations, but for the norm of a single row,
whose factor is applied to the sums in float32. The weights may be shorter than the values (int8, fp8), with a scale for
each output.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

PLAIN, ADD, GATE, CONV = (tl.constexpr(kind) for kind in range(4))
"""What becomes of a product: itself, a sum with what was there, one half gated by the other, or a convolved one."""
PRECISION = tl.constexpr("tf32x3")
"""Of products of float32, on tensor cores: that of float32 but for the last bits. Shorter numbers are as they are."""


@triton.jit
def silu(values):
    """Values float32, times their sigmoid."""
    return values * tl.sigmoid(values)


@triton.jit
def softplus(values):
    """The logarithm of 1 + exp of float32 values, which is they themselves where they are large."""
    return tl.where(values > 20.0, values, tl.log(1.0 + tl.exp(tl.minimum(values, 20.0))))


@triton.jit
def _tile(
    x, weight, scale, norm, n, num_rows, num_n, num_k, eps,
    PAD: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, HAS_NORM: tl.constexpr, HAS_SCALE: tl.constexpr,
    OVERLAP: tl.constexpr,
):  # fmt: skip
    """Products float32 [PAD, BLOCK_N] of x [num_rows, num_k] with the rows `n` of a weight [num_n, num_k].

    A PAD of 1 is for one row, and does without tensor cores.
    """
    steps = tl.arange(0, BLOCK_K)
    if PAD == 1:
        # everything is loaded in the shape of the products, so that no number goes to another thread before the sum
        acc = tl.zeros((BLOCK_N, BLOCK_K), tl.float32)
        squares = tl.zeros((BLOCK_N, BLOCK_K), tl.float32)
        place = weight + n[:, None] * num_k + steps[None, :]
        is_output = n[:, None] < num_n
        ahead = tl.load(place, mask=is_output & (steps[None, :] < num_k), other=0.0)
        same = tl.zeros((BLOCK_N, 1), tl.int32)
        if OVERLAP:
            gdc_wait()
        for start in range(0, num_k, BLOCK_K):
            w, here = ahead, same + (start + steps)[None, :]
            ahead = tl.load(place + start + BLOCK_K, mask=is_output & (here + BLOCK_K < num_k), other=0.0)
            values = tl.load(x + here, mask=here < num_k, other=0.0).to(tl.float32)
            if HAS_NORM:
                squares += values * values
                values = values * (1.0 + tl.load(norm + here, mask=here < num_k, other=0.0).to(tl.float32))
            acc += values * w.to(tl.float32)
        total = tl.sum(acc, axis=1)
        if HAS_NORM:
            total = total * tl.rsqrt(tl.sum(squares, axis=1) / num_k + eps)
        total = total[None, :]
    else:
        r = tl.arange(0, PAD)
        dtype = x.dtype.element_ty
        total = tl.zeros((PAD, BLOCK_N), tl.float32)
        if OVERLAP:
            gdc_wait()
        for start in range(0, num_k, BLOCK_K):
            k = start + steps
            is_input = k[None, :] < num_k
            w = tl.load(weight + n[:, None] * num_k + k[None, :], mask=(n[:, None] < num_n) & is_input, other=0.0)
            values = tl.load(x + r[:, None] * num_k + k[None, :], mask=(r[:, None] < num_rows) & is_input, other=0.0)
            if HAS_SCALE:
                w = w.to(tl.float32).to(dtype)
            total = tl.dot(values, tl.trans(w), total, input_precision=PRECISION)
    if HAS_SCALE:
        total = total * tl.load(scale + n, mask=n < num_n, other=0.0).to(tl.float32)[None, :]
    return total


@triton.jit
def product(
    x, weight, scale, norm, out, conv, taps, num_rows, num_n, num_k, num_conv, eps,
    PAD: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, HAS_NORM: tl.constexpr, HAS_SCALE: tl.constexpr,
    OVERLAP: tl.constexpr, KIND: tl.constexpr,
):  # fmt: skip
    """A block of outputs [num_rows, num_n] of one product.

    With GATE the weight has 2 x num_n rows. With CONV the first `num_conv` outputs go into the states `conv`
    [rows, num_conv, 4], and come out convolved by `taps` [num_conv, 4] and through SiLU.
    """
    if OVERLAP:
        gdc_launch_dependents()
    dtype = out.dtype.element_ty
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    r = tl.arange(0, PAD)
    last = 2 * num_n if KIND == GATE else num_n
    sums = _tile(
        x, weight, scale, norm, n, num_rows, last, num_k, eps, PAD, BLOCK_N, BLOCK_K, HAS_NORM, HAS_SCALE, OVERLAP
    ).to(dtype).to(tl.float32)  # fmt: skip
    is_real = (r[:, None] < num_rows) & (n[None, :] < num_n)
    place = out + r[:, None] * num_n + n[None, :]
    if KIND == ADD:
        sums += tl.load(place, mask=is_real, other=0.0).to(tl.float32)
    if KIND == GATE:
        up = _tile(
            x, weight, scale, norm, num_n + n, num_rows, last, num_k, eps,
            PAD, BLOCK_N, BLOCK_K, HAS_NORM, HAS_SCALE, OVERLAP,
        ).to(dtype).to(tl.float32)  # fmt: skip
        sums = silu(sums).to(dtype).to(tl.float32) * up
    if KIND == CONV:
        is_seen = is_real & (n[None, :] < num_conv)
        state = conv + (r[:, None] * num_conv + n[None, :]) * 4
        tap = taps + n[None, :] * 4
        first = tl.load(state + 1, mask=is_seen, other=0.0)
        second = tl.load(state + 2, mask=is_seen, other=0.0)
        third = tl.load(state + 3, mask=is_seen, other=0.0)
        tl.debug_barrier()  # several threads may hold one output: all have read before one writes
        tl.store(state, first, mask=is_seen)
        tl.store(state + 1, second, mask=is_seen)
        tl.store(state + 2, third, mask=is_seen)
        tl.store(state + 3, sums.to(dtype), mask=is_seen)
        is_tap = n[None, :] < num_conv
        mixed = first.to(tl.float32) * tl.load(tap, mask=is_tap, other=0.0).to(tl.float32)
        mixed += second.to(tl.float32) * tl.load(tap + 1, mask=is_tap, other=0.0).to(tl.float32)
        mixed += third.to(tl.float32) * tl.load(tap + 2, mask=is_tap, other=0.0).to(tl.float32)
        mixed += sums * tl.load(tap + 3, mask=is_tap, other=0.0).to(tl.float32)
        mixed = mixed.to(dtype).to(tl.float32)
        sums = tl.where(n[None, :] < num_conv, silu(mixed), sums)
    tl.store(place, sums.to(dtype), mask=is_real)


@triton.jit
def normed(x, norm, out, size, eps, BLOCK: tl.constexpr, OVERLAP: tl.constexpr):
    """One row of x [rows, size] divided by the root of its mean square, times 1 + `norm`."""
    i = tl.arange(0, BLOCK)
    is_real = i < size
    weight = 1.0 + tl.load(norm + i, mask=is_real, other=0.0).to(tl.float32)
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
    place = tl.program_id(0) * size + i
    values = tl.load(x + place, mask=is_real, other=0.0).to(tl.float32)
    values = values * tl.rsqrt(tl.sum(values * values, axis=0) / size + eps)
    tl.store(out + place, (values * weight).to(out.dtype.element_ty), mask=is_real)


@triton.jit
def halve(both, out, num_tokens, size, BLOCK_T: tl.constexpr, BLOCK: tl.constexpr):
    """The second half of each token's numbers both [tokens, 2 x size], times the SiLU of the first."""
    dtype = out.dtype.element_ty
    t = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[None, :]
    is_real = (t < num_tokens) & (i < size)
    own = both + t * (2 * size) + i
    first = tl.load(own, mask=is_real, other=0.0).to(tl.float32)
    second = tl.load(own + size, mask=is_real, other=0.0).to(tl.float32)
    first = silu(first).to(dtype).to(tl.float32)
    tl.store(out + t * size + i, (first * second).to(dtype), mask=is_real)
