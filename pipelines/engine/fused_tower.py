"""The layers of the vision tower on NVIDIA GPUs: what stands between its products, in kernels written in Triton.

A layer reads little beside its weights, and all patches of a picture several times: as operations of torch, turning
queries and keys, adding and norming take as long as the products or attention. Here they read and write once: queries
and keys are turned where they lie, and a sum is normed while it is at hand. Products and attention are left to torch.
"""

# ruff: noqa: N803  (constants of a kernel are written in capitals)

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
import triton
import triton.language as tl

from pipelines.engine.lean_tower import Block, FramePlaces, attended, by_frame
from pipelines.engine.rest import Rest


@triton.jit(do_not_specialize=["num_places"])  # or it would be built again for pictures of another size
def turn(
    mixed, cos, sin, num_places,
    HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_HEADS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Turn the queries and keys of one patch by its place in its frame.

    `mixed` [frames x places, 3, HEADS, DIM] holds queries, keys and values; `cos` and signed `sin` are float32
    [places, DIM]. A BLOCK holds half of a head.
    """
    patch = tl.program_id(0).to(tl.int64)
    h, i = tl.arange(0, BLOCK_HEADS)[:, None], tl.arange(0, BLOCK)[None, :]
    half: tl.constexpr = DIM // 2
    is_dim = i < half
    is_real = (h < 2 * HEADS) & is_dim
    own = mixed + patch * (3 * HEADS * DIM) + h * DIM + i
    first = tl.load(own, mask=is_real, other=0.0).to(tl.float32)
    second = tl.load(own + half, mask=is_real, other=0.0).to(tl.float32)
    at = (patch % num_places) * DIM + i
    turned = second * tl.load(sin + at, mask=is_dim, other=0.0) + first * tl.load(cos + at, mask=is_dim, other=0.0)
    at += half
    other = first * tl.load(sin + at, mask=is_dim, other=0.0) + second * tl.load(cos + at, mask=is_dim, other=0.0)
    tl.debug_barrier()  # several threads may hold one number: all have read before one writes
    tl.store(own, turned.to(mixed.dtype.element_ty), mask=is_real)
    tl.store(own + half, other.to(mixed.dtype.element_ty), mask=is_real)


@triton.jit
def add_norm(hidden, addition, weight, bias, out, size, eps, BLOCK: tl.constexpr, HAS_ADDITION: tl.constexpr):
    """One row of `hidden` [rows, size], to which an addition goes in place, as a layer norm has it: in `out`."""
    i = tl.arange(0, BLOCK)
    is_real = i < size
    dtype = hidden.dtype.element_ty
    place = tl.program_id(0).to(tl.int64) * size + i
    factor = tl.load(weight + i, mask=is_real, other=0.0).to(tl.float32)  # both on their way before the sums
    constant = tl.load(bias + i, mask=is_real, other=0.0).to(tl.float32)
    values = tl.load(hidden + place, mask=is_real, other=0.0).to(tl.float32)
    if HAS_ADDITION:
        values += tl.load(addition + place, mask=is_real, other=0.0).to(tl.float32)
        values = values.to(dtype).to(tl.float32)
        tl.debug_barrier()  # as above
        tl.store(hidden + place, values.to(dtype), mask=is_real)
    values = tl.where(is_real, values - tl.sum(values, axis=0) / size, 0.0)
    values = values * tl.rsqrt(tl.sum(values * values, axis=0) / size + eps)
    tl.store(out + place, (values * factor + constant).to(dtype), mask=is_real)


class FusedBlocks:
    """Stands for `lean_tower.Blocks` on a GPU."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks

    def __call__(self, hidden: torch.Tensor, places: FramePlaces, rest: Rest) -> torch.Tensor:
        """As `Blocks`, and overwrites what it is given."""
        # kernels are launched on a thread's current GPU
        with torch.cuda.device(hidden.device) if hidden.device.type == "cuda" else nullcontext():
            addition: torch.Tensor | None = None
            for block in self._blocks:
                rest()
                mixed = block.into(_normed(hidden, addition, block.before))
                _turn(mixed, places, block.heads)
                queries, keys, values = by_frame(mixed, places, block.heads).unbind(2)
                addition = block.out(attended(queries, keys, values))
                addition = block.feed(_normed(hidden, addition, block.between))
            return hidden if addition is None else hidden.add_(addition)


def _turn(mixed: torch.Tensor, places: FramePlaces, heads: int) -> None:
    """Turn queries and keys of `mixed` [frames x patches, 3 x heads x dim], in place."""
    dim = mixed.shape[1] // (3 * heads)
    turn[(len(mixed),)](
        mixed, places.cos, places.sin, len(places.embeddings),
        HEADS=heads, DIM=dim, BLOCK_HEADS=triton.next_power_of_2(2 * heads), BLOCK=triton.next_power_of_2(dim // 2),
        num_warps=4,
    )  # fmt: skip


def _normed(hidden: torch.Tensor, addition: torch.Tensor | None, norm: Any) -> torch.Tensor:
    """The norm of `hidden` [rows, size] with an addition, which goes to `hidden` itself."""
    (rows, size), out = hidden.shape, torch.empty_like(hidden)
    add_norm[(rows,)](
        hidden, hidden if addition is None else addition, norm.weight, norm.bias, out, size, norm.eps,
        BLOCK=triton.next_power_of_2(size), HAS_ADDITION=addition is not None, num_warps=4,
    )  # fmt: skip
    return out
