"""One token for every running row, in as few operations as plain torch allows.

A step of transformers' layers runs hundreds of small operations, and for a small model these, not the weights, are what
it costs. Here the projections that read the same input are one product, and the recurrence of Gated DeltaNet (Yang et
al. 2024, "Gated Delta Networks") changes its state in place. The weights are those of the model, see
`pipelines.engine.weights`: nothing is held twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.experts import Experts
from pipelines.engine.slots import SlotCache
from pipelines.engine.weights import joined
from pipelines.types import WeightFormat

Mixer = Callable[[torch.Tensor, "_Places"], torch.Tensor]


class _Places:
    """Where the tokens of a step go: rows 0 to n, at `held` int64 [n], and the part of the caches that they see."""

    def __init__(self, held: torch.Tensor, window: int, cos: torch.Tensor, sin: torch.Tensor, is_masked: bool) -> None:
        self.rows, self.window, self.held, self.cos, self.sin = len(held), window, held, cos, sin
        self.row_numbers = torch.arange(len(held), device=held.device)
        in_window = torch.arange(window, device=held.device)
        self.mask = in_window <= held.view(-1, 1, 1, 1) if is_masked else None


class LeanStep:
    """A decode step of a `qwen3_5` or `qwen3_5_moe` text model over its slots."""

    def __init__(self, model: Any, slots: SlotCache, weights: WeightFormat = "full") -> None:
        text = model.model.language_model
        self._embed, self._head = text.embed_tokens.weight, joined([model.lm_head], weights)
        self._rotary = _Rotary(text.rotary_emb.inv_freq.float(), text.config.head_dim)
        self._layers = [_Layer(layer, slots, index, self._rotary, weights) for index, layer in enumerate(text.layers)]
        self._norm = _Norm(text.norm)

    def __call__(
        self, tokens: torch.Tensor, held: torch.Tensor, positions: torch.Tensor, window: int, is_masked: bool
    ) -> torch.Tensor:
        """Logits [rows, vocabulary] for `tokens` int64 [rows], behind `held` tokens, at rotary `positions` [rows].

        The first `window` places of the caches are looked at; `is_masked` says that not all of them hold a token.
        """
        hidden = F.embedding(tokens, self._embed)
        places = _Places(held, window, *self._rotary.turns(positions, hidden.dtype), is_masked)
        for layer in self._layers:
            hidden = layer(hidden, places)
        return self._head(self._norm(hidden))


class _Rotary:
    """Rotary embedding of heads whose first 2 x `len(frequencies)` numbers turn, in as few operations as can be.

    The two halves of that part turn into each other: a head is multiplied by the cosines, and the head with its halves
    exchanged by the sines, negative in the first half. What lies behind has angle 0.
    """

    def __init__(self, frequencies: torch.Tensor, head_dim: int) -> None:
        half = len(frequencies)
        still = frequencies.new_zeros(head_dim - 2 * half)
        self._frequencies = torch.cat([frequencies, frequencies, still])
        self._signs = torch.cat([-torch.ones_like(frequencies), torch.ones_like(frequencies), still])
        order = torch.arange(head_dim, device=frequencies.device)
        self.partners = torch.cat([order[half : 2 * half], order[:half], order[2 * half :]])

    def turns(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and signed sines [rows, 1, head_dim] at `positions` [rows]."""
        angles = positions[:, None, None] * self._frequencies
        return angles.cos().to(dtype), (angles.sin() * self._signs).to(dtype)

    def turned(self, heads: torch.Tensor, places: _Places) -> torch.Tensor:
        """Heads [rows, heads, head_dim], turned."""
        return torch.addcmul(heads * places.cos, heads.index_select(-1, self.partners), places.sin)


class _Norm:
    """Root mean square norm with weights around 0, as `Qwen3_5RMSNorm`."""

    def __init__(self, norm: Any) -> None:
        self.weight = 1.0 + norm.weight.detach().float()
        self.eps = norm.eps

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return _normed(values.float(), self.weight, self.eps).to(values.dtype)


class _Layer:
    def __init__(self, layer: Any, slots: SlotCache, index: int, rotary: _Rotary, weights: WeightFormat) -> None:
        self._before, self._between = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        self._mix: Mixer = (
            _GatedDelta(layer.linear_attn, slots, index, weights)
            if layer.block_type == "linear_attention"
            else _Attention(layer.self_attn, slots, index, rotary, weights)
        )
        self._feed = Experts(layer.mlp) if hasattr(layer.mlp, "experts") else _Feed(layer.mlp, weights)

    def __call__(self, hidden: torch.Tensor, places: _Places) -> torch.Tensor:
        hidden = hidden + self._mix(self._before(hidden), places)
        return hidden + self._feed(self._between(hidden))


class _Feed:
    def __init__(self, module: Any, weights: WeightFormat) -> None:
        self._up = joined([module.gate_proj, module.up_proj], weights)
        self._down = joined([module.down_proj], weights)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        gate, up = self._up(hidden).chunk(2, dim=-1)
        return self._down(F.silu(gate) * up)


