"""Gated attention in kernels for NVIDIA GPUs, written in Triton: a step of many rows, or a piece of a prompt in one.

They look at no more places of the caches than are filled, whatever the capacity. A step looks at parts of each row's
past side by side, as flash-decoding (Dao et al. 2023) does, and a piece at all that stands up to each of its tokens, as
FlashAttention (Dao et al. 2022). What the kernels of a piece are given is told in `pipelines.engine.fused_delta`.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from pipelines.engine.fused import PRECISION

SPLITS = 32
"""Parts of a row's past that are looked at side by side."""
PLACES = 32
"""Places of the past that one turn of a loop looks at."""
LOWEST = tl.constexpr(-1e30)
"""The score of what a token may not see: far below any, yet a number, as a part of a past may hold nothing else."""


@triton.jit
def place(
    mixed, numbers, norms, cosines, sines, partners, queries, keys, values,
    num_tokens, capacity, num_heads, num_keys, dim, eps,
    BLOCK_T: tl.constexpr, BLOCK: tl.constexpr, IS_STEP: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """One head of some tokens: queries normed and turned, or keys likewise, or values, which go to their caches.

    `mixed` [tokens, ...] holds each query with its gate behind it, then the keys, then the values. `queries` are
    [tokens, heads, dim]. The caches are [key heads, capacity, dim] of the row; of a step they are [rows, key heads,
    capacity, dim], its tokens one in each row, and `numbers` int64 [rows] what each row holds.
    """
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
    dtype = queries.dtype.element_ty
    head = tl.program_id(0)
    t, i = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None], tl.arange(0, BLOCK)[None, :]
    is_real = (t < num_tokens) & (i < dim)
    if IS_STEP:
        held = tl.load(numbers + t, mask=t < num_tokens, other=0)
        is_counted, place = is_real, (t.to(tl.int64) * num_keys * capacity + held) * dim + i
    else:
        is_counted = (t < tl.load(numbers + 1).to(tl.int32)) & (i < dim)
        place = (tl.load(numbers).to(tl.int32) + t) * dim + i
    is_query, is_turned = head < num_heads, head < num_heads + num_keys
    source = mixed + t * (2 * (num_heads + num_keys) * dim) + tl.where(is_query, 2 * head, num_heads + head) * dim
    given = tl.load(source + i, mask=is_real, other=0.0)
    if is_turned:
        partner = tl.load(partners + i, mask=i < dim, other=0)
        plain = given.to(tl.float32)
        length = tl.rsqrt(tl.sum(plain * plain, axis=1) / dim + eps)[:, None]
        weight = norms + tl.where(is_query, 0, dim)
        other = tl.load(source + partner, mask=is_real, other=0.0).to(tl.float32)
        plain = (plain * length * tl.load(weight + i, mask=i < dim, other=0.0)).to(dtype).to(tl.float32)
        other = (other * length * tl.load(weight + partner, mask=i < dim, other=0.0)).to(dtype).to(tl.float32)
        cosine = tl.load(cosines + t * dim + i, mask=is_real, other=0.0).to(tl.float32)
        sine = tl.load(sines + t * dim + i, mask=is_real, other=0.0).to(tl.float32)
        turned = ((plain * cosine).to(dtype).to(tl.float32) + other * sine).to(dtype)
        if is_query:
            tl.store(queries + (t * num_heads + head) * dim + i, turned, mask=is_real)
        else:
            own = keys + (head - num_heads).to(tl.int64) * capacity * dim
            tl.store(own + place, turned, mask=is_counted)
    else:
        own = values + (head - num_heads - num_keys).to(tl.int64) * capacity * dim
        tl.store(own + place, given, mask=is_counted)


@triton.jit
def _weighed(scores, value, acc, top, weight):
    """The sum `acc` of what was seen, its highest score `top` and its `weight`, with further places taken in."""
    higher = tl.maximum(top, tl.max(scores, axis=1))
    likely = tl.exp(scores - higher[:, None])
    shrunk = tl.exp(top - higher)
    acc = tl.dot(likely.to(value.dtype), value, acc * shrunk[:, None], input_precision=PRECISION)
    return acc, higher, weight * shrunk + tl.sum(likely, axis=1)


@triton.jit
def attend(
    queries, keys, values, held, sums, most, weights, capacity, num_keys, dim, factor,
    GROUP: tl.constexpr, PAD: tl.constexpr, BLOCK: tl.constexpr, PLACES: tl.constexpr, SPLITS: tl.constexpr,
    OVERLAP: tl.constexpr,
):  # fmt: skip
    """What the queries of one key head see in one part of a row's past.

    `sums` float32 [rows, heads, SPLITS, dim], `most` and `weights` float32 [rows, heads, SPLITS].
    """
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
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
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * factor
        scores = tl.where(is_held[None, :], scores, float("-inf"))
        value = tl.load(values + at, mask=mask, other=0.0)
        acc, top, weight = _weighed(scores, value, acc, top, weight)
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


@triton.jit
def _look_at(
    query, keys, values, place, limit, i, acc, top, weight, end, dim, factor, IS_LAST: tl.constexpr,
):  # fmt: skip
    """Further places [places] of one head taken into what tokens see, see `_weighed`.

    IS_LAST are places of which tokens may see no more than `limit` [tokens], and which end before `end`.
    """
    at, mask = place[:, None] * dim + i[None, :], (i < dim)[None, :]
    if IS_LAST:
        mask = mask & (place < end)[:, None]
    key = tl.load(keys + at, mask=mask, other=0.0)
    scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * factor
    if IS_LAST:
        scores = tl.where((place[None, :] <= limit[:, None]) & (place < end)[None, :], scores, LOWEST)
    value = tl.load(values + at, mask=mask, other=0.0)
    return _weighed(scores, value, acc, top, weight)


