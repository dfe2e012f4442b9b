"""Gated DeltaNet (Yang et al. 2024, "Gated Delta Networks"): a step of many rows, or a piece of one, in few operations.

The states of the slots change in place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.chunks import chunked
from pipelines.engine.norms import Scale
from pipelines.engine.places import PieceSpan, Rows
from pipelines.engine.weights import Held, joined

UNIT_EPS = 1e-6


class GatedDelta:
    """`Qwen3_5GatedDeltaNet` over the slots."""

    def __init__(self, module: Any, index: int, weights: Held) -> None:
        self.index = index
        self.into = joined([module.in_proj_qkv, module.in_proj_z, module.in_proj_b, module.in_proj_a], weights)
        self.out = joined([module.out_proj], weights)
        self.key_heads, self.heads = module.num_k_heads, module.num_v_heads
        self.key_dim, self.value_dim = module.head_k_dim, module.head_v_dim
        self._keys = self.key_heads * self.key_dim
        self._widths = [module.conv_dim, module.value_dim, self.heads, self.heads]
        self.kernel = module.conv1d.weight.detach()[:, 0].contiguous()
        self._taps = self.kernel.t().contiguous()
        self.rate = -module.A_log.detach().float().exp()
        self.bias = module.dt_bias.detach().float()
        device = self.rate.device
        self._unit = Scale(UNIT_EPS, 1, device)
        self.norm = module.norm.weight.detach().float()
        # what was seen is normed without the scale of its queries, so that scale goes into what is added
        self.eps = module.layer_norm_epsilon
        self._scale = Scale(self.eps * self.key_dim, self.value_dim, device)

    def __call__(self, hidden: torch.Tensor, where: Rows | PieceSpan) -> torch.Tensor:
        """What is added to `hidden` [tokens, hidden]."""
        return self._step(hidden, where) if isinstance(where, Rows) else self._piece(hidden, where)

    def _step(self, hidden: torch.Tensor, rows: Rows) -> torch.Tensor:
        """One token of each row, [rows, hidden]."""
        mixed, z, b, a = self.into(hidden).split_with_sizes(self._widths, dim=-1)
        conv, state = (tensor[: rows.count] for tensor in rows.slots.layers[self.index])
        conv.copy_(torch.cat([conv[:, :, 1:], mixed[:, :, None]], dim=-1))
        query, key, value = self._heads_of(F.silu((conv * self.kernel).sum(-1)).float())
        state = state.view(-1, self.key_dim, self.value_dim)
        query, key, value = (one.reshape(len(state), 1, -1) for one in (query, key, value))
        state.mul_(self._decay(a).exp().view(-1, 1, 1))
        change = (value - torch.bmm(key, state)) * b.float().sigmoid().view(-1, 1, 1)
        state.addcmul_(key.transpose(1, 2), change)
        return self._given(torch.bmm(query, state), z, hidden.dtype)

    def _piece(self, hidden: torch.Tensor, span: PieceSpan) -> torch.Tensor:
        """Tokens of one row, [tokens, hidden]."""
        mixed, z, b, a = self.into(hidden).split_with_sizes(self._widths, dim=-1)
        conv, state = (tensor[span.row] for tensor in span.slots.layers[self.index])
        num_taps, size = len(self._taps), span.size
        past = torch.cat([conv.t()[1:], mixed])
        lasting = torch.arange(num_taps, device=past.device) + (span.count - 1)
        conv.copy_(past.index_select(0, lasting).t())
        mixed = past[:size] * self._taps[0]
        for tap in range(1, num_taps):
            mixed = torch.addcmul(mixed, past[tap : tap + size], self._taps[tap])
        query, key, value = self._heads_of(F.silu(mixed).float())
        decay = torch.where(span.is_real[:, None], self._decay(a), 0.0)
        strength = torch.where(span.is_real[:, None], b.float().sigmoid(), 0.0)

        def seen_by(tokens: slice) -> torch.Tensor:
            return chunked(query[tokens], key[tokens], value[tokens], decay[tokens], strength[tokens], state)

        if span.keep is None:
            seen = seen_by(slice(None))
        else:
            count = span.keep.count
            before = seen_by(slice(count))
            span.keep.add(past[count - 1 : count - 1 + num_taps].t(), state)
            seen = torch.cat([before, seen_by(slice(count, None))])
        return self._given(seen.reshape(-1, 1, self.value_dim), z, hidden.dtype)

    def _heads_of(self, mixed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries and keys of length 1 and values, [tokens, value heads, head_dim]."""
        both = self._unit.normed(mixed[:, : 2 * self._keys].view(len(mixed), 2, self.key_heads, self.key_dim))
        if self.key_heads != self.heads:  # several value heads share one
            both = both.repeat_interleave(self.heads // self.key_heads, dim=2)
        query, key = both.unbind(1)
        return query, key, mixed[:, 2 * self._keys :].view(len(mixed), self.heads, self.value_dim)

    def _decay(self, a: torch.Tensor) -> torch.Tensor:
        """Logarithms of what is left of the state, [tokens, heads]."""
        decay: torch.Tensor = self.rate * F.softplus(a.float() + self.bias)
        return decay

    def _given(self, seen: torch.Tensor, z: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The layer's output, of what is seen [tokens x heads, 1, head_dim] and its gate [tokens, heads x head_dim]."""
        normed = self._scale.normed(seen, self.norm).view(len(z), -1)
        return self.out((normed * F.silu(z.float())).to(dtype))
