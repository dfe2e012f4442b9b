"""The text layers in as few operations as plain torch allows: one token for every running row, or a piece of a prompt.

A step of transformers' layers runs hundreds of small operations, and for a small model these, not the weights, are what
it costs; a piece of a few tokens pays for a whole chunk of the recurrence. Here the projections that read the same
input are one product, states change in place, and a piece costs what its tokens do. The weights are those of the model,
see `pipelines.engine.weights`: none is held twice but an embedding that is also the head, where that is held otherwise.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.attention import Attention
from pipelines.engine.delta import GatedDelta
from pipelines.engine.experts import Experts
from pipelines.engine.norms import Norm
from pipelines.engine.placement import Put
from pipelines.engine.places import Keep, PieceSpan, Rotary, Rows
from pipelines.engine.rest import Rest, no_rest
from pipelines.engine.slots import SlotCache, Window
from pipelines.engine.weights import Held, joined


class LeanStack:
    """The layers of a `qwen3_5` or `qwen3_5_moe` text model over its slots.

    `has_experts` says that which weights are read depends on the tokens: on a CPU such a step is another one each time.
    Each part of the model is `put` where it belongs just before its weights are joined, which may make them smaller.
    It gets its `slots` once the weights are held as they will be: how many there are depends on what that leaves.
    """

    slots: SlotCache

    def __init__(self, model: Any, weights: Held, put: Put) -> None:
        text = model.model.language_model
        put(model.lm_head)  # the largest of all comes while nothing else is there
        self.head = joined([model.lm_head], weights)
        for part in (text.embed_tokens, text.rotary_emb, text.norm):
            put(part)
        self.embed = text.embed_tokens.weight.detach()
        self.rotary = Rotary(text.rotary_emb, text.config.head_dim)
        self.has_experts = hasattr(text.config, "num_experts")
        self.layers: list[Layer] = []
        num_full = 0
        for index, layer in enumerate(text.layers):
            put(layer)
            mixer: GatedDelta | Attention
            if text.config.layer_types[index] == "linear_attention":
                mixer = GatedDelta(layer.linear_attn, index, weights)
            else:
                mixer = Attention(layer.self_attn, num_full, self.rotary, weights)
                num_full += 1
            self.layers.append(Layer(layer, mixer, weights))
        self.norm = Norm(text.norm)

    def step(self, given: torch.Tensor, window: Window) -> torch.Tensor:
        """Logits [rows, vocabulary] of the next tokens.

        `given` int64 [3, rows]: the tokens, how many stand before each in its row, and their rotary positions.
        """
        tokens, held, positions = given
        hidden = F.embedding(tokens, self.embed)
        rows = Rows(self.slots, held, self.rotary.turns(positions, hidden.dtype), window)
        for layer in self.layers:
            hidden = layer(hidden, rows)
        return self.head(self.norm(hidden))

    def span(
        self,
        row: int,
        num_tokens: int,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        window: Window,
        slots: SlotCache | None = None,
        keep: Keep | None = None,
    ) -> PieceSpan:
        """Where a piece of a prompt stands: in `row`, of other slots where given.

        `numbers` int64 [2, 1] are how many tokens stand before it and how many of its own count, `positions` int64
        [3, tokens] the rotary ones.
        """
        held, count = numbers
        turns = self.rotary.turns(positions, self.embed.dtype)
        return PieceSpan(slots or self.slots, row, num_tokens, (held, count), turns, window, keep)

    def piece(self, hidden: torch.Tensor, span: PieceSpan, rest: Rest = no_rest) -> torch.Tensor:
        """The last hidden state [1, hidden] of a piece of a prompt with the embeddings `hidden` [tokens, hidden]."""
        for layer in self.layers:
            rest()
            hidden = layer(hidden, span)
        return self.norm(hidden.index_select(0, span.count - 1))


class Layer:
    """A layer: what is mixed from other places, then what each place makes of itself, each behind a norm."""

    def __init__(self, layer: Any, mixer: GatedDelta | Attention, weights: Held) -> None:
        self.before, self.between = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.mixer = mixer
        self.feed = Experts(layer.mlp) if hasattr(layer.mlp, "experts") else Feed(layer.mlp, weights)

    def __call__(self, hidden: torch.Tensor, where: Rows | PieceSpan) -> torch.Tensor:
        """What comes of `hidden` [tokens, hidden], in the same shape."""
        hidden = hidden + self.mixer(self.before(hidden), where)
        return hidden + self.feed(self.between(hidden))


class Feed:
    """The gated feed-forward part."""

    def __init__(self, module: Any, weights: Held) -> None:
        self.up = joined([module.gate_proj, module.up_proj], weights)
        self.down = joined([module.down_proj], weights)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """What is added to `hidden` [tokens, hidden]."""
        gate, up = self.up(hidden).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)
