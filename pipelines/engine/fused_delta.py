"""Gated DeltaNet in kernels for NVIDIA GPUs, written in Triton: a step of many rows, or a piece of a prompt in one.

A step is one kernel. A piece is walked in chunks of `CHUNK` tokens: what the tokens of a chunk write depends on what
those before them wrote, a triangular system, which is solved for all chunks and heads at once, as the chunkwise form of
Gated DeltaNet (Yang et al. 2024) has it. Only the state goes from chunk to chunk.

The kernels of a piece read `numbers` int64 [3]: how many tokens the row holds already, how many of the piece count, and
behind how many of these its states are kept; as many as count say that they are not. The tokens that fill a piece up
change no state, and of a row that holds nothing no state is read. So one launch serves every past and every length up
to its own. The states that they are given begin at the row.

A chunk ends where the states are kept, and the next begins there. So what is said of chunks is addressed by chunk and
step, and there is room for one more of them than the piece needs.

The triangular system and the state are float32; large products are of the model's dtype.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from pipelines.engine.fused import PRECISION, silu, softplus

CHUNK = 64
"""Tokens whose recurrence is one triangular system."""
LEAF = tl.constexpr(16)
"""What tensor cores multiply at least, in each direction."""


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
    query = query * tl.rsqrt(tl.sum(query * query, axis=0) + 1e-6) * tl.rsqrt(key_dim * 1.0)
    key = key * tl.rsqrt(tl.sum(key * key, axis=0) + 1e-6)
    held = held * tl.exp(tl.load(rate + head) * softplus(step))
    change = (value - tl.sum(held * key[:, None], axis=0)) * strength
    held += key[:, None] * change[None, :]
    tl.store(place, held, mask=is_real)
    seen = tl.sum(held * query[:, None], axis=0)
    seen = seen * tl.rsqrt(tl.sum(seen * seen, axis=0) / value_dim + eps)
    seen = seen * tl.load(norm + j, mask=is_value, other=0.0) * silu(gate)
    tl.store(out + (row * num_heads + head) * value_dim + j, seen.to(dtype), mask=is_value)


@triton.jit
def _doubled(solved, system, i, j, LEVEL: tl.constexpr, KIND: tl.constexpr):
    """Inverses of blocks of 2 ** LEVEL on the diagonal become those of blocks twice as large.

    `i` and `j` are the numbers of rows and columns. What `system` holds below the one block and beside the other comes
    between their inverses, and its sign turns.
    """
    is_below = (i >> LEVEL != j >> LEVEL) & (i >> (LEVEL + 1) == j >> (LEVEL + 1))
    below = tl.dot(tl.where(is_below, system, 0.0), solved, input_precision=KIND)
    return solved - tl.dot(solved, below, input_precision=KIND)


@triton.jit
def _inverse(system, KIND: tl.constexpr):
    """The inverse of 1 + `system`, which is float32 [64, 64] and zero on and above its diagonal.

    The inverses of blocks on the diagonal grow, in ten products of which none holds larger numbers than the inverse: as
    safe as row after row, without 63 steps of which each waits for the one before. Blocks of up to LEAF rows are worked
    on side by side, each in a warp of its own.
    """
    size: tl.constexpr = system.shape[0]
    count: tl.constexpr = size // LEAF
    number = tl.arange(0, count)
    is_own = number[:, None, None, None] == number[None, None, :, None]
    own = tl.sum(tl.where(is_own, tl.reshape(system, (count, LEAF, count, LEAF)), 0.0), axis=2)
    i, j = tl.arange(0, LEAF)[None, :, None], tl.arange(0, LEAF)[None, None, :]
    solved = tl.where(i == j, 1.0, tl.where(i // 2 == j // 2, -own, 0.0))
    for level in tl.static_range(1, 4):
        solved = _doubled(solved, own, i, j, level, KIND)
    i, j = tl.arange(0, size)[:, None], tl.arange(0, size)[None, :]
    whole = tl.reshape(tl.where(is_own, solved[:, :, None, :], 0.0), (size, size))
    for level in tl.static_range(4, 6):
        whole = _doubled(whole, system, i, j, level, KIND)
    return whole


@triton.jit
def _unit(vectors):
    """Vectors float32 [tokens, numbers] of length 1."""
    return vectors * tl.rsqrt(tl.sum(vectors * vectors, axis=1) + 1e-6)[:, None]


@triton.jit
def prepare(
    given, mixed, numbers, rate, bias, queries, keys, reads, writes, within, left,
    num_conv, width, size, num_heads, group, key_dim, value_dim,
    CHUNK: tl.constexpr, BLOCK_KEY: tl.constexpr, BLOCK_VALUE: tl.constexpr, KIND: tl.constexpr,
):  # fmt: skip
    """What the walk needs of one chunk and one head, none of which depends on the state.

    `given` [tokens, num_conv] holds convolved queries, keys and values, `mixed` [tokens, width] behind its own of these
    gates, strengths and steps of the decay. Out come `queries`, `keys` and `reads` [heads, size, key_dim], `writes`
    [heads, size, value_dim], `within` [heads, size, CHUNK] and, of the whole chunk, `left` float32 [heads, chunks],
    where `size` is that of all chunks. KIND is how exact the products are that invert the system.
    """
    dtype = queries.dtype.element_ty
    chunk, head = tl.program_id(0), tl.program_id(1)
    count, keep = tl.load(numbers + 1).to(tl.int32), tl.load(numbers + 2).to(tl.int32)
    num_kept = tl.cdiv(keep, CHUNK)
    is_behind = chunk >= num_kept
    first = tl.where(is_behind, keep + (chunk - num_kept) * CHUNK, chunk * CHUNK)
    if first >= count:
        return
    steps, i, j = tl.arange(0, CHUNK), tl.arange(0, BLOCK_KEY)[None, :], tl.arange(0, BLOCK_VALUE)[None, :]
    t = first + steps
    is_real = t < tl.where(is_behind, count, keep)
    num_keys = num_heads // group * key_dim
    pair = mixed + t * width + num_conv + num_heads * value_dim + head
    strength = tl.sigmoid(tl.load(pair, mask=is_real, other=0.0).to(tl.float32))
    strength = tl.where(is_real, strength, 0.0)
    step = tl.load(pair + num_heads, mask=is_real, other=0.0).to(tl.float32) + tl.load(bias + head)
    decay = tl.where(is_real, tl.load(rate + head) * softplus(step), 0.0)
    since, whole = tl.cumsum(decay, axis=0), tl.sum(decay, axis=0)
    tl.store(left + head * (size // CHUNK) + chunk, tl.exp(whole))

    line = (head * size + chunk * CHUNK + steps)[:, None]
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
    inverse = _inverse(tl.where(steps[:, None] > steps[None, :], system, 0.0), KIND) * strength[None, :]

    read = tl.dot((inverse * tl.exp(since)[None, :]).to(dtype), key, input_precision=PRECISION).to(dtype)
    tl.store(reads + line * key_dim + i, read, mask=i < key_dim)
    is_value = is_real[:, None] & (j < value_dim)
    value = tl.load(given + t[:, None] * num_conv + 2 * num_keys + head * value_dim + j, mask=is_value, other=0.0)
    write = tl.dot(inverse.to(dtype), value, input_precision=PRECISION).to(dtype)
    tl.store(writes + line * value_dim + j, write, mask=j < value_dim)


@triton.jit
def _walked(
    held, queries, keys, reads, writes, within, left, seen, head, chunk, start, end, j, size, num_heads, key_dim,
    value_dim, CHUNK: tl.constexpr, BLOCK_KEY: tl.constexpr,
):  # fmt: skip
    """The columns `j` of a state through the tokens from `start` to `end`, the first of them that of a `chunk`."""
    dtype = queries.dtype.element_ty
    steps, i = tl.arange(0, CHUNK), tl.arange(0, BLOCK_KEY)
    is_key, is_value = (i < key_dim)[None, :], (j < value_dim)[None, :]
    left += head * (size // CHUNK) + chunk
    line = head * size + chunk * CHUNK + steps
    after = tl.load(left)
    for done in range(0, end - start, CHUNK):
        at_key = (line + done)[:, None] * key_dim + i[None, :]
        at_value = (line + done)[:, None] * value_dim + j[None, :]
        lasting, before = after, held.to(dtype)
        # before anything is stored, as a load would wait behind it: so much is left of the next chunk's state
        after = tl.load(left + tl.minimum(done // CHUNK + 1, (end - start - 1) // CHUNK))
        read = tl.load(reads + at_key, mask=is_key, other=0.0)
        write = tl.load(writes + at_value, mask=is_value, other=0.0).to(tl.float32)
        change = (write - tl.dot(read, before, input_precision=PRECISION)).to(dtype)
        key = tl.load(keys + at_key, mask=is_key, other=0.0)
        held = tl.dot(tl.trans(key), change, held * lasting, input_precision=PRECISION)
        query = tl.load(queries + at_key, mask=is_key, other=0.0)
        share = tl.load(within + (line + done)[:, None] * CHUNK + steps[None, :])
        found = tl.dot(query, before, input_precision=PRECISION)
        found = tl.dot(share, change, found, input_precision=PRECISION)
        t = start + done + steps
        at = (t[:, None] * num_heads + head) * value_dim + j[None, :]
        tl.store(seen + at, found.to(dtype), mask=(t < end)[:, None] & is_value)
    return held


@triton.jit
def walk(
    queries, keys, reads, writes, within, left, numbers, state, kept, seen, size, num_heads, key_dim, value_dim,
    CHUNK: tl.constexpr, BLOCK_KEY: tl.constexpr, BLOCK_VALUE: tl.constexpr,
):  # fmt: skip
    """Some columns of the state [heads, key_dim, value_dim] of one head through all chunks, see `prepare`.

    What the tokens see on the way goes to `seen` [tokens, heads, value_dim], and the state to `kept`, of its shape,
    where it is kept.
    """
    head = tl.program_id(0)
    i = tl.arange(0, BLOCK_KEY)
    j = tl.program_id(1) * BLOCK_VALUE + tl.arange(0, BLOCK_VALUE)
    count, keep = tl.load(numbers + 1).to(tl.int32), tl.load(numbers + 2).to(tl.int32)
    num_held_keys = tl.where(tl.load(numbers) > 0, key_dim, 0)
    is_value = (j < value_dim)[None, :]
    place = (head * key_dim + i[:, None]) * value_dim + j[None, :]
    is_real = (i < key_dim)[:, None] & is_value
    held = tl.load(state + place, mask=(i < num_held_keys)[:, None] & is_value, other=0.0)
    held = _walked(
        held, queries, keys, reads, writes, within, left, seen, head, 0, 0, keep, j, size, num_heads, key_dim,
        value_dim, CHUNK, BLOCK_KEY,
    )  # fmt: skip
    if keep < count:
        tl.store(kept + place, held, mask=is_real)
        held = _walked(
            held, queries, keys, reads, writes, within, left, seen, head, tl.cdiv(keep, CHUNK), keep, count, j, size,
            num_heads, key_dim, value_dim, CHUNK, BLOCK_KEY,
        )  # fmt: skip
    tl.store(state + place, held, mask=is_real)


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
    values = values * tl.load(norm + i, mask=i < dim, other=0.0) * silu(strength)
    tl.store(out + line * dim + i, values.to(dtype), mask=(line < num_lines) & (i < dim))
