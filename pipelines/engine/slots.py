"""The caches of all conversations that run at once: a row for each, every row with a length of its own.

transformers' caches count one length for all rows, and its continuous batching refuses linear attention. So these are
ours: key and value buffers [rows, heads, capacity, head_dim] of the full-attention layers, and the convolution and
recurrent states [rows, ...] of the linear ones. The model gets a view of some rows, which has the methods of a
transformers `Cache` that its layers call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]

LEAST_CAPACITY = 512
"""Tokens; capacities double from here. Growing copies what is there, and on a GPU asks for new graphs."""


@dataclass(frozen=True, eq=False)
class RowState:
    """What one row holds, by layer, copied out of it.

    `tensors` of a full-attention layer are keys and values [heads, length, head_dim], of a linear one the convolution
    and the recurrent states.
    """

    length: int
    tensors: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for pair in self.tensors for tensor in pair)


@dataclass(frozen=True, eq=False)
class Window:
    """The part of the caches that tokens look at: keys and values [rows, heads, window, head_dim] of each layer with
    full attention, and all of the caches, where theirs are written, as `lists` [places, head_dim].

    `numbers` int64 [window] count the places; they are None where every row holds a token at each of them.
    """

    pairs: Pairs
    lists: Pairs
    numbers: torch.Tensor | None = None


class SlotCache:
    """`rows` caches of a `qwen3_5` text model, allocated as they are needed."""

    def __init__(self, config: Any, rows: int, dtype: torch.dtype, device: torch.device) -> None:
        self.rows, self.capacity = rows, 0
        self.lengths = [0] * rows
        self._config, self._dtype, self._device = config, dtype, device
        self.is_linear = [kind == "linear_attention" for kind in config.layer_types]
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.generation = 0
        """Of the buffers: what was recorded on those of another one is void, though they may lie at its addresses."""
        self.first_places = torch.empty(0, dtype=torch.int64, device=device)
        self._numbers = self.first_places
        self._full: Pairs = []
        self._lists: Pairs = []

    @property
    def num_bytes(self) -> int:
        """Bytes of all buffers."""
        return sum(tensor.nbytes for pair in self.layers for tensor in pair)

    def reserve(self, num_tokens: int) -> None:
        """Have room for `num_tokens` in every row. What the rows hold is kept, also where memory runs out meanwhile."""
        if num_tokens <= self.capacity:
            return
        capacity = max(self.capacity, LEAST_CAPACITY)
        while capacity < num_tokens:
            capacity *= 2
        capacity = min(capacity, max(num_tokens, self._config.max_position_embeddings))
        layers = []
        for index, is_linear in enumerate(self.is_linear):
            held = self.layers[index] if self.layers else None
            if is_linear:
                layers.append(held or self._linear_states())
            else:
                layers.append(self._grown(held, capacity))
        self.layers, self.capacity = layers, capacity
        self._number_places()

    def _number_places(self) -> None:
        """Number the places of all rows and heads [rows, heads], as if keys were one long list of vectors."""
        self.generation += 1
        heads = self._config.num_key_value_heads
        first = torch.arange(self.rows * heads, device=self._device) * self.capacity
        self.first_places = first.view(self.rows, heads)
        self._numbers = torch.arange(self.capacity, device=self._device)
        self._full = [pair for pair, is_linear in zip(self.layers, self.is_linear, strict=True) if not is_linear]
        self._lists = [
            (keys.view(-1, keys.shape[-1]), values.view(-1, values.shape[-1])) for keys, values in self._full
        ]

    def window(self, rows: slice, size: int, *, is_masked: bool) -> Window:
        """The first `size` places of some rows; `is_masked` says that not every row holds a token at each of them."""
        pairs = [(keys[rows, :, :size], values[rows, :, :size]) for keys, values in self._full]
        return Window(pairs, self._lists, self._numbers[:size] if is_masked else None)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Undo what is done to the states within; keys and values that are written are written over by the next."""
        before = [[tensor.clone() for tensor in pair] for pair in self.states]
        try:
            yield
        finally:
            for pair, kept in zip(self.states, before, strict=True):
                for tensor, values in zip(pair, kept, strict=True):
                    tensor.copy_(values)

    @property
    def states(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The convolution and recurrent states of all rows, of each linear layer."""
        return [pair for pair, is_linear in zip(self.layers, self.is_linear, strict=True) if is_linear]

    def release(self) -> None:
        """Give all memory back; no row may be in use."""
        self.layers, self.capacity, self.lengths = [], 0, [0] * self.rows
        self._full, self._lists = [], []
        self.generation += 1

    def free(self, row: int) -> None:
        """Forget what a row holds."""
        self.lengths[row] = 0

    def clear(self, row: int) -> None:
        """Have an empty row begin from states of zero."""
        for pair in self.states:
            for tensor in pair:
                tensor[row].zero_()

    def move(self, source: int, target: int) -> None:
        """Bring a row to another place, whose content is lost."""
        length = self.lengths[source]
        for is_linear, pair in zip(self.is_linear, self.layers, strict=True):
            for tensor in pair:
                if is_linear:
                    tensor[target] = tensor[source]
                else:
                    tensor[target, :, :length] = tensor[source, :, :length]
        self.lengths[target], self.lengths[source] = length, 0

    def copy_out(self, row: int, length: int | None = None, states: Pairs = ()) -> RowState:
        """What a row holds, as tensors of its own; or what it held at a `length`, when it had these linear `states`."""
        length = self.lengths[row] if length is None else length
        of_linear = iter(states or [(conv[row].clone(), state[row].clone()) for conv, state in self.states])
        tensors = tuple(
            next(of_linear) if is_linear else (keys[row, :, :length].clone(), values[row, :, :length].clone())
            for is_linear, (keys, values) in zip(self.is_linear, self.layers, strict=True)
        )
        return RowState(length, tensors)

    def copy_in(self, row: int, state: RowState) -> None:
        """Make a row hold what another held."""
        self.reserve(state.length)
        for is_linear, pair, given in zip(self.is_linear, self.layers, state.tensors, strict=True):
            for tensor, values in zip(pair, given, strict=True):
                if is_linear:
                    tensor[row] = values
                else:
                    tensor[row, :, : state.length] = values
        self.lengths[row] = state.length

    def _grown(self, old: tuple[torch.Tensor, torch.Tensor] | None, capacity: int) -> tuple[torch.Tensor, torch.Tensor]:
        config = self._config
        shape = (self.rows, config.num_key_value_heads, capacity, config.head_dim)
        new = self._zeros(shape), self._zeros(shape)
        if old is not None:
            for tensor, before in zip(new, old, strict=True):
                tensor[:, :, : before.shape[2]] = before
        return new

    def _linear_states(self) -> tuple[torch.Tensor, torch.Tensor]:
        config = self._config
        keys = config.linear_num_key_heads * config.linear_key_head_dim
        values = config.linear_num_value_heads * config.linear_value_head_dim
        recurrent = (self.rows, config.linear_num_value_heads, config.linear_key_head_dim, config.linear_value_head_dim)
        conv = self._zeros((self.rows, 2 * keys + values, config.linear_conv_kernel_dim))
        return conv, torch.zeros(recurrent, dtype=torch.float32, device=self._device)

    def _zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.zeros(shape, dtype=self._dtype, device=self._device)


class LayerStates(NamedTuple):
    """The states of a linear layer as transformers 5.17 reads them, each a list of one; nothing is rolled back."""

    conv_states: list[torch.Tensor]
    recurrent_states: list[torch.Tensor]
    record_past: bool = False


class PrefillView:
    """The part of a transformers `Cache` that layers call, for one row that is given tokens behind what it holds.

    Those of 5.17, which some hosts of GPUs have, ask `has_previous_state` and read `layers`; those of 5.23 ask
    `is_recording_past`, `get_conv_state` and `get_recurrent_state`.
    """

    def __init__(self, cache: SlotCache, row: int, num_tokens: int) -> None:
        self._layers, self._row = cache.layers, slice(row, row + 1)
        self._start = cache.lengths[row]
        self._end = self._start + num_tokens

    def has_previous_state(self, layer_idx: int, state_idx: int = 0) -> bool:  # noqa: ARG002
        """Whether the row holds something."""
        return self._start > 0

    @property
    def layers(self) -> list[LayerStates]:
        """Of all layers; what is said of one with attention is never read."""
        return [LayerStates([first[self._row]], [second[self._row]]) for first, second in self._layers]

    def is_recording_past(self, layer_idx: int) -> bool:  # noqa: ARG002
        """Never: nothing is rolled back."""
        return False

    def get_conv_state(self, layer_idx: int, state_idx: int = 0) -> torch.Tensor | None:  # noqa: ARG002
        """What the convolution saw last; None where the row is empty, whatever an earlier conversation left there."""
        return self._layers[layer_idx][0][self._row] if self._start else None

    def get_recurrent_state(self, layer_idx: int, state_idx: int = 0) -> torch.Tensor | None:  # noqa: ARG002
        """The recurrent state; None where the row is empty."""
        return self._layers[layer_idx][1][self._row] if self._start else None

    def update_recurrent_state(self, states: torch.Tensor, layer_idx: int) -> torch.Tensor:
        """Take over the recurrent state."""
        return self._layers[layer_idx][1][self._row].copy_(states)

    def update_conv_state(self, states: torch.Tensor, layer_idx: int, conv_kernel_size: int) -> torch.Tensor:
        """Keep the last inputs of the convolution, and give all with those before them."""
        target = self._layers[layer_idx][0][self._row]
        if self._start:
            states = torch.cat([target, states], dim=-1)
        short = conv_kernel_size - states.shape[-1]
        padded = torch.nn.functional.pad(states, (short, 0)) if short > 0 else states
        target.copy_(padded[..., -conv_kernel_size:])
        return padded

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values, and give all."""
        pair = tuple(tensor[self._row] for tensor in self._layers[layer_idx])
        for tensor, new in zip(pair, (keys, values), strict=True):
            tensor[:, :, self._start : self._end] = new
        return pair[0][:, :, : self._end], pair[1][:, :, : self._end]
