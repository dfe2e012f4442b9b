"""Gated attention: a step of many rows, or a piece of one, in few operations."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.norms import Norm, Scale
from pipelines.engine.places import PieceSpan, Rotary, Rows
from pipelines.engine.weights import Held, joined


class Attention:
    """`Qwen3_5Attention` over the slots; `number` counts the layers of its kind."""

    def __init__(self, module: Any, number: int, rotary: Rotary, weights: Held) -> None:
        self.number, self._rotary = number, rotary
        linears = (module.q_proj, module.k_proj, module.v_proj)
        self.into, self.out = joined(linears, weights), joined([module.o_proj], weights)
        self.dim, self.scale = module.head_dim, module.scaling
        self.heads, self.key_heads = (one.out_features // self.dim for one in linears[:2])
        self.heads //= 2
        # the projections give each query with its gate behind it, then the keys, then the values
        numbers = [*range(0, 2 * self.heads, 2), *range(2 * self.heads, 2 * self.heads + self.key_heads)]
        device = linears[0].weight.device
        self._turning = torch.tensor(numbers, device=device)
        self.norms = torch.stack([Norm(module.q_norm).weight, Norm(module.k_norm).weight])
        counts = (self.heads, self.key_heads)
        self._norm = torch.cat([norm.expand(count, -1) for norm, count in zip(self.norms, counts, strict=True)])
        self.eps = module.q_norm.eps
        self._length = Scale(self.eps, self.dim, device)

    def __call__(self, hidden: torch.Tensor, where: Rows | PieceSpan) -> torch.Tensor:
        """What is added to `hidden` [tokens, hidden]."""
        return self._step(hidden, where) if isinstance(where, Rows) else self._piece(hidden, where)

    def placed(self, hidden: torch.Tensor, where: Rows | PieceSpan) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries, turned, and their gates, [tokens, heads, head_dim]; keys and values go to the slots."""
        heads = self.into(hidden).view(len(hidden), -1, self.dim)
        turning = self._length.normed(heads.index_select(1, self._turning).float()) * self._norm
        turning = self._rotary.turned(turning.to(hidden.dtype), where.turns)
        query, key = turning.split_with_sizes([self.heads, self.key_heads], dim=1)
        values = heads[:, 2 * self.heads + self.key_heads :]
        for cache, new in zip(where.window.lists[self.number], (key, values), strict=True):
            flat = new if isinstance(where, Rows) else new.transpose(0, 1)
            cache.index_copy_(0, where.places, flat.reshape(-1, self.dim))
        return query, heads[:, 1 : 2 * self.heads : 2]

    def _step(self, hidden: torch.Tensor, rows: Rows) -> torch.Tensor:
        """One token of each row, [rows, hidden]."""
        query, gate = self.placed(hidden, rows)
        keys, values = rows.window.pairs[self.number]
        # heads with the same keys as so many places of one: each alone is a product of one row, slow in bfloat16
        query = query.unflatten(1, (self.key_heads, -1))  # type: ignore[no-untyped-call]
        seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=rows.mask, scale=self.scale)
        return self.out((seen.flatten(1, 2) * gate.sigmoid()).view(rows.count, -1))

    def _piece(self, hidden: torch.Tensor, span: PieceSpan) -> torch.Tensor:
        """Tokens of one row, [tokens, hidden]."""
        query, gate = self.placed(hidden, span)
        keys, values = span.window.pairs[self.number]
        is_shared = self.heads != self.key_heads
        seen = F.scaled_dot_product_attention(
            query.transpose(0, 1)[None], keys, values, attn_mask=span.mask, scale=self.scale, enable_gqa=is_shared
        )
        return self.out((seen[0].transpose(0, 1) * gate.sigmoid()).reshape(span.size, -1))