class _GatedDelta:
    def __init__(self, module: Any, slots: SlotCache, index: int, weights: WeightFormat) -> None:
        self._slots, self._index = slots, index
        self._in = joined([module.in_proj_qkv, module.in_proj_z, module.in_proj_b, module.in_proj_a], weights)
        self._out = joined([module.out_proj], weights)
        self._key_heads, self._heads = module.num_k_heads, module.num_v_heads
        self._key_dim, self._value_dim = module.head_k_dim, module.head_v_dim
        self._widths = [module.conv_dim, module.value_dim, self._heads, self._heads]
        self._kernel = module.conv1d.weight.detach()[:, 0]
        self._rate = -module.A_log.detach().float().exp()
        self._bias = module.dt_bias.detach()
        self._norm, self._eps = module.norm.weight.detach(), module.layer_norm_epsilon

    def __call__(self, hidden: torch.Tensor, places: _Places) -> torch.Tensor:
        rows = places.rows
        mixed, z, b, a = self._in(hidden).split_with_sizes(self._widths, dim=-1)
        conv, state = (tensor[:rows] for tensor in self._slots.layers[self._index])
        conv.copy_(torch.cat([conv[:, :, 1:], mixed[:, :, None]], dim=-1))
        mixed = F.silu((conv * self._kernel).sum(-1)).float()
        keys = self._key_heads * self._key_dim
        query, key = self._unit(mixed[:, : 2 * keys])
        value = mixed[:, 2 * keys :].view(rows, -1, 1, self._value_dim)
        decay = (self._rate * F.softplus(a.float() + self._bias)).exp()
        state.mul_(decay[:, :, None, None])
        change = (value - key @ state) * b.float().sigmoid()[:, :, None, None]
        state.addcmul_(key.transpose(2, 3), change)
        seen = (query @ state).view(-1, self._value_dim) * self._key_dim**-0.5
        normed = _normed(seen, None, self._eps).to(hidden.dtype)
        gated = (self._norm * normed) * F.silu(z.reshape(-1, self._value_dim).float())
        return self._out(gated.to(hidden.dtype).view(rows, -1))

    def _unit(self, both: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Queries and keys [rows, value heads, 1, head_dim] of length 1; several value heads share one of them."""
        both = both.view(len(both), 2, self._key_heads, 1, self._key_dim)
        both = both * torch.rsqrt((both * both).sum(-1, keepdim=True) + 1e-6)
        if self._key_heads != self._heads:
            both = both.repeat_interleave(self._heads // self._key_heads, dim=2)
        return both.unbind(1)


class _Attention:
    def __init__(self, module: Any, slots: SlotCache, index: int, rotary: _Rotary, weights: WeightFormat) -> None:
        self._slots, self._index, self._rotary = slots, index, rotary
        linears = (module.q_proj, module.k_proj, module.v_proj)
        self._in, self._widths = joined(linears, weights), [linear.out_features for linear in linears]
        self._out, self._dim, self._scale = joined([module.o_proj], weights), module.head_dim, module.scaling
        self._groups = module.num_key_value_groups
        self._heads = [self._widths[0] // (2 * self._dim), self._widths[1] // self._dim]
        norms = _Norm(module.q_norm), _Norm(module.k_norm)
        self._eps = norms[0].eps
        self._norm = torch.cat([n.weight.expand(heads, -1) for n, heads in zip(norms, self._heads, strict=True)])

    def __call__(self, hidden: torch.Tensor, places: _Places) -> torch.Tensor:
        rows, dim = places.rows, self._dim
        both, key, value = self._in(hidden).split_with_sizes(self._widths, dim=-1)
        query, gate = both.view(rows, -1, 2, dim).unbind(2)
        heads = torch.cat([query, key.view(rows, -1, dim)], dim=1)
        heads = (_normed(heads.float(), None, self._eps) * self._norm).to(hidden.dtype)
        query, key = self._rotary.turned(heads, places).split_with_sizes(self._heads, dim=1)
        keys, values = self._slots.layers[self._index]
        keys[places.row_numbers, :, places.held] = key
        values[places.row_numbers, :, places.held] = value.view(rows, -1, dim)
        seen = F.scaled_dot_product_attention(
            query[:, :, None],
            keys[:rows, :, : places.window],
            values[:rows, :, : places.window],
            attn_mask=places.mask,
            scale=self._scale,
            enable_gqa=self._groups > 1,
        )
        gated = seen[:, :, 0] * gate.sigmoid()
        return self._out(gated.view(rows, -1))


def _normed(values: torch.Tensor, weight: torch.Tensor | None, eps: float) -> torch.Tensor:
    """Root mean square norm of float values over their last dimension."""
    if values.is_cuda:  # one kernel; on a CPU it is nine operations
        return F.rms_norm(values, values.shape[-1:], weight, eps)
    length = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
    scale = length.square_().div_(values.shape[-1]).add_(eps).rsqrt_()
    normed: torch.Tensor = values * scale if weight is None else values * scale * weight
    return normed
