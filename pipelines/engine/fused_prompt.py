"""A piece of a prompt in a handful of kernels a layer, for NVIDIA GPUs, written in Triton.

What multiplies by weights is left to torch; here is what lies between. The recurrence is walked in chunks of `CHUNK`
tokens: what the tokens of a chunk write depends on what those before them wrote, a triangular system, which is solved
for all chunks and heads at once, as the chunkwise form of Gated DeltaNet (Yang et al. 2024) has it. Only the state goes
from chunk to chunk. The attention is that of FlashAttention (Dao et al. 2022) over the row's caches.

All kernels read `numbers` int64 [2]: how many tokens the row holds already, and how many of the piece count. The
others, which fill it up, change no state, and of a row that holds nothing no state is read. So one launch serves every
past and every length up to its own. Tensors of states and caches begin at the row.

The triangular system and the state are float32; large products are of the model's dtype.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import triton
import triton.language as tl

CHUNK = 64
"""Tokens whose recurrence is one triangular system."""
PRECISION = tl.constexpr("tf32x3")
"""Of products of float32, on tensor cores: that of float32 but for the last bits. Shorter numbers are as they are."""


@triton.jit
def convolve(mixed, numbers, conv, taps, out, width, num_conv, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr):
    """The first `num_conv` columns of mixed [tokens, width] convolved by `taps` [num_conv, 4], and through SiLU.

    Before the first token stand the last inputs in the state `conv` [num_conv, 4], which takes up the last four.
    """
    dtype = out.dtype.element_ty
    count = tl.load(numbers + 1).to(tl.int32)
    oldest = tl.where(tl.load(numbers) > 0, -4, 0)
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)[None, :]
    t = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    is_channel = c < num_conv
    total = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    for tap in tl.static_range(4):
        at = t + (tap - 3)
        given = tl.load(mixed + at * width + c, mask=(at >= 0) & (at < count) & is_channel, other=0.0)
        before = tl.load(conv + c * 4 + (at + 4), mask=(at < 0) & (at >= oldest) & is_channel, other=0.0)
        value = tl.where(at < 0, before, given).to(tl.float32)
        total += value * tl.load(taps + c * 4 + tap, mask=is_channel, other=0.0).to(tl.float32)
    total = total.to(dtype).to(tl.float32)
    tl.store(out + t * num_conv + c, (total * tl.sigmoid(total)).to(dtype), mask=(t < count) & is_channel)
    if tl.program_id(1) == 0:  # nobody else reads the state
        slot = tl.arange(0, 4)[:, None]
        source = count - 4 + slot
        newer = tl.load(mixed + source * width + c, mask=(source >= 0) & is_channel, other=0.0)
        older = tl.load(conv + c * 4 + (source + 4), mask=(source < 0) & (source >= oldest) & is_channel, other=0.0)
        tl.debug_barrier()  # several threads may hold one number: all have read before one writes
        tl.store(conv + c * 4 + slot, tl.where(source < 0, older, newer), mask=is_channel)


@triton.jit
def _inverse(system, SIZE: tl.constexpr):
    """The inverse of 1 + `system`, which is float32 [SIZE, SIZE] and zero on and above its diagonal.

    Both halves on the diagonal are solved row by row, side by side; what stands below follows from them.
    """
    size: tl.constexpr = SIZE // 2
    half, line = tl.arange(0, 2), tl.arange(0, size)
    parts = tl.reshape(system, (2, size, 2, size))
    is_own = half[:, None, None, None] == half[None, None, :, None]
    own = tl.sum(tl.where(is_own, parts, 0.0), axis=2)
    solved = tl.where((half[:, None, None] >= 0) & (line[None, :, None] == line[None, None, :]), 1.0, 0.0)
    for number in range(size - 1):
        column = tl.sum(tl.where(line[None, None, :] == number, own, 0.0), axis=2)
        row = tl.sum(tl.where(line[None, :, None] == number, solved, 0.0), axis=1)
        solved -= column[:, :, None] * row[:, None, :]
    first = tl.sum(tl.where(half[:, None, None] == 0, solved, 0.0), axis=0)
    second = tl.sum(tl.where(half[:, None, None] == 1, solved, 0.0), axis=0)
    below = tl.sum(tl.sum(tl.where(is_own, 0.0, parts), axis=2), axis=0)
    below = tl.dot(second, below, input_precision=PRECISION)
    below = tl.dot(below, first, input_precision=PRECISION)
    is_below = (half[:, None, None, None] == 1) & (half[None, None, :, None] == 0)
    whole = tl.where(is_own, solved[:, :, None, :], tl.where(is_below, -below[None, :, None, :], 0.0))
    return tl.reshape(whole, (SIZE, SIZE))


@triton.jit
def _unit(vectors):
    """Vectors float32 [tokens, numbers] of length 1."""
    return vectors * tl.rsqrt(tl.sum(vectors * vectors, axis=1) + 1e-6)[:, None]


@triton.jit
def prepare(
    given, mixed, numbers, rate, bias, queries, keys, reads, writes, within, left,
    num_conv, width, size, num_heads, group, key_dim, value_dim,
    CHUNK: tl.constexpr, BLOCK_KEY: tl.constexpr, BLOCK_VALUE: tl.constexpr,
):  # fmt: skip
    """What the walk needs of one chunk and one head, none of which depends on the state.

    `given` [tokens, num_conv] holds convolved queries, keys and values, `mixed` [tokens, width] behind its own of these
    gates, strengths and steps of the decay. Out come `queries`, `keys` and `reads` [heads, size, key_dim], `writes`
    [heads, size, value_dim], `within` [heads, size, CHUNK] and, of the whole chunk, `left` float32 [heads, chunks].
    """
    dtype = queries.dtype.element_ty
    chunk, head = tl.program_id(0), tl.program_id(1)
    count = tl.load(numbers + 1).to(tl.int32)
    if chunk * CHUNK >= count:
        return
    steps, i, j = tl.arange(0, CHUNK), tl.arange(0, BLOCK_KEY)[None, :], tl.arange(0, BLOCK_VALUE)[None, :]
    t = chunk * CHUNK + steps
    is_real = t < count
    num_keys = num_heads // group * key_dim
    pair = mixed + t * width + num_conv + num_heads * value_dim + head
    strength = tl.sigmoid(tl.load(pair, mask=is_real, other=0.0).to(tl.float32))
    strength = tl.where(is_real, strength, 0.0)
    step = tl.load(pair + num_heads, mask=is_real, other=0.0).to(tl.float32) + tl.load(bias + head)
    step = tl.where(step > 20.0, step, tl.log(1.0 + tl.exp(tl.minimum(step, 20.0))))
    decay = tl.where(is_real, tl.load(rate + head) * step, 0.0)
    since, whole = tl.cumsum(decay, axis=0), tl.sum(decay, axis=0)
    tl.store(left + head * (size // CHUNK) + chunk, tl.exp(whole))

    line = (head * size + t)[:, None]
    own = given + t[:, None] * num_conv + head // group * key_dim + i
    is_key = is_real[:, None] & (i < key_dim)
    key = _unit(tl.load(own + num_keys, mask=is_key, other=0.0).to(tl.float32))
    tl.store(keys + line * key_dim + i, (key * tl.exp(whole - since)[:, None]).to(dtype), mask=i < key_dim)
    key = key.to(dtype)
    query = _unit(tl.load(own, mask=is_key, other=0.0).to(tl.float32)) * tl.rsqrt(key_dim * 1.0)
    tl.store(queries + line * key_dim + i, (query * tl.exp(since)[:, None]).to(dtype), mask=i < key_dim)
    is_past = steps[:, None] >= steps[None, :]
    between = tl.exp(tl.where(is_past, since[:, None] - since[None, :], float("-inf")))
    seen = tl.dot(query.to(dtype), tl.trans(key), input_precision=PRECISION) * between
    tl.store(within + line * CHUNK + steps[None, :], seen.to(dtype))
    system = tl.dot(key, tl.trans(key), input_precision=PRECISION) * between * strength[:, None]
    inverse = _inverse(tl.where(steps[:, None] > steps[None, :], system, 0.0), CHUNK).to(dtype)

    key = _unit(tl.load(own + num_keys, mask=is_key, other=0.0).to(tl.float32))  # read again: registers are few
    key = (key * (strength * tl.exp(since))[:, None]).to(dtype)
    read = tl.dot(inverse, key, input_precision=PRECISION).to(dtype)
    tl.store(reads + line * key_dim + i, read, mask=i < key_dim)
    is_value = is_real[:, None] & (j < value_dim)
    value = tl.load(given + t[:, None] * num_conv + 2 * num_keys + head * value_dim + j, mask=is_value, other=0.0)
    value = (value.to(tl.float32) * strength[:, None]).to(dtype)
    write = tl.dot(inverse, value, input_precision=PRECISION).to(dtype)
    tl.store(writes + line * value_dim + j, write, mask=j < value_dim)


@triton.jit
def walk(
    queries, keys, reads, writes, within, left, numbers, state, seen, size, num_heads, key_dim, value_dim,
    CHUNK: tl.constexpr, BLOCK_KEY: tl.constexpr, BLOCK_VALUE: tl.constexpr,
):  # fmt: skip
    """Some columns of the state [heads, key_dim, value_dim] of one head through all chunks, see `prepare`.

    What the tokens see on the way goes to `seen` [tokens, heads, value_dim].
    """
    dtype = queries.dtype.element_ty
    head = tl.program_id(0)
    steps, i = tl.arange(0, CHUNK), tl.arange(0, BLOCK_KEY)
    j = tl.program_id(1) * BLOCK_VALUE + tl.arange(0, BLOCK_VALUE)
    count = tl.load(numbers + 1).to(tl.int32)
    num_held_keys = tl.where(tl.load(numbers) > 0, key_dim, 0)
    is_key, is_value = (i < key_dim)[None, :], (j < value_dim)[None, :]
    place = state + (head * key_dim + i[:, None]) * value_dim + j[None, :]
    is_real = (i < key_dim)[:, None] & is_value
    held = tl.load(place, mask=(i < num_held_keys)[:, None] & is_value, other=0.0)
    for start in range(0, count, CHUNK):
        t = start + steps
        at_key = (head * size + t)[:, None] * key_dim + i[None, :]
        at_value = (head * size + t)[:, None] * value_dim + j[None, :]
        before = held.to(dtype)
        read = tl.load(reads + at_key, mask=is_key, other=0.0)
        write = tl.load(writes + at_value, mask=is_value, other=0.0).to(tl.float32)
        change = (write - tl.dot(read, before, input_precision=PRECISION)).to(dtype)
        query = tl.load(queries + at_key, mask=is_key, other=0.0)
        share = tl.load(within + (head * size + t)[:, None] * CHUNK + steps[None, :])
        found = tl.dot(query, before, input_precision=PRECISION)
        found = tl.dot(share, change, found, input_precision=PRECISION)
        at = (t[:, None] * num_heads + head) * value_dim + j[None, :]
        tl.store(seen + at, found.to(dtype), mask=(t < count)[:, None] & is_value)
        key = tl.load(keys + at_key, mask=is_key, other=0.0)
        held = held * tl.load(left + head * (size // CHUNK) + start // CHUNK)
        held = tl.dot(tl.trans(key), change, held, input_precision=PRECISION)
    tl.store(place, held, mask=is_real)


@triton.jit
def gate(
    seen, mixed, numbers, norm, out, width, num_conv, num_lines, num_heads, dim, eps,
    BLOCK_T: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """What heads of tokens see, `num_lines` of [dim], normed, times `norm` and the SiLU of its gate in `mixed`.

    Zero comes out for tokens that do not count.
    """
    dtype = out.dtype.element_ty
    line = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    i = tl.arange(0, BLOCK)[None, :]
    is_counted = (line < tl.load(numbers + 1).to(tl.int32) * num_heads) & (i < dim)
    values = tl.load(seen + line * dim + i, mask=is_counted, other=0.0).to(tl.float32)
    values = values * tl.rsqrt(tl.sum(values * values, axis=1) / dim + eps)[:, None]
    side = mixed + line // num_heads * width + num_conv + line % num_heads * dim + i
    strength = tl.load(side, mask=is_counted, other=0.0).to(tl.float32)
    values = values * tl.load(norm + i, mask=i < dim, other=0.0) * strength * tl.sigmoid(strength)
    tl.store(out + line * dim + i, values.to(dtype), mask=(line < num_lines) & (i < dim))


@triton.jit
def place(
    mixed, numbers, norms, cosines, sines, partners, queries, keys, values,
    num_tokens, capacity, num_heads, num_keys, dim, eps, BLOCK_T: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One head of some tokens: queries normed and turned, or keys likewise, or values, which go to their caches.

    `mixed` [tokens, ...] holds each query with its gate behind it, then the keys, then the values. `queries` are
    [tokens, heads, dim], the caches [key heads, capacity, dim].
    """
    dtype = queries.dtype.element_ty
    head = tl.program_id(0)
    t, i = tl.program_id(1) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None], tl.arange(0, BLOCK)[None, :]
    is_real, is_counted = (t < num_tokens) & (i < dim), (t < tl.load(numbers + 1).to(tl.int32)) & (i < dim)
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
def look_back(
    queries, keys, values, numbers, mixed, out, capacity, num_heads, num_keys, dim, factor,
    GROUP: tl.constexpr, BLOCK: tl.constexpr, BLOCK_T: tl.constexpr, PLACES: tl.constexpr,
):  # fmt: skip
    """What some tokens see with one head of what stands up to each of them, times the sigmoid of their gates.

    `queries` [tokens, heads, dim], `keys` and `values` [key heads, capacity, dim]. `mixed` holds each query with its
    gate behind it, then the keys, then the values. `out` has room for whole blocks; zero comes out for one without a
    token that counts, and some number for the others that do not.
    """
    dtype = out.dtype.element_ty
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
    for start in range(0, end, PLACES):
        place = start + steps
        at_place = place[:, None] * dim + i[None, :]
        mask = (place < end)[:, None] & is_real[None, :]
        key = tl.load(keys + at_place, mask=mask, other=0.0)
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * factor
        scores = tl.where((place[None, :] <= held + t[:, None]) & (place < end)[None, :], scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, axis=1))
        likely = tl.exp(scores - higher[:, None])
        shrunk = tl.exp(top - higher)
        weight = weight * shrunk + tl.sum(likely, axis=1)
        value = tl.load(values + at_place, mask=mask, other=0.0)
        acc = tl.dot(likely.to(dtype), value, acc * shrunk[:, None], input_precision=PRECISION)
        top = higher
    seen = (acc / tl.where(weight > 0.0, weight, 1.0)[:, None]).to(dtype).to(tl.float32)
    side = mixed + t[:, None] * (2 * (num_heads + num_keys) * dim) + (2 * head + 1) * dim + i[None, :]
    strength = tl.sigmoid(tl.load(side, mask=is_query, other=0.0).to(tl.float32)).to(dtype).to(tl.float32)
    tl.store(out + at, (seen * strength).to(dtype), mask=is_real[None, :])


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
    first = (first * tl.sigmoid(first)).to(dtype).to(tl.float32)
    tl.store(out + t * size + i, (first * second).to(dtype), mask=is_real)
