"""One token for every running row, in as few operations as plain torch allows.

A step of transformers' layers runs hundreds of small operations, and for a small model these, not the weights, are what
it costs. Here the projections that read the same input are one product, and the recurrence of Gated DeltaNet (Yang et
al. 2024, "Gated Delta Networks") changes its state in place. The weights are those of the model: they are brought
together once, and the model's own parameters become views of the result, so that nothing is held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.slots import SlotCache

Mixer = Callable[[torch.Tensor, "_Places"], torch.Tensor]


class _Places:
    """Where the tokens of a step go: rows 0 to n, at `held` int64 [n], and the part of the caches that they see."""

    def __init__(self, held: torch.Tensor, window: int, angles: torch.Tensor, is_masked: bool) -> None:
        self.rows, self.window, self.held = len(held), window, held
        self.row_numbers = torch.arange(len(held), device=held.device)
        self.cos, self.sin = angles.cos()[:, None], angles.sin()[:, None]
        in_window = torch.arange(window, device=held.device)
        self.mask = in_window <= held.view(-1, 1, 1, 1) if is_masked else None


class LeanStep:
    """A decode step of a `qwen3_5` text model over its slots."""

    def __init__(self, model: Any, slots: SlotCache) -> None:
        text = model.model.language_model
        self._slots, self._embed, self._head = slots, text.embed_tokens, model.lm_head
        self._rotary = text.rotary_emb
        self._layers = [_Layer(layer, slots, index) for index, layer in enumerate(text.layers)]
        self._norm = _Norm(text.norm)

    def __call__(
        self, tokens: torch.Tensor, held: torch.Tensor, positions: torch.Tensor, window: int, is_masked: bool
    ) -> torch.Tensor:
        """Logits [rows, vocabulary] for `tokens` int64 [rows], behind `held` tokens, at rotary `positions` [rows].

        The first `window` places of the caches are looked at; `is_masked` says that not all of them hold a token.
        """
        frequencies = self._rotary.inv_freq.float()
        places = _Places(held, window, positions[:, None].float() * frequencies, is_masked)
        hidden: torch.Tensor = self._embed(tokens)
        for layer in self._layers:
            hidden = layer(hidden, places)
        logits: torch.Tensor = self._head(self._norm(hidden))
        return logits


class _Norm:
    """Root mean square norm with weights around 0, as `Qwen3_5RMSNorm`."""

    def __init__(self, norm: Any) -> None:
        self._weight = 1.0 + norm.weight.detach().float()
        self._eps = norm.eps

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        normed = F.rms_norm(values.float(), self._weight.shape, self._weight, self._eps)
        return normed.to(values.dtype)


class _Layer:
    def __init__(self, layer: Any, slots: SlotCache, index: int) -> None:
        self._before, self._between = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        self._mix: Mixer = (
            _GatedDelta(layer.linear_attn, slots, index)
            if layer.block_type == "linear_attention"
            else _Attention(layer.self_attn, slots, index)
        )
        self._up = joined([layer.mlp.gate_proj, layer.mlp.up_proj])
        self._down = layer.mlp.down_proj.weight

    def __call__(self, hidden: torch.Tensor, places: _Places) -> torch.Tensor:
        hidden = hidden + self._mix(self._before(hidden), places)
        gate, up = F.linear(self._between(hidden), self._up).chunk(2, dim=-1)
        return hidden + F.linear(F.silu(gate) * up, self._down)


class _GatedDelta:
    def __init__(self, module: Any, slots: SlotCache, index: int) -> None:
        self._module, self._slots, self._index = module, slots, index
        self._weight = joined([module.in_proj_qkv, module.in_proj_z, module.in_proj_b, module.in_proj_a])
        heads = module.num_v_heads
        self._widths = [module.conv_dim, module.value_dim, heads, heads]
        self._kernel = module.conv1d.weight.detach()[:, 0]
        self._rate = -module.A_log.detach().float().exp()
        self._scale = module.head_k_dim**-0.5

    def __call__(self, hidden: torch.Tensor, places: _Places) -> torch.Tensor:
        module, rows = self._module, places.rows
        mixed, z, b, a = F.linear(hidden, self._weight).split_with_sizes(self._widths, dim=-1)
        conv, state = (tensor[:rows] for tensor in self._slots.layers[self._index])
        conv.copy_(torch.cat([conv[:, :, 1:], mixed[:, :, None]], dim=-1))
        mixed = F.silu((conv * self._kernel).sum(-1)).float()
        query, key = self._unit(mixed[:, : 2 * module.key_dim])
        value = mixed[:, 2 * module.key_dim :].view(rows, -1, module.head_v_dim)
        decay = (self._rate * F.softplus(a.float() + module.dt_bias)).exp()
        state.mul_(decay[:, :, None, None])
        change = (value - (key[:, :, None] @ state)[:, :, 0]) * b.float().sigmoid()[:, :, None]
        state.addcmul_(key[..., None], change[:, :, None])
        seen = (query[:, :, None] @ state).view(-1, module.head_v_dim) * self._scale
        normed = F.rms_norm(seen, (module.head_v_dim,), None, module.layer_norm_epsilon).to(hidden.dtype)
        gated = (module.norm.weight * normed) * F.silu(z.reshape(-1, module.head_v_dim).float())
        return F.linear(gated.to(hidden.dtype).view(rows, -1), module.out_proj.weight)

    def _unit(self, both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries and keys [rows, value heads, head_dim] of length 1; several value heads share one of them."""
        module = self._module
        both = both.view(len(both), 2, module.num_k_heads, module.head_k_dim)
        both = both * torch.rsqrt((both * both).sum(-1, keepdim=True) + 1e-6)
        if module.num_k_heads != module.num_v_heads:
            both = both.repeat_interleave(module.num_v_heads // module.num_k_heads, dim=2)
        return both[:, 0], both[:, 1]


class _Attention:
    def __init__(self, module: Any, slots: SlotCache, index: int) -> None:
        self._module, self._slots, self._index = module, slots, index
        self._weight = joined([module.q_proj, module.k_proj, module.v_proj])
        self._query_norm, self._key_norm = _Norm(module.q_norm), _Norm(module.k_norm)
        self._widths = [linear.out_features for linear in (module.q_proj, module.k_proj, module.v_proj)]

    def __call__(self, hidden: torch.Tensor, places: _Places) -> torch.Tensor:
        rows, dim = places.rows, self._module.head_dim
        both, key, value = F.linear(hidden, self._weight).split_with_sizes(self._widths, dim=-1)
        query, gate = both.view(rows, -1, 2, dim).unbind(2)
        query = _rotated(self._query_norm(query), places)
        key = _rotated(self._key_norm(key.view(rows, -1, dim)), places)
        keys, values = self._slots.layers[self._index]
        keys[places.row_numbers, :, places.held] = key
        values[places.row_numbers, :, places.held] = value.view(rows, -1, dim)
        seen = F.scaled_dot_product_attention(
            query[:, :, None],
            keys[:rows, :, : places.window],
            values[:rows, :, : places.window],
            attn_mask=places.mask,
            scale=self._module.scaling,
            enable_gqa=self._module.num_key_value_groups > 1,
        )
        gated = seen[:, :, 0] * gate.sigmoid()
        return F.linear(gated.reshape(rows, -1), self._module.o_proj.weight)


def joined(linears: Sequence[Any]) -> torch.Tensor:
    """The weights of linear layers that read the same input, [all outputs, inputs]; theirs become views of it."""
    weight = torch.cat([linear.weight.detach() for linear in linears])
    start = 0
    for linear in linears:
        end = start + len(linear.weight)
        linear.weight.data = weight[start:end]
        start = end
    return weight


def _rotated(heads: torch.Tensor, places: _Places) -> torch.Tensor:
    """Heads [rows, heads, head_dim] turned by their position; what lies behind the rotary part is kept."""
    half = places.cos.shape[-1]
    first, second, rest = heads.split_with_sizes([half, half, heads.shape[-1] - 2 * half], dim=-1)
    cos, sin = places.cos.to(heads.dtype), places.sin.to(heads.dtype)
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)
