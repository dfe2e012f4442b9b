"""Where the model looks: the attention of the full-attention layers from the tokens of a reply to the visual tokens.

Three of four layers of the model are linear and have no attention matrix; every fourth has one, and its weights are
those of the prompt's own visual tokens. Here these layers run with an attention of our own, which gives its weights
beside its output, for a few query rows at a time: only their mean over heads and layers is kept, and the whole matrix
never exists. What lies behind the last weights, as the head and most of the last layer, is left out.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.engine.attention import Attention
from pipelines.engine.places import PieceSpan
from pipelines.engine.rest import Rest
from pipelines.engine.slots import SlotCache
from pipelines.engine.stack import Stack

BLOCK_BYTES = {"cpu": 512 * 1024}
"""Scores of one layer that are in memory at once: what the cache of a processor holds."""
LARGE_BLOCK_BYTES = 64 * 1024**2
"""The same on other devices."""
LEAST_ROWS = 16
"""Fewer query rows at a time are no use, however many keys there are."""


class GazeWatch:
    """Prefills row 0 of `slots`, and notes where each token looks from the position `first` on.

    `places` int64 [visual tokens] are the positions of the visual tokens in the prompt. There is a `rest` between two
    layers.
    """

    def __init__(self, stack: Stack, slots: SlotCache, places: torch.Tensor, first: int, rest: Rest) -> None:
        self._stack, self._slots, self._first, self._rest = stack, slots, first, rest
        layers = stack.lean.layers
        self._looking = [layer.mixer for layer in layers if isinstance(layer.mixer, Attention)]
        self._layers = layers[: 1 + max(at for at, layer in enumerate(layers) if isinstance(layer.mixer, Attention))]
        self._low, self._high = int(places[0]), int(places[-1]) + 1
        self._places = places.to(stack.device) - self._low
        self._block_bytes = BLOCK_BYTES.get(stack.device.type, LARGE_BLOCK_BYTES)
        self._sums: dict[int, torch.Tensor] = {}

    def prefill(self, embeddings: torch.Tensor, positions: torch.Tensor) -> None:
        """Append a piece of a prompt, as `Stack.prefill` does, up to the last weights."""
        start, num_tokens = self._slots.lengths[0], embeddings.shape[1]
        self._slots.reserve(start + num_tokens)
        if not start:
            self._slots.clear(0)
        span = self._stack.span(0, num_tokens, positions[1:, 0], self._slots)
        hidden = embeddings[0]
        for layer in self._layers:
            self._rest()
            normed = layer.before(hidden)
            if isinstance(layer.mixer, Attention):
                mixed = self._attend(layer.mixer, normed, span, start)
                if mixed is None:
                    break
            else:
                mixed = layer.mixer(normed, span)
            hidden = hidden + mixed
            hidden = hidden + layer.feed(layer.between(hidden))
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
        num_watched = sum(mixer.heads for mixer in self._looking)
        weights: NDArray[np.float16] = summed.div_(num_watched).half().cpu().numpy()
        return weights

    def _attend(self, mixer: Attention, normed: torch.Tensor, span: PieceSpan, start: int) -> torch.Tensor | None:
        """What the layer's attention gives, [tokens, hidden]; None of the last one, after which nothing is noted."""
        is_last, num_tokens = mixer is self._looking[-1], len(normed)
        turned, gate = mixer.placed(normed, span)
        queries = turned.transpose(0, 1) * mixer.scale
        keys, values = (held[0] for held in span.window.pairs[mixer.number])
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
        return mixer.out(torch.cat(given).flatten(1) * gate.flatten(1).sigmoid())

    def _noted(self, start: int, num_rows: int) -> tuple[torch.Tensor, bool]:
        """Where a piece's weights are added up, float32 [its tokens from `first` on, visual], and whether it is new."""
        is_new = start not in self._sums
        if is_new:
            size = num_rows, self._high - self._low
            self._sums[start] = torch.empty(size, dtype=torch.float32, device=self._stack.device)
        return self._sums[start], is_new


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
