"""Where the model looks: the attention of the full-attention layers from the tokens of a reply to the visual tokens.

Three of four layers of the model are linear and have no attention matrix; every fourth has one, and its weights are
those of the prompt's own visual tokens. They are computed beside the layer's own attention from its input, for a few
query rows at a time, and only their mean over heads and layers is kept: the whole matrix never exists.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.engine.slots import SlotCache

MAX_SCORE_BYTES = 16 * 1024**2
"""Of the scores of one layer that are in memory at once."""


class Watch:
    """While it is entered, notes where every token looks that is prefilled in row 0 of `slots`.

    `places` int64 [visual tokens] are the positions of the visual tokens in the prompt.
    """

    def __init__(self, model: Any, slots: SlotCache, places: torch.Tensor) -> None:
        layers = model.model.language_model.layers
        self._modules = {
            index: layers[index].self_attn for index, is_linear in enumerate(slots.is_linear) if not is_linear
        }
        self._slots, self._places = slots, places.to(model.device)
        self._hooks: list[Any] = []
        self._sums: dict[int, torch.Tensor] = {}

    def __enter__(self) -> Self:
        for index, module in self._modules.items():
            hook = self._hook(index)
            self._hooks.append(module.register_forward_hook(hook, with_kwargs=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def weights(self) -> NDArray[np.float16]:
        """The mean over heads and layers, float16 [tokens, visual tokens]."""
        if not self._sums:
            return np.zeros((0, len(self._places)), np.float16)
        pieces = [self._sums[start] for start in sorted(self._sums)]
        weights: NDArray[np.float16] = (torch.cat(pieces) / len(self._modules)).half().cpu().numpy()
        return weights

    def _hook(self, index: int) -> Any:
        def note(module: Any, args: tuple[Any, ...], given: dict[str, Any], output: object) -> None:  # noqa: ARG001
            hidden = given["hidden_states"]
            if given["past_key_values"].holds(self._slots):
                self._note(index, hidden, given["position_embeddings"])

        return note

    def _note(self, index: int, hidden: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> None:
        start, num_tokens = self._slots.lengths[0], hidden.shape[1]
        keys = self._slots.layers[index][0][0, :, : start + num_tokens]
        module = self._modules[index]
        num_heads = module.q_proj.out_features // (2 * module.head_dim)
        rows = max(MAX_SCORE_BYTES // (4 * num_heads * keys.shape[1]), 1)
        for begin in range(0, num_tokens, rows):
            part = slice(begin, begin + rows)
            query = _queries(module, hidden[:, part], tuple(turn[:, part] for turn in turns))
            weights = _weights(query, keys, start + begin, module.scaling)[:, self._places]
            known = self._sums.get(start + begin)
            self._sums[start + begin] = weights if known is None else known.add_(weights)


def _queries(module: Any, hidden: torch.Tensor, turns: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Queries [heads, tokens, head_dim] of inputs [1, tokens, hidden], as `Qwen3_5Attention` makes them."""
    query = module.q_proj(hidden).view(hidden.shape[1], -1, 2, module.head_dim)[:, :, 0]
    query = module.q_norm(query).transpose(0, 1)
    cos, sin = (turn[0] for turn in turns)
    turning, still = query.split([cos.shape[-1], query.shape[-1] - cos.shape[-1]], dim=-1)
    first, second = turning.chunk(2, dim=-1)
    turned = turning * cos + torch.cat([-second, first], dim=-1) * sin
    return torch.cat([turned, still], dim=-1)


def _weights(query: torch.Tensor, keys: torch.Tensor, start: int, scale: float) -> torch.Tensor:
    """The mean over heads of the attention weights, float32 [tokens, keys], of tokens at `start` and behind.

    `query` is [heads, tokens, head_dim], `keys` [key heads, keys, head_dim].
    """
    num_heads, num_tokens, dim = query.shape
    grouped = query.reshape(len(keys), -1, dim)
    scores = (grouped @ keys.transpose(1, 2)).float().view(num_heads, num_tokens, -1) * scale
    places = torch.arange(keys.shape[1], device=keys.device)
    future = places > torch.arange(start, start + num_tokens, device=keys.device)[:, None]
    return scores.masked_fill_(future, -torch.inf).softmax(-1).mean(0)
