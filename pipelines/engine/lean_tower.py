"""The vision tower in few operations, over the weights of transformers' model.

transformers embeds patches by a convolution whose kernel is a patch, which libraries are slow at: here it is the
product that it amounts to. The frames of a clip are of one size, so that they look at themselves as one batch, and what
depends on that size alone is made once. A bias or a GELU is no operation of its own where it need not be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.affine import affine, affine_gelu
from pipelines.engine.rest import Rest, no_rest
from pipelines.engine.sending import sent
from pipelines.inputs import Grid

GELU_BY_TANH = "gelu_pytorch_tanh"


@dataclass(frozen=True, eq=False)
class FramePlaces:
    """What the patches of a frame get by their place: embeddings [patches, hidden], and how queries and keys turn.

    `cos` and signed `sin` are float32 [patches, 1, 1, head_dim].
    """

    embeddings: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor

    @property
    def num_bytes(self) -> int:
        """What the tensors take."""
        return self.embeddings.nbytes + self.cos.nbytes + self.sin.nbytes


Layers = Callable[[torch.Tensor, FramePlaces, Rest], torch.Tensor]
"""What all layers make of hidden states [frames x patches, hidden], which they may overwrite."""


class LeanTower:
    """Stands for a `Qwen3_5VisionModel`, whose layers something else than `Blocks` may run."""

    def __init__(self, tower: Any, layers: Callable[[Sequence[Block]], Layers] | None = None) -> None:
        self._tower = tower
        projection = tower.patch_embed.proj
        self._into, self._bias = projection.weight.detach().flatten(1), projection.bias.detach()
        self._blocks = [Block(block, tower.config.hidden_act) for block in tower.blocks]
        self._layers: Layers = (layers or Blocks)(self._blocks)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self._into.device
        return device

    def places(self, grid: Grid) -> FramePlaces:
        """Of the frames of a grid of frames, lines and columns of patches; the order is that of visual tokens."""
        from transformers import vision_utils

        tower, device = self._tower, self._into.device
        # by the host: a GPU is slower at some hundred small operations
        frame, merge = torch.tensor([[1, *grid[1:]]]), tower.config.spatial_merge_size
        indices, weights = vision_utils.get_vision_interpolation_indices_and_weights(
            frame,
            num_grid_per_side=tower.num_grid_per_side,
            mode=tower.interpolation_mode,
            align_corners=tower.interpolation_align_corners,
            spatial_merge_size=merge,
        )
        indices, weights = sent(indices, device), sent(weights, device)
        embeddings = (tower.pos_embed(indices) * weights[:, :, None]).sum(1).to(self._into.dtype)
        positions = sent(vision_utils.get_vision_position_ids(frame, merge), device)
        cos, sin = (turn[:, None, None].float() for turn in tower.rotary_pos_emb(embeddings, positions))
        first, second = sin.chunk(2, dim=-1)
        return FramePlaces(embeddings, cos, torch.cat([-first, second], dim=-1))

    def __call__(self, patches: torch.Tensor, places: FramePlaces, rest: Rest = no_rest) -> torch.Tensor:
        """Features [visual tokens, hidden] of patches [frames x patches, numbers]; it may `rest` between two layers."""
        hidden = F.linear(patches.to(self._into.dtype), self._into, self._bias)
        hidden = (hidden.view(-1, *places.embeddings.shape) + places.embeddings).flatten(0, 1)
        features: torch.Tensor = self._tower.merger(self._layers(hidden, places, rest))
        return features

    def patches(self, num_patches: int) -> torch.Tensor:
        """Random ones, the same each time, [patches, numbers]: of no picture, but of its range."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(num_patches, self._into.shape[1], generator=generator).to(self._into.device)


class Blocks:
    """The layers, one after another."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks

    def __call__(self, hidden: torch.Tensor, places: FramePlaces, rest: Rest) -> torch.Tensor:
        """It may `rest` before each of them."""
        for block in self._blocks:
            rest()
            hidden = block(hidden, places)
        return hidden


class Block:
    """A layer: the patches of a frame look at each other, then each makes something of itself, each behind a norm."""

    def __init__(self, block: Any, activation: str) -> None:
        self.before, self.between, self.heads = block.norm1, block.norm2, block.attn.num_heads
        self.into, self.out = affine(block.attn.qkv), affine(block.attn.proj)
        self.feed = _Feed(block.mlp) if activation == GELU_BY_TANH else block.mlp

    def __call__(self, hidden: torch.Tensor, places: FramePlaces) -> torch.Tensor:
        """What it makes of hidden states [frames x patches, hidden]."""
        hidden = hidden + self.out(self._seen(self.into(self.before(hidden)), places))
        hidden += self.feed(self.between(hidden))
        return hidden

    def _seen(self, mixed: torch.Tensor, places: FramePlaces) -> torch.Tensor:
        """What patches see, [frames x patches, hidden], of their queries, keys and values, side by side."""
        mixed = by_frame(mixed, places, self.heads)
        turning, values = mixed[:, :, :2].float(), mixed[:, :, 2]
        first, second = turning.chunk(2, dim=-1)
        turned = torch.cat([second, first], dim=-1).mul_(places.sin).addcmul_(turning, places.cos)
        queries, keys = turned.to(mixed.dtype).unbind(2)
        return attended(queries, keys, values)


def by_frame(mixed: torch.Tensor, places: FramePlaces, heads: int) -> torch.Tensor:
    """Queries, keys and values of patches, [frames x patches, 3 x heads x dim], as [frames, patches, 3, heads, dim]."""
    return mixed.view(-1, len(places.embeddings), 3, heads, mixed.shape[-1] // (3 * heads))


def attended(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """What patches see of those of their frame, [frames x patches, hidden]; each is [frames, patches, heads, dim]."""
    queries, keys, values = (one.transpose(1, 2) for one in (queries, keys, values))
    seen = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2)
    return seen.reshape(-1, seen.shape[2] * seen.shape[3])


class _Feed:
    """What a patch makes of itself: two products, and a GELU by tanh between them."""

    def __init__(self, module: Any) -> None:
        self._up, self._down = affine_gelu(module.linear_fc1), affine(module.linear_fc2)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._down(self._up(hidden))
