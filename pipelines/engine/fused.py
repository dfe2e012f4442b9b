"""The decode step in a handful of kernels a layer, for NVIDIA GPUs, written in Triton.

A step reads every weight once, and on a GPU that takes hardly longer than the launches of some thirty small operations
a layer. So what is small rides along with what reads weights: the norm before a product is applied while its input is
read, its convolution, gate or sum before its output is written. What is left is one kernel for the recurrence and three
for attention, which looks at no more places than are filled, whatever the capacity of the caches. Several rows are
multiplied by tensor cores, for which they are normed beforehand.

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
SPLITS = 32
"""Parts of a row's past that are looked at side by side."""
PLACES = 32
"""Of the past, looked at in one turn of a loop."""


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
            total = tl.dot(values, tl.trans(w), total, input_precision="ieee")
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
        sums = (sums * tl.sigmoid(sums)).to(dtype).to(tl.float32) * up
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
        sums = tl.where(n[None, :] < num_conv, mixed * tl.sigmoid(mixed), sums)
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
def recur(
    mixed, state, rate, bias, norm, out, width, num_heads, group, key_dim, value_dim, eps,
    BLOCK_KEY: tl.constexpr, BLOCK_VALUE: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """One head of one row: its state [key_dim, value_dim] one token further, and what is seen, normed and gated.

    `mixed` [rows, width] holds queries, keys, values, gates, strengths and steps of the decay, one after the other.
    """
    dtype = out.dtype.element_ty
    head, row = tl.program_id(0), tl.program_id(1)
    i, j = tl.arange(0, BLOCK_KEY), tl.arange(0, BLOCK_VALUE)
    own = mixed + row * width
    keys = num_heads // group * key_dim
    values = num_heads * value_dim
    at_key = head // group * key_dim + i
    at_value = 2 * keys + head * value_dim + j
    is_key, is_value = i < key_dim, j < value_dim
    place = state + ((row * num_heads + head) * key_dim + i[:, None]) * value_dim + j[None, :]
    is_real = is_key[:, None] & is_value[None, :]
    held = tl.load(place, mask=is_real, other=0.0)
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
    query = tl.load(own + at_key, mask=is_key, other=0.0).to(tl.float32)
    key = tl.load(own + keys + at_key, mask=is_key, other=0.0).to(tl.float32)
    value = tl.load(own + at_value, mask=is_value, other=0.0).to(tl.float32)
    gate = tl.load(own + values + at_value, mask=is_value, other=0.0).to(tl.float32)
    strength = tl.sigmoid(tl.load(own + 2 * keys + 2 * values + head).to(tl.float32))
    step = tl.load(own + 2 * keys + 2 * values + num_heads + head).to(tl.float32) + tl.load(bias + head)
    step = tl.where(step > 20.0, step, tl.log(1.0 + tl.exp(tl.minimum(step, 20.0))))
    query = query * tl.rsqrt(tl.sum(query * query, axis=0) + 1e-6) * tl.rsqrt(key_dim * 1.0)
    key = key * tl.rsqrt(tl.sum(key * key, axis=0) + 1e-6)
    held = held * tl.exp(tl.load(rate + head) * step)
    change = (value - tl.sum(held * key[:, None], axis=0)) * strength
    held += key[:, None] * change[None, :]
    tl.store(place, held, mask=is_real)
    seen = tl.sum(held * query[:, None], axis=0)
    seen = seen * tl.rsqrt(tl.sum(seen * seen, axis=0) / value_dim + eps)
    seen = seen * tl.load(norm + j, mask=is_value, other=0.0) * gate * tl.sigmoid(gate)
    tl.store(out + (row * num_heads + head) * value_dim + j, seen.to(dtype), mask=is_value)


@triton.jit
def place(
    mixed, held, norms, cosines, sines, partners, queries, keys, values, capacity, num_heads, num_keys, dim, eps,
    BLOCK: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """One head of one row: a query normed and turned, or a key likewise, or a value, which go to their caches.

    `mixed` [rows, ...] holds each query with its gate behind it, then the keys, then the values.
    """
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
    dtype = queries.dtype.element_ty
    head, row = tl.program_id(0), tl.program_id(1)
    i = tl.arange(0, BLOCK)
    is_real = i < dim
    own = mixed + row * 2 * (num_heads + num_keys) * dim
    place = tl.load(held + row)
    is_query, is_turned = head < num_heads, head < num_heads + num_keys
    source = own + tl.where(is_query, 2 * head, num_heads + head) * dim
    given = tl.load(source + i, mask=is_real, other=0.0)
    if is_turned:
        partner = tl.load(partners + i, mask=is_real, other=0)
        plain = given.to(tl.float32)
        length = tl.rsqrt(tl.sum(plain * plain, axis=0) / dim + eps)
        weight = norms + tl.where(is_query, 0, dim)
        other = tl.load(source + partner, mask=is_real, other=0.0).to(tl.float32)
        plain = (plain * length * tl.load(weight + i, mask=is_real, other=0.0)).to(dtype).to(tl.float32)
        other = (other * length * tl.load(weight + partner, mask=is_real, other=0.0)).to(dtype).to(tl.float32)
        cosine = tl.load(cosines + row * dim + i, mask=is_real, other=0.0).to(tl.float32)
        sine = tl.load(sines + row * dim + i, mask=is_real, other=0.0).to(tl.float32)
        turned = ((plain * cosine).to(dtype).to(tl.float32) + other * sine).to(dtype)
        if is_query:
            tl.store(queries + (row * num_heads + head) * dim + i, turned, mask=is_real)
        else:
            at = ((row * num_keys + head - num_heads) * capacity + place) * dim
            tl.store(keys + at + i, turned, mask=is_real)
    else:
        at = ((row * num_keys + head - num_heads - num_keys) * capacity + place) * dim
        tl.store(values + at + i, given, mask=is_real)


@triton.jit
def attend(
    queries, keys, values, held, sums, most, weights, capacity, num_keys, dim, factor,
    GROUP: tl.constexpr, PAD: tl.constexpr, BLOCK: tl.constexpr, PLACES: tl.constexpr, SPLITS: tl.constexpr,
    OVERLAP: tl.constexpr,
):  # fmt: skip
    """What the queries of one key head see in one part of a row's past, as flash-decoding (Dao et al. 2023) does.

    `sums` float32 [rows, heads, SPLITS, dim], `most` and `weights` float32 [rows, heads, SPLITS].
    """
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
    dtype = queries.dtype.element_ty
    head, row, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    g, i, steps = tl.arange(0, PAD), tl.arange(0, BLOCK), tl.arange(0, PLACES)
    is_real = i < dim
    past = tl.load(held + row) + 1
    each = tl.cdiv(tl.cdiv(past, SPLITS), PLACES) * PLACES
    first = (split * each).to(tl.int32)
    end = tl.minimum(first + each, past).to(tl.int32)
    at_head = (row * num_keys + head) * GROUP + g
    query = tl.load(
        queries + at_head[:, None] * dim + i[None, :], mask=(g[:, None] < GROUP) & is_real[None, :], other=0.0
    )
    rows = (row * num_keys + head) * capacity
    top = tl.full((PAD,), float("-inf"), tl.float32)
    weight = tl.zeros((PAD,), tl.float32)
    acc = tl.zeros((PAD, BLOCK), tl.float32)
    for start in range(first, end, PLACES):
        place = (start + steps).to(tl.int64)
        is_held = start + steps < end
        at = (rows + place[:, None]) * dim + i[None, :]
        mask = is_held[:, None] & is_real[None, :]
        key = tl.load(keys + at, mask=mask, other=0.0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * factor
        scores = tl.where(is_held[None, :], scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, axis=1))
        likely = tl.exp(scores - higher[:, None])
        shrunk = tl.exp(top - higher)
        weight = weight * shrunk + tl.sum(likely, axis=1)
        value = tl.load(values + at, mask=mask, other=0.0)
        acc = acc * shrunk[:, None] + tl.dot(likely.to(dtype), value, input_precision="ieee")
        top = higher
    at_part = at_head * SPLITS + split
    is_query = g < GROUP
    tl.store(most + at_part, top, mask=is_query)
    tl.store(weights + at_part, weight, mask=is_query)
    tl.store(sums + at_part[:, None] * dim + i[None, :], acc, mask=is_query[:, None] & is_real[None, :])


@triton.jit
def combine(
    sums, most, weights, mixed, out, num_heads, num_keys, dim,
    BLOCK: tl.constexpr, SPLITS: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """The parts of one head of one row together, times the sigmoid of its gate."""
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
    dtype = out.dtype.element_ty
    head, row = tl.program_id(0), tl.program_id(1)
    i, s = tl.arange(0, BLOCK), tl.arange(0, SPLITS)
    is_real = i < dim
    at_part = (row * num_heads + head) * SPLITS + s
    top = tl.load(most + at_part)
    share = tl.exp(top - tl.max(top, axis=0))
    parts = tl.load(sums + at_part[:, None] * dim + i[None, :], mask=is_real[None, :], other=0.0)
    seen = tl.sum(parts * share[:, None], axis=0) / tl.sum(tl.load(weights + at_part) * share, axis=0)
    gate = mixed + row * 2 * (num_heads + num_keys) * dim + (2 * head + 1) * dim
    gate = tl.sigmoid(tl.load(gate + i, mask=is_real, other=0.0).to(tl.float32)).to(dtype).to(tl.float32)
    seen = seen.to(dtype).to(tl.float32) * gate
    tl.store(out + (row * num_heads + head) * dim + i, seen.to(dtype), mask=is_real)
