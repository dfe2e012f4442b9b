"""Where the model looks: the attention of the full-attention layers from the tokens of a reply to the visual tokens.

Three of four layers of the model are linear and have no attention matrix; every fourth has one, and its weights are
those of the prompt's own visual tokens. Here these layers run with an attention of our own, which gives its weights
beside its output, for a few query rows at a time: only their mean over heads and layers is kept, and the whole matrix
never exists. What lies behind the last weights, as the head and most of the last layer, is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.engine.norms import Norm
from pipelines.engine.slots import PrefillView, SlotCache
from pipelines.engine.stack import Stack

BLOCK_BYTES = {"cpu": 512 * 1024}
"""Of the scores of one layer that are in memory at once: what the cache of a processor holds, and elsewhere"""
LARGE_BLOCK_BYTES = 64 * 1024**2
LEAST_ROWS = 16
"""Fewer query rows at a time are no use, however many keys there are."""


class Watch:
    """Prefills row 0 of `slots`, and notes where each token looks from the position `first` on.

    `places` int64 [visual tokens] are the positions of the visual tokens in the prompt.
    """

    def __init__(self, stack: Stack, slots: SlotCache, places: torch.Tensor, first: int) -> None:
        text = stack.model.model.language_model
        self._num_watched = slots.is_linear.count(False) * text.config.num_attention_heads
        last = max(index for index, is_linear in enumerate(slots.is_linear) if not is_linear)
        self._layers, self._rotary = text.layers[: last + 1], text.rotary_emb
        self._norms = [(Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)) for layer in self._layers]
        watched = ((index, layer.self_attn) for index, layer in enumerate(self._layers) if not slots.is_linear[index])
        self._head_norms = {index: (Norm(module.q_norm), Norm(module.k_norm)) for index, module in watched}
        self._stack, self._slots, self._first = stack, slots, first
        self._low, self._high = int(places[0]), int(places[-1]) + 1
        self._places = places.to(stack.device) - self._low
        self._block_bytes = BLOCK_BYTES.get(stack.device.type, LARGE_BLOCK_BYTES)
        self._sums: dict[int, torch.Tensor] = {}

    def prefill(self, embeddings: torch.Tensor, positions: torch.Tensor) -> None:
        """Append a piece of a prompt, as `Stack.prefill` does, up to the last weights."""
        num_tokens = embeddings.shape[1]
        self._slots.reserve(self._slots.lengths[0] + num_tokens)
        view, hidden = PrefillView(self._slots, 0, num_tokens), embeddings
        turns = self._rotary(hidden, positions[1:].to(hidden.device))
        for index, (layer, (before, between)) in enumerate(zip(self._layers, self._norms, strict=True)):
            normed = before(hidden)
            if self._slots.is_linear[index]:
                mixed = layer.linear_attn(hidden_states=normed, cache_params=view, attention_mask=None)
            else:
                mixed = self._attend(layer.self_attn, index, normed, turns, view)
            if mixed is not None:
                hidden = hidden + mixed
                hidden = hidden + layer.mlp(between(hidden))
        self._slots.lengths[0] += num_tokens
        self._stack.num_prefilled += num_tokens

    def weights(self) -> NDArray[np.float16]:
        """The mean over heads and layers, float16 [tokens, visual tokens]."""
        if not self._sums:
            return np.zeros((0, len(self._places)), np.float16)
        pieces = [self._sums[start] for start in sorted(self._sums)]
        summed = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        if len(self._places) < summed.shape[1]:
            summed = summed.index_select(1, self._places)
        weights: NDArray[np.float16] = summed.div_(self._num_watched).half().cpu().numpy()
        return weights

    def _attend(
        self, module: Any, index: int, normed: torch.Tensor, turns: tuple[torch.Tensor, ...], view: PrefillView
    ) -> torch.Tensor | None:
        """What the layer's attention gives, [1, tokens, hidden]; None of the last one, after which nothing is noted."""
        is_last, num_tokens, start = index + 1 == len(self._layers), normed.shape[1], self._slots.lengths[0]
        queries, gate = module.q_proj(normed).view(num_tokens, -1, 2, module.head_dim).unbind(2)
        query_norm, key_norm = self._head_norms[index]
        queries = _turned(query_norm(queries), turns) * module.scaling
        keys = _turned(key_norm(module.k_proj(normed).view(num_tokens, -1, module.head_dim)), turns)
        # nobody asks for what the last layer gives, and the slots serve this pass alone
        values = keys if is_last else module.v_proj(normed).view(num_tokens, -1, module.head_dim).transpose(0, 1)
        keys, values = (held[0] for held in view.update(keys[None], values[None], index))
        rows = max(self._block_bytes // (4 * len(queries) * keys.shape[1]), LEAST_ROWS)
        future = torch.ones(rows, rows, dtype=torch.bool, device=keys.device).triu_(1)
        grouped, turned_keys = queries.unflatten(0, (len(keys), -1)), keys.transpose(1, 2)
        unseen = max(self._first - start, 0) // rows * rows if is_last else 0
        noted_from = max(self._first, start)
        noted, is_new = self._noted(start, max(start + num_tokens - noted_from, 0))
        given: list[torch.Tensor] = []
        for begin in range(unseen, num_tokens, rows):
            part = grouped[:, :, begin : begin + rows]
            known = start + begin + part.shape[2]
            weights = _weights(part, turned_keys[..., :known], future)
            if known > self._first:
                at = max(self._first, start + begin)
                seen = weights[:, at - start - begin :, self._low : self._high]
                into = noted[at - noted_from : known - noted_from]
                torch.sum(seen, 0, out=into) if is_new else into.add_(seen.sum(0))
            if not is_last:
                given.append(_gathered(weights, values[:, :known]))
        if is_last:
            return None
        output = torch.cat(given).flatten(1) * gate.flatten(1).sigmoid()
        mixed: torch.Tensor = module.o_proj(output)[None]
        return mixed

    def _noted(self, start: int, num_rows: int) -> tuple[torch.Tensor, bool]:
        """Where a piece's weights are added up, float32 [its tokens from `first` on, visual], and whether it is new."""
        is_new = start not in self._sums
        if is_new:
            size = num_rows, self._high - self._low
            self._sums[start] = torch.empty(size, dtype=torch.float32, device=self._stack.device)
        return self._sums[start], is_new


def _turned(heads: torch.Tensor, turns: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Queries or keys [tokens, heads, head_dim], turned: [heads, tokens, head_dim]."""
    cos, sin = (turn[0] for turn in turns)
    heads, width = heads.transpose(0, 1), cos.shape[-1]
    turning, still = heads[..., :width], heads[..., width:]
    first, second = turning.chunk(2, dim=-1)
    return torch.cat([turning * cos + torch.cat([-second, first], dim=-1) * sin, still], dim=-1)


def _weights(queries: torch.Tensor, keys: torch.Tensor, future: torch.Tensor) -> torch.Tensor:
    """Attention weights float32 [heads, tokens, keys] of scaled queries, which belong to the last of the keys.

    `queries` is [key heads, heads of each, tokens, head_dim], `keys` [key heads, head_dim, keys], and `future` says of
    tokens in a row which of them lie behind which.
    """
    num_tokens = queries.shape[2]
    scores = torch.bmm(queries.flatten(1, 2), keys).float().view(-1, num_tokens, keys.shape[2])
    scores[:, :, -num_tokens:].masked_fill_(future[:num_tokens, :num_tokens], -torch.inf)
    return torch.softmax(scores, -1, out=scores)


def _gathered(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """What tokens get of `values` [key heads, keys, head_dim] by their weights: [tokens, heads, head_dim]."""
    num_heads, num_tokens, num_keys = weights.shape
    given = torch.bmm(weights.to(values.dtype).view(len(values), -1, num_keys), values)
    return given.view(num_heads, num_tokens, -1).transpose(0, 1)
