"""The decode step out of the kernels of `pipelines.engine.fused`: five a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import triton

from pipelines.engine import fused, fused_attention, fused_delta, fused_entry
from pipelines.engine.attention import Attention
from pipelines.engine.delta import GatedDelta
from pipelines.engine.fused import can_overlap
from pipelines.engine.lean import Feed, LeanStack
from pipelines.engine.norms import Norm
from pipelines.engine.slots import SlotCache
from pipelines.engine.tiles import Tile, tile_for
from pipelines.engine.weights import Matrix

FEW_HEADS = 16
"""Heads of Gated DeltaNet up to which a recurrence is quicker with four warps for each than with eight."""


class FusedStep:
    """Stands for `LeanStack.step` on a GPU, over the same slots and weights."""

    def __init__(self, stack: LeanStack, slots: SlotCache, tiles: Callable[..., Tile] = tile_for) -> None:
        self._stack, self._slots, self._tile_for = stack, slots, tiles
        device = stack.embed.device
        self.overlaps = can_overlap(device)
        key_heads = [layer.mixer.key_heads for layer in stack.layers if isinstance(layer.mixer, Attention)]
        # each kernel that counts in it leaves zeros
        self._arrived = torch.zeros(slots.rows, max(key_heads, default=0), dtype=torch.int32, device=device)

    def __call__(self, given: torch.Tensor, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """As `LeanStack.step`, whatever the rows hold: logits [rows, vocabulary] for `given` int64 [3, rows].

        Where a token is below 0 that of `chosen` int64 [rows] is taken, and written into `given`.
        """
        hidden, turns = self._entered(given, chosen)
        stack, held = self._stack, given[1]
        for index, layer in enumerate(stack.layers):
            if isinstance(layer.mixer, GatedDelta):
                seen = self._recurred(hidden, layer.before, layer.mixer, index)
            else:
                seen = self._attended(hidden, layer.before, layer.mixer, index, held, turns)
            self._add(hidden, seen, layer.mixer.out)
            assert isinstance(layer.feed, Feed)
            fed = hidden.new_empty(len(hidden), layer.feed.down.weight.shape[1])
            self._multiply(hidden, layer.feed.up, fed, layer.between, kind=fused.GATE)
            self._add(hidden, fed, layer.feed.down)
        logits = hidden.new_empty(len(hidden), stack.head.weight.shape[0])
        self._multiply(hidden, stack.head, logits, stack.norm)
        return logits

    def _entered(
        self, given: torch.Tensor, chosen: torch.Tensor | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The embeddings [rows, hidden], and cosines and signed sines [rows, head_dim] of the positions."""
        tokens, _, positions = given
        embed, rotary, rows = self._stack.embed, self._stack.rotary, len(tokens)
        size, dim, block = embed.shape[1], len(rotary.frequencies), fused_entry.BLOCK
        hidden, turns = embed.new_empty(rows, size), embed.new_empty(2, rows, dim)
        # not before what was begun before the step has ended: later kernels read what the caches held without a wait
        fused_entry.enter[rows, -(-size // block) + 1](
            tokens, tokens if chosen is None else chosen, positions, embed, rotary.frequencies, rotary.signs,
            hidden, turns[0], turns[1], size, dim,
            BLOCK=block, BLOCK_TURN=triton.next_power_of_2(dim), OVERLAP=self.overlaps, num_warps=4,
        )  # fmt: skip
        return hidden, (turns[0], turns[1])

    def _recurred(self, hidden: torch.Tensor, norm: Norm, mixer: GatedDelta, index: int) -> torch.Tensor:
        """What a layer of Gated DeltaNet sees, [rows, heads x head_dim]."""
        rows, (conv, state) = len(hidden), self._slots.layers[index]
        mixed = hidden.new_empty(rows, mixer.into.weight.shape[0])
        self._multiply(hidden, mixer.into, mixed, norm, kind=fused.CONV, conv=conv, taps=mixer.kernel)
        seen = hidden.new_empty(rows, mixer.heads * mixer.value_dim)
        sizes = (mixer.heads, mixer.heads // mixer.key_heads, mixer.key_dim, mixer.value_dim)
        blocks = {
            "BLOCK_KEY": triton.next_power_of_2(mixer.key_dim),
            "BLOCK_VALUE": triton.next_power_of_2(mixer.value_dim),
        }
        arguments = (mixed, state, mixer.rate, mixer.bias, mixer.norm, seen, mixed.shape[1], *sizes, mixer.eps)
        warps = 4 if mixer.heads <= FEW_HEADS else 8
        self._launch(fused_delta.recur, (mixer.heads, rows), *arguments, **blocks, num_warps=warps)
        return seen

    def _attended(
        self, hidden: torch.Tensor, norm: Norm, mixer: Attention, index: int, held: torch.Tensor, turns: Any
    ) -> torch.Tensor:
        """What a layer of attention sees, [rows, heads x head_dim]."""
        rows, (keys, values), dim = len(hidden), self._slots.layers[index], mixer.dim
        mixed = hidden.new_empty(rows, mixer.into.weight.shape[0])
        self._multiply(hidden, mixer.into, mixed, norm)
        splits, group = fused_attention.SPLITS, mixer.heads // mixer.key_heads
        sums = hidden.new_empty((rows, mixer.heads, splits, dim), dtype=torch.float32)
        most, weights = (sums.new_empty(rows, mixer.heads, splits) for _ in range(2))
        seen = hidden.new_empty(rows, mixer.heads * dim)
        heads = triton.next_power_of_2(group)
        self._launch(
            fused_attention.attend, (mixer.key_heads, rows, splits),
            mixed, held, mixer.norms, *turns, self._stack.rotary.partners, keys, values,
            sums, most, weights, self._arrived, seen, keys.shape[2], mixer.key_heads, dim, mixer.eps, mixer.scale,
            GROUP=group, HEADS=heads, PAD=max(16, heads), BLOCK=triton.next_power_of_2(dim),
            PLACES=fused_attention.PLACES, SPLITS=splits, TAKEN=fused_attention.TAKEN, num_warps=4,
        )  # fmt: skip
        return seen

    def _launch(self, kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
        if self.overlaps:
            constants["launch_pdl"] = True
        kernel[grid](*arguments, **constants, OVERLAP=self.overlaps)

    def _add(self, hidden: torch.Tensor, values: torch.Tensor, matrix: Matrix) -> None:
        """Add a product to `hidden`, in place."""
        self._multiply(values, matrix, hidden, kind=fused.ADD)

    def _multiply(
        self,
        values: torch.Tensor,
        matrix: Matrix,
        out: torch.Tensor,
        norm: Norm | None = None,
        *,
        kind: int = fused.PLAIN,
        conv: torch.Tensor | None = None,
        taps: torch.Tensor | None = None,
    ) -> None:
        rows, num_k = values.shape
        num_n = out.shape[1]
        num_lines = 2 * num_n if kind == fused.GATE else num_n
        tile = self._tile_for(rows, num_lines, num_k, has_norm=norm is not None)
        if norm is not None and rows > 1:
            given, values = values, torch.empty_like(values)
            block = triton.next_power_of_2(num_k)
            self._launch(fused.normed, (rows,), given, norm.given, values, num_k, norm.eps, BLOCK=block, num_warps=4)
            norm = None
        scale = matrix.weight if matrix.scale is None else matrix.scale
        weight_of_norm, eps = (matrix.weight, 0.0) if norm is None else (norm.given, norm.eps)
        num_conv = 0 if conv is None else conv.shape[1]
        self._launch(
            fused.product, (-(-num_lines // tile.outputs),),
            values, matrix.weight, scale, weight_of_norm, out,
            out if conv is None else conv, out if taps is None else taps, rows, num_n, num_k, num_conv, eps,
            PAD=tile.rows, BLOCK_N=tile.outputs, BLOCK_K=tile.inputs, DEPTH=tile.depth,
            HAS_NORM=norm is not None, HAS_SCALE=matrix.scale is not None, KIND=kind,
            num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip
