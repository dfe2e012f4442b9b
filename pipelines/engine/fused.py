"""Kernels for NVIDIA GPUs, written in Triton: the products of a decode step, and what others of them share.

A step reads every weight once, and on a GPU that takes hardly longer than the launches of some thirty small operations
a layer. So what is small rides along with what reads weights: the norm before a product is applied while its input is
read, its convolution, gate or sum before its output is written. What is left is one kernel for the recurrence
(`fused_delta`) or for attention (`fused_attention`), and one before all layers (`fused_entry`). Several rows are normed
beforehand, and most of their products, all from five rows on, are made by tensor cores. Of a piece of a prompt the
products are left to torch.

Where the GPU can (OVERLAP, from Hopper on), a kernel is launched while the one before still runs: it fetches what does
not depend on that one, weights above all, and waits for the rest.

Values are rounded to the model's dtype where torch rounds them in its own operations, but for the norm of a single row,
whose factor is applied to the sums in float32. The weights may be shorter than the values (int8, fp8), with a scale for
each output.
"""

# ruff: noqa: N803, N806  (constants of a kernel are written in capitals)

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

OVERLAPPING = (9, 0)
"""Compute capability of GPUs that launch a kernel before the one before has ended."""
PLAIN, ADD, GATE, CONV = (tl.constexpr(kind) for kind in range(4))
"""What becomes of a product: itself, a sum with what was there, one half gated by the other, or a convolved one."""
LINE_BYTES, AHEAD_BLOCKS = tl.constexpr(128), tl.constexpr(2)
"""What a cache fetches at once; the blocks of weights that tensor cores have it fetch before the inputs are there."""
PRECISION = tl.constexpr("tf32x3")
"""Of products of float32, on tensor cores: that of float32 but for the last bits. Shorter numbers are as they are."""