@triton.jit
def _gated(seen, mixed, t, i, head, num_heads, num_keys, dim, mask):
    """What tokens see with one head [tokens, dim], times the sigmoid of their gates, which stand behind the queries."""
    dtype = mixed.dtype.element_ty
    side = mixed + t[:, None] * (2 * (num_heads + num_keys) * dim) + (2 * head + 1) * dim + i[None, :]
    strength = tl.sigmoid(tl.load(side, mask=mask, other=0.0).to(tl.float32)).to(dtype).to(tl.float32)
    return (seen.to(dtype).to(tl.float32) * strength).to(dtype)


@triton.jit
def look_back(
    queries, keys, values, numbers, mixed, out, sums, tops, weights, size, capacity, num_heads, num_keys, dim, factor,
    GROUP: tl.constexpr, BLOCK: tl.constexpr, BLOCK_T: tl.constexpr, PLACES: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """What some tokens see with one head of what stands up to each of them, times the sigmoid of their gates.

    `queries` [tokens, heads, dim], `keys` and `values` [key heads, capacity, dim]. `mixed` holds each query with its
    gate behind it, then the keys, then the values. `out` has room for whole blocks; zero comes out for one without a
    token that counts, and some number for the others that do not.

    Of several SPLITS each looks at a part of the past, and `gather` puts them together: `sums` float32 [heads, SPLITS,
    size, dim], `tops` and `weights` float32 [heads, SPLITS, size].
    """
    head = tl.program_id(0)
    first = (tl.num_programs(1) - 1 - tl.program_id(1)) * BLOCK_T  # those with the longest past begin
    held, count = tl.load(numbers).to(tl.int32), tl.load(numbers + 1).to(tl.int32)
    t, i, steps = first + tl.arange(0, BLOCK_T), tl.arange(0, BLOCK), tl.arange(0, PLACES)
    is_real, is_token = i < dim, t < count
    end = tl.where(first < count, held + tl.minimum(first + BLOCK_T, count), 0)
    at = (t[:, None] * num_heads + head) * dim + i[None, :]
    is_query = is_token[:, None] & is_real[None, :]
    query = tl.load(queries + at, mask=is_query, other=0.0)
    own = (head // GROUP).to(tl.int64) * capacity * dim
    keys += own
    values += own
    top = tl.full((BLOCK_T,), float("-inf"), tl.float32)
    weight = tl.zeros((BLOCK_T,), tl.float32)
    acc = tl.zeros((BLOCK_T, BLOCK), tl.float32)
    begin = 0
    if SPLITS > 1:
        each = tl.cdiv(tl.cdiv(end, SPLITS), PLACES) * PLACES
        begin = tl.minimum(tl.program_id(2) * each, end)
        end = tl.minimum(begin + each, end)
    # before these is nothing that some may not see
    shared = tl.maximum(tl.minimum((held + first + 1) // PLACES * PLACES, end), begin)
    for start in range(begin, shared, PLACES):
        acc, top, weight = _look_at(
            query, keys, values, start + steps, t, i, acc, top, weight, end, dim, factor, IS_LAST=False
        )
    for start in range(shared, end, PLACES):
        acc, top, weight = _look_at(
            query, keys, values, start + steps, held + t, i, acc, top, weight, end, dim, factor, IS_LAST=True
        )
    if SPLITS > 1:
        at_part = (head * SPLITS + tl.program_id(2)) * size + t
        tl.store(tops + at_part, top, mask=is_token)
        tl.store(weights + at_part, weight, mask=is_token)
        tl.store(sums + at_part[:, None] * dim + i[None, :], acc, mask=is_query)
    else:
        seen = acc / tl.where(weight > 0.0, weight, 1.0)[:, None]
        seen = _gated(seen, mixed, t, i, head, num_heads, num_keys, dim, is_query)
        tl.store(out + at, seen, mask=is_real[None, :])


@triton.jit
def gather(
    sums, tops, weights, numbers, mixed, out, size, num_heads, num_keys, dim,
    BLOCK: tl.constexpr, BLOCK_T: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """The parts that `look_back` leaves of some tokens and one head together; zero for tokens that do not count."""
    head = tl.program_id(0)
    t, i = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T), tl.arange(0, BLOCK)
    is_token, is_real = t < tl.load(numbers + 1).to(tl.int32), (i < dim)[None, :]
    mask = is_token[:, None] & is_real
    top = tl.full((BLOCK_T,), LOWEST, tl.float32)
    for split in tl.static_range(SPLITS):
        top = tl.maximum(top, tl.load(tops + (head * SPLITS + split) * size + t, mask=is_token, other=LOWEST))
    weight = tl.zeros((BLOCK_T,), tl.float32)
    acc = tl.zeros((BLOCK_T, BLOCK), tl.float32)
    for split in tl.static_range(SPLITS):
        at_part = (head * SPLITS + split) * size + t
        share = tl.exp(tl.load(tops + at_part, mask=is_token, other=LOWEST) - top)
        weight += tl.load(weights + at_part, mask=is_token, other=1.0) * share
        acc += tl.load(sums + at_part[:, None] * dim + i[None, :], mask=mask, other=0.0) * share[:, None]
    seen = _gated(acc / weight[:, None], mixed, t, i, head, num_heads, num_keys, dim, mask)
    tl.store(out + (t[:, None] * num_heads + head) * dim + i[None, :], seen, mask=is_real & (t < size)[:, None])
