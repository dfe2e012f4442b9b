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
TAKEN = 8
"""Parts that one turn of a loop puts together."""


@triton.jit
def _turned(source, weight, cosines, sines, partners, i, is_real, dim, eps, dtype: tl.constexpr):
    """Queries or keys [lines, dim] at `source` [lines, 1], normed by a weight [dim] and turned."""
    is_number = i < dim
    partner = tl.load(partners + i, mask=is_number, other=0)
    plain = tl.load(source + i, mask=is_real, other=0.0).to(tl.float32)
    other = tl.load(source + partner, mask=is_real, other=0.0).to(tl.float32)
    length = tl.rsqrt(tl.sum(plain * plain, axis=1) / dim + eps)[:, None]
    plain = (plain * length * tl.load(weight + i, mask=is_number, other=0.0)).to(dtype).to(tl.float32)
    other = (other * length * tl.load(weight + partner, mask=is_number, other=0.0)).to(dtype).to(tl.float32)
    cosine = tl.load(cosines + i, mask=is_real, other=0.0).to(tl.float32)
    sine = tl.load(sines + i, mask=is_real, other=0.0).to(tl.float32)
    return ((plain * cosine).to(dtype).to(tl.float32) + other * sine).to(dtype)


@triton.jit
def place(
    mixed, numbers, norms, cosines, sines, partners, queries, keys, values,
    num_tokens, capacity, num_heads, num_keys, dim, eps,
    BLOCK_T: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One head of some tokens of a piece: queries normed and turned, or keys likewise, or values, which go to their
    caches.

    `mixed` [tokens, ...] holds each query with its gate behind it, then the keys, then the values. `queries` are
    [tokens, heads, dim], the caches [key heads, capacity, dim].
    """
    head = tl.program_id(0)
    t, i = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None], tl.arange(0, BLOCK)[None, :]
    is_real = (t < num_tokens) & (i < dim)
    is_counted = (t < tl.load(numbers + 1).to(tl.int32)) & (i < dim)
    place = (tl.load(numbers).to(tl.int32) + t) * dim + i
    is_query, is_turned = head < num_heads, head < num_heads + num_keys
    source = mixed + t * (2 * (num_heads + num_keys) * dim) + tl.where(is_query, 2 * head, num_heads + head) * dim
    if is_turned:
        weight, at = norms + tl.where(is_query, 0, dim), t * dim
        turned = _turned(
            source, weight, cosines + at, sines + at, partners, i, is_real, dim, eps, queries.dtype.element_ty
        )
        if is_query:
            tl.store(queries + (t * num_heads + head) * dim + i, turned, mask=is_real)
        else:
            own = keys + (head - num_heads).to(tl.int64) * capacity * dim
            tl.store(own + place, turned, mask=is_counted)
    else:
        own = values + (head - num_heads - num_keys).to(tl.int64) * capacity * dim
        tl.store(own + place, tl.load(source + i, mask=is_real, other=0.0), mask=is_counted)


@triton.jit
def _weighed(scores, value, acc, top, weight):
    """The sum `acc` of what was seen, its highest score `top` and its `weight`, with further places taken in."""
    higher = tl.maximum(top, tl.max(scores, axis=1))
    likely = tl.exp(scores - higher[:, None])
    shrunk = tl.exp(top - higher)
    acc = tl.dot(likely.to(value.dtype), value, acc * shrunk[:, None], input_precision=PRECISION)
    return acc, higher, weight * shrunk + tl.sum(likely, axis=1)


@triton.jit
def _seen_at(query, key, value, is_held, acc, top, weight, factor):
    """Places of a step's past taken into what queries see, see `_weighed`."""
    scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * factor
    return _weighed(tl.where(is_held[None, :], scores, float("-inf")), value, acc, top, weight)


@triton.jit
def attend(
    mixed, held, norms, cosines, sines, partners, keys, values, sums, most, weights, arrived, out,
    capacity, num_keys, dim, eps, factor,
    GROUP: tl.constexpr, HEADS: tl.constexpr, PAD: tl.constexpr, BLOCK: tl.constexpr, PLACES: tl.constexpr,
    SPLITS: tl.constexpr, TAKEN: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    """What the queries of one key head see in one part of a row's past, and in all of it for the last block to end.

    `mixed` [rows, ...] is as that of `place`, its tokens one in each row, which stand behind `held` int64 [rows] others
    in the caches [rows, key heads, capacity, dim]. The block of the last part takes the new one in, and has it cached.
    `sums` float32 [rows, heads, SPLITS, dim], `most` and `weights` float32 [rows, heads, SPLITS] are parts; `arrived`
    int32 [rows, key heads] counts those that are done, and is zero before and after.
    """
    if OVERLAP:
        gdc_launch_dependents()
    head, row, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    past = tl.load(held + row).to(tl.int32)  # of the host, not of a kernel before
    each = tl.maximum(tl.cdiv(tl.cdiv(past, SPLITS), PLACES), 1) * PLACES
    num_parts = tl.maximum(tl.cdiv(past, each), 1)
    if split >= num_parts:
        return
    g, i, steps = tl.arange(0, HEADS)[:, None], tl.arange(0, BLOCK)[None, :], tl.arange(0, PLACES)
    is_real = i < dim
    cache = (row * num_keys + head).to(tl.int64) * capacity
    first = split * each
    end = tl.minimum(first + each, past)
    is_held = first + steps < end
    at = (cache + first + steps[:, None]) * dim + i
    # what was held before the step is fetched before the new token is there
    key = tl.load(keys + at, mask=is_held[:, None] & is_real, other=0.0)
    value = tl.load(values + at, mask=is_held[:, None] & is_real, other=0.0)
    if OVERLAP:
        gdc_wait()
    dtype = out.dtype.element_ty
    num_heads = num_keys * GROUP
    # what fills up a group is its last head again
    own = head * GROUP + tl.minimum(g, GROUP - 1)
    source = mixed + row * (2 * (num_heads + num_keys)) * dim
    cosines += row * dim
    sines += row * dim
    query = _turned(source + 2 * own * dim, norms, cosines, sines, partners, i, is_real, dim, eps, dtype)
    query = tl.reshape(tl.broadcast_to(query[None, :, :], (PAD // HEADS, HEADS, BLOCK)), (PAD, BLOCK))
    top = tl.full((PAD,), float("-inf"), tl.float32)
    weight = tl.zeros((PAD,), tl.float32)
    acc = tl.zeros((PAD, BLOCK), tl.float32)
    if split == num_parts - 1:
        new = source + (2 * num_heads + head) * dim + tl.arange(0, 1)[:, None]
        new_key = _turned(new, norms + dim, cosines, sines, partners, i, is_real, dim, eps, dtype)
        new_value = tl.load(new + num_keys * dim + i, mask=is_real, other=0.0)
        newest = (cache + past) * dim + i
        tl.store(keys + newest, new_key, mask=is_real)
        tl.store(values + newest, new_value, mask=is_real)
        top = tl.sum(query.to(tl.float32) * new_key.to(tl.float32), axis=1) * factor
        weight += 1.0
        acc += new_value.to(tl.float32)
    acc, top, weight = _seen_at(query, key, value, is_held, acc, top, weight, factor)
    for start in range(first + PLACES, end, PLACES):
        is_held = start + steps < end
        at = (cache + start + steps[:, None]) * dim + i
        key = tl.load(keys + at, mask=is_held[:, None] & is_real, other=0.0)
        value = tl.load(values + at, mask=is_held[:, None] & is_real, other=0.0)
        acc, top, weight = _seen_at(query, key, value, is_held, acc, top, weight, factor)
    line = tl.arange(0, PAD)
    at_part = (row * num_heads + head * GROUP + line) * SPLITS + split
    tl.store(most + at_part, top, mask=line < GROUP)
    tl.store(weights + at_part, weight, mask=line < GROUP)
    tl.store(sums + at_part[:, None] * dim + i, acc, mask=(line < GROUP)[:, None] & is_real)
    tl.debug_barrier()  # all threads of the block have written before it counts as done
    counter = arrived + row * num_keys + head
    if tl.atomic_add(counter, 1, sem="acq_rel", scope="gpu") == num_parts - 1:
        tl.store(counter, 0)
        gate = tl.load(source + (2 * own + 1) * dim + i, mask=is_real, other=0.0).to(tl.float32)
        seen = _combined(sums, most, weights, row * num_heads + own, num_parts, i, dim, HEADS, BLOCK, SPLITS, TAKEN)
        seen = seen.to(dtype).to(tl.float32) * tl.sigmoid(gate).to(dtype).to(tl.float32)
        tl.store(out + (row * num_heads + own) * dim + i, seen.to(dtype), mask=is_real)


@triton.jit
def _combined(
    sums, most, weights, heads, num_parts, i, dim,
    HEADS: tl.constexpr, BLOCK: tl.constexpr, SPLITS: tl.constexpr, TAKEN: tl.constexpr,
):  # fmt: skip
    """What `heads` [HEADS, 1] of a row see in all parts of its past, float32 [HEADS, BLOCK]."""
    top = tl.full((HEADS,), float("-inf"), tl.float32)
    weight = tl.zeros((HEADS,), tl.float32)
    seen = tl.zeros((HEADS, BLOCK), tl.float32)
    for start in range(0, num_parts, TAKEN):
        part = start + tl.arange(0, TAKEN)[None, :]
        at, is_part = heads * SPLITS + part, part < num_parts
        # other blocks wrote them: what this one's multiprocessor holds may be older
        tops = tl.load(most + at, mask=is_part, other=float("-inf"), cache_modifier=".cg")
        shares = tl.load(weights + at, mask=is_part, other=0.0, cache_modifier=".cg")
        place = at[:, :, None] * dim + i[None, :, :]
        parts = tl.load(sums + place, mask=is_part[:, :, None] & (i < dim)[None, :, :], other=0.0, cache_modifier=".cg")
        higher = tl.maximum(top, tl.max(tops, axis=1))
        shrunk, likely = tl.exp(top - higher), tl.exp(tops - higher[:, None])
        seen = seen * shrunk[:, None] + tl.sum(parts * likely[:, :, None], axis=1)
        weight = weight * shrunk + tl.sum(shares * likely, axis=1)
        top = higher
    return seen / weight[:, None]


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