def can_overlap(device: torch.device) -> bool:
    """Whether kernels may be told to OVERLAP there."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= OVERLAPPING


@triton.jit
def silu(values):
    """Values float32, times their sigmoid."""
    return values * tl.sigmoid(values)


@triton.jit
def softplus(values):
    """The logarithm of 1 + exp of float32 values, which is they themselves where they are large."""
    return tl.where(values > 20.0, values, tl.log(1.0 + tl.exp(tl.minimum(values, 20.0))))


@triton.jit
def _pairs(words):
    """The two bfloat16 of each word uint32, as float32: a shift or a mask each, half of what a conversion takes."""
    return (words << 16).to(tl.float32, bitcast=True), (words & 0xFFFF0000).to(tl.float32, bitcast=True)


@triton.jit
def _taken(acc, squares, w, x, norm, start, r, steps, num_rows, num_k, HAS_NORM: tl.constexpr):
    """Sums float32 [rows, outputs, BLOCK_K], and of squares [rows, 1, BLOCK_K], with the inputs from `start` on."""
    here = start + steps
    given = tl.load(x + r * num_k + here, mask=(r < num_rows) & (here < num_k), other=0.0)
    if HAS_NORM:
        factor = tl.load(norm + here, mask=here < num_k, other=0.0)
    if w.dtype == tl.uint32:
        first, second = _pairs(given)
        if HAS_NORM:
            squares += first * first
            squares += second * second
            first_factor, second_factor = _pairs(factor)
            first *= 1.0 + first_factor
            second *= 1.0 + second_factor
        first_w, second_w = _pairs(w)
        acc += first * first_w
        acc += second * second_w
    else:
        values = given.to(tl.float32)
        if HAS_NORM:
            squares += values * values
            values *= 1.0 + factor.to(tl.float32)
        acc += values * w.to(tl.float32)
    return acc, squares


@triton.jit
def _few(
    x, weight, norm, target, is_target, n, num_rows, num_n, num_k, eps,
    PAD: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, DEPTH: tl.constexpr, HAS_NORM: tl.constexpr,
    OVERLAP: tl.constexpr, KIND: tl.constexpr,
):  # fmt: skip
    """As `_tile`, of a few rows without tensor cores, which would wait for whole tiles.

    Inputs and weights are loaded in parts of [rows, 1, BLOCK_K] and [1, outputs, BLOCK_K] whose numbers lie in the same
    threads, so that none goes to another before the sums. DEPTH of the weights' are on their way at once, and before
    the inputs are there. Numbers are bfloat16, two in a word, where both are.
    """
    tl.static_assert(DEPTH == 1 or DEPTH == 2 or DEPTH == 4)
    num_inputs = num_k
    has_words: tl.constexpr = x.dtype.element_ty == tl.bfloat16 and weight.dtype.element_ty == tl.bfloat16
    BLOCK: tl.constexpr = BLOCK_K // 2 if has_words else BLOCK_K
    if has_words:
        word: tl.constexpr = tl.pointer_type(tl.uint32)
        x, weight, norm, num_k = x.to(word), weight.to(word), norm.to(word), num_k // 2
    r, steps = tl.arange(0, PAD)[:, None, None], tl.arange(0, BLOCK)[None, None, :]
    acc = tl.zeros((PAD, BLOCK_N, BLOCK), tl.float32)
    squares = tl.zeros((PAD, 1, BLOCK), tl.float32)
    lines = n[None, :, None]
    is_output = lines < num_n
    place = weight + lines * num_k + steps
    first = tl.load(place, mask=is_output & (steps < num_k), other=0.0)
    if DEPTH > 1:
        second = tl.load(place + BLOCK, mask=is_output & (steps + BLOCK < num_k), other=0.0)
    if DEPTH > 2:
        third = tl.load(place + 2 * BLOCK, mask=is_output & (steps + 2 * BLOCK < num_k), other=0.0)
        fourth = tl.load(place + 3 * BLOCK, mask=is_output & (steps + 3 * BLOCK < num_k), other=0.0)
    if OVERLAP:
        gdc_wait()
    before = tl.load(target, mask=is_target, other=0.0) if KIND == ADD else 0.0
    for start in range(0, num_k, DEPTH * BLOCK):
        left = num_k - start - DEPTH * BLOCK
        ahead = place + start + DEPTH * BLOCK
        acc, squares = _taken(acc, squares, first, x, norm, start, r, steps, num_rows, num_k, HAS_NORM)
        first = tl.load(ahead, mask=is_output & (steps < left), other=0.0)
        if DEPTH > 1:
            acc, squares = _taken(acc, squares, second, x, norm, start + BLOCK, r, steps, num_rows, num_k, HAS_NORM)
            second = tl.load(ahead + BLOCK, mask=is_output & (steps + BLOCK < left), other=0.0)
        if DEPTH > 2:
            begin = start + 2 * BLOCK
            acc, squares = _taken(acc, squares, third, x, norm, begin, r, steps, num_rows, num_k, HAS_NORM)
            third = tl.load(ahead + 2 * BLOCK, mask=is_output & (steps + 2 * BLOCK < left), other=0.0)
            begin += BLOCK
            acc, squares = _taken(acc, squares, fourth, x, norm, begin, r, steps, num_rows, num_k, HAS_NORM)
            fourth = tl.load(ahead + 3 * BLOCK, mask=is_output & (steps + 3 * BLOCK < left), other=0.0)
    total = tl.sum(acc, axis=2)
    if HAS_NORM:
        total = total * tl.rsqrt(tl.sum(squares, axis=2) / num_inputs + eps)
    return total, before


@triton.jit
def _ask_ahead(weight, n, num_n, num_k, COUNT: tl.constexpr):
    """Have the first COUNT weights of the rows `n` of a weight [num_n, num_k] on their way into the cache."""
    each: tl.constexpr = LINE_BYTES // (weight.dtype.element_ty.primitive_bitwidth // 8)
    n, k = n[:, None], tl.arange(0, COUNT // each)[None, :] * each
    place = weight + tl.where((n < num_n) & (k < num_k), n * num_k + k, 0)
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.u32 $0, 0;", "=r,l", [place], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit
def _tile(
    x, weight, scale, norm, target, is_target, n, num_rows, num_n, num_k, eps,
    PAD: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, DEPTH: tl.constexpr, HAS_NORM: tl.constexpr,
    HAS_SCALE: tl.constexpr, OVERLAP: tl.constexpr, KIND: tl.constexpr,
):  # fmt: skip
    """Products float32 [PAD, BLOCK_N] of x [num_rows, num_k] with the rows `n` of a weight [num_n, num_k], and for ADD
    what stands at `target`, of their shape, where it `is_target`.

    A PAD of less than 16 is for as many rows, and does without tensor cores.
    """
    if PAD < 16:
        total, before = _few(
            x, weight, norm, target, is_target, n, num_rows, num_n, num_k, eps,
            PAD, BLOCK_N, BLOCK_K, DEPTH, HAS_NORM, OVERLAP, KIND,
        )  # fmt: skip
    else:
        r, steps = tl.arange(0, PAD), tl.arange(0, BLOCK_K)
        total = tl.zeros((PAD, BLOCK_N), tl.float32)
        if OVERLAP:
            _ask_ahead(weight, n, num_n, num_k, AHEAD_BLOCKS * BLOCK_K)
            gdc_wait()
        before = tl.load(target, mask=is_target, other=0.0) if KIND == ADD else 0.0
        for start in range(0, num_k, BLOCK_K):
            k = start + steps
            is_input = k[None, :] < num_k
            w = tl.load(weight + n[:, None] * num_k + k[None, :], mask=(n[:, None] < num_n) & is_input, other=0.0)
            values = tl.load(x + r[:, None] * num_k + k[None, :], mask=(r[:, None] < num_rows) & is_input, other=0.0)
            if HAS_SCALE:
                w = w.to(tl.float32).to(x.dtype.element_ty)
            total = tl.dot(values, tl.trans(w), total, input_precision=PRECISION)
    if HAS_SCALE:
        total = total * tl.load(scale + n, mask=n < num_n, other=0.0).to(tl.float32)[None, :]
    return total, before


@triton.jit
def product(
    x, weight, scale, norm, out, conv, taps, num_rows, num_n, num_k, num_conv, eps,
    PAD: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, DEPTH: tl.constexpr, HAS_NORM: tl.constexpr,
    HAS_SCALE: tl.constexpr, OVERLAP: tl.constexpr, KIND: tl.constexpr,
):  # fmt: skip
    """A block of outputs [num_rows, num_n] of one product, of BLOCK_N rows of its weight.

    With GATE the weight has 2 x num_n rows, of which two belong to an output. With CONV the first `num_conv` outputs go
    into the states `conv` [rows, num_conv, 4], and come out convolved by `taps` [num_conv, 4] and through SiLU.
    """
    if OVERLAP:
        gdc_launch_dependents()
    dtype = out.dtype.element_ty
    line, r = tl.arange(0, BLOCK_N), tl.arange(0, PAD)
    if KIND == GATE:
        first = tl.program_id(0) * (BLOCK_N // 2)
        n, last = first + tl.arange(0, BLOCK_N // 2), 2 * num_n
        # the second row of what is beyond the last output would be that of another
        lines = tl.where(first + line // 2 < num_n, first + line // 2 + line % 2 * num_n, last)
    else:
        n, last = tl.program_id(0) * BLOCK_N + line, num_n
        lines = n
    is_real = (r[:, None] < num_rows) & (n[None, :] < num_n)
    place = out + r[:, None] * num_n + n[None, :]
    if KIND == CONV:  # nothing else in a step writes these: they are fetched first
        is_tap = n[None, :] < num_conv
        is_seen = is_real & is_tap
        state = conv + (r[:, None] * num_conv + n[None, :]) * 4
        tap = taps + n[None, :] * 4
        first = tl.load(state + 1, mask=is_seen, other=0.0)
        second = tl.load(state + 2, mask=is_seen, other=0.0)
        third = tl.load(state + 3, mask=is_seen, other=0.0)
        mixed = first.to(tl.float32) * tl.load(tap, mask=is_tap, other=0.0).to(tl.float32)
        mixed += second.to(tl.float32) * tl.load(tap + 1, mask=is_tap, other=0.0).to(tl.float32)
        mixed += third.to(tl.float32) * tl.load(tap + 2, mask=is_tap, other=0.0).to(tl.float32)
        last_tap = tl.load(tap + 3, mask=is_tap, other=0.0).to(tl.float32)
    sums, before = _tile(
        x, weight, scale, norm, place, is_real, lines, num_rows, last, num_k, eps,
        PAD, BLOCK_N, BLOCK_K, DEPTH, HAS_NORM, HAS_SCALE, OVERLAP, KIND,
    )  # fmt: skip
    sums = sums.to(dtype).to(tl.float32)
    if KIND == GATE:
        halves, up = tl.split(tl.reshape(sums, (PAD, BLOCK_N // 2, 2)))
        sums = silu(halves).to(dtype).to(tl.float32) * up
    if KIND == ADD:
        sums += before.to(tl.float32)
    if KIND == CONV:
        tl.debug_barrier()  # several threads may hold one output: all have read before one writes
        tl.store(state, first, mask=is_seen)
        tl.store(state + 1, second, mask=is_seen)
        tl.store(state + 2, third, mask=is_seen)
        tl.store(state + 3, sums.to(dtype), mask=is_seen)
        mixed += sums * last_tap
        mixed = mixed.to(dtype).to(tl.float32)
        sums = tl.where(is_tap, silu(mixed), sums)
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
