"""The feed-forward part of `qwen3_5_moe`: a router, the experts that it chooses, and one that all tokens share.

transformers has several ways of its own to run the chosen experts, made for many tokens at once, which prompts take. In
a step of few rows each reads the weights of its own few and of no others. On a CPU these are multiplied where they lie,
one after the other; on a GPU they are gathered, so that nothing waits for the host to learn which were chosen, as a
captured graph wants it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from pipelines.engine.rows import ROWS
from pipelines.engine.weights import joined


class Experts:
    """The part of one layer, by the weights of transformers' module."""

    def __init__(self, module: Any) -> None:
        self._module = module
        shared = module.shared_expert
        self._router, self._num_chosen = module.gate.weight.detach(), module.gate.top_k
        self._up, self._down = module.experts.gate_up_proj.detach(), module.experts.down_proj.detach()
        self._shared_up = joined([shared.gate_proj, shared.up_proj, module.shared_expert_gate], "full")
        self._shared_down = joined([shared.down_proj], "full")
        width = shared.gate_proj.out_features
        self._widths = [width, width, 1]

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """What comes of values [rows, hidden], in the same shape."""
        if len(values) > max(ROWS):  # more than a step has
            whole: torch.Tensor = self._module(values[None])[0]
            return whole
        odds = F.softmax(F.linear(values, self._router), dim=-1, dtype=torch.float)
        weights, chosen = odds.topk(self._num_chosen, dim=-1)
        weights = (weights / weights.sum(dim=-1, keepdim=True)).to(values.dtype)
        replies = self.gathered(values, chosen) if values.is_cuda else self.in_turn(values, chosen)
        gate, up, share = self._shared_up(values).split_with_sizes(self._widths, dim=-1)
        return (replies * weights[:, :, None]).sum(1) + share.sigmoid() * self._shared_down(F.silu(gate) * up)

    def gathered(self, values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """What the experts `chosen` int64 [rows, experts] make of each row: [rows, experts, hidden]."""
        rows, count = chosen.shape
        each = values.repeat_interleave(count, dim=0)[:, :, None]
        gate, up = torch.bmm(self._up[chosen.flatten()], each)[:, :, 0].chunk(2, dim=-1)
        replies = torch.bmm(self._down[chosen.flatten()], (F.silu(gate) * up)[:, :, None])
        return replies.view(rows, count, -1)

    def in_turn(self, values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """What `gathered` returns, expert by expert, without copying any weights."""
        rows, count = chosen.shape
        replies = values.new_empty(rows, count, values.shape[1])
        for row, numbers in enumerate(chosen.tolist()):
            for place, number in enumerate(numbers):
                gate, up = F.linear(values[row], self._up[number]).chunk(2, dim=-1)
                replies[row, place] = F.linear(F.silu(gate) * up, self._down[number])
        return replies
