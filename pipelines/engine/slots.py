"""The caches of all conversations that run at once: a row for each, every row with a length of its own.

transformers' caches count one length for all rows, and its continuous batching refuses linear attention. So these are
ours: key and value buffers [rows, heads, capacity, head_dim] of the full-attention layers, which grow one layer at a
time, so that a single one is there twice meanwhile, and the convolution and recurrent states [rows, ...] of the linear
ones. These never grow: the states of all layers are one tensor, so that a row is copied in few operations, each of
which costs the host of a GPU some microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]
States = tuple[torch.Tensor, torch.Tensor]
"""Convolution and recurrent states of all linear layers."""

LEAST_CAPACITY = 512
"""Tokens; capacities double from here. Growing copies what is there, and on a GPU asks for new graphs."""


@dataclass(frozen=True, eq=False)
class RowState:
    """What one row holds, copied out of it.

    `states` of the linear layers are [layers, ...]; `places` are the keys and values of the others in turn,
    [2 x layers, heads, length, head_dim].
    """

    length: int
    states: States
    places: torch.Tensor

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors."""
        return self.places.nbytes + sum(tensor.nbytes for tensor in self.states)


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
        self._states: States | tuple[()] = ()
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
        first = torch.arange(self.rows * self._config.num_key_value_heads, device=self._device) * capacity
        numbers = torch.arange(capacity, device=self._device)
        if not self.capacity:
            self._begin()
        self.generation += 1
        self._full, self._lists = [], []  # they would hold what is copied
        try:
            for index, is_linear in enumerate(self.is_linear):
                if not is_linear:
                    self.layers[index] = self._grown(self.layers[index], capacity)
        except Exception:
            self._take_back()
            raise
        # the places of all rows and heads [rows, heads], as if keys were one long list of vectors
        self.first_places = first.view(self.rows, -1)
        self._numbers, self.capacity = numbers, capacity
        self._list_places()

    def _begin(self) -> None:
        """Have the states, and caches of no capacity."""
        states = self._linear_states()
        of_linear = zip(*states, strict=True)
        empty = self._zeros(self._shape(0))
        self._states = states
        self.layers = [next(of_linear) if is_linear else (empty, empty) for is_linear in self.is_linear]

    def _take_back(self) -> None:
        """Have the capacity of before, as not all caches have grown."""
        if not self.capacity:
            self.release()
            return
        for index, is_linear in enumerate(self.is_linear):
            if not is_linear:
                keys, values = self.layers[index]
                self.layers[index] = _shortened(keys, self.capacity), _shortened(values, self.capacity)
        self._list_places()

    def _list_places(self) -> None:
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
        before = [tensor.clone() for tensor in self._states]
        try:
            yield
        finally:
            for tensor, values in zip(self._states, before, strict=True):
                tensor.copy_(values)

    def release(self) -> None:
        """Give all memory back; no row may be in use."""
        self.layers, self._states, self.capacity, self.lengths = [], (), 0, [0] * self.rows
        self._full, self._lists = [], []
        self.generation += 1

    def free(self, row: int) -> None:
        """Forget what a row holds."""
        self.lengths[row] = 0

    def clear(self, row: int) -> None:
        """Have an empty row begin from states of zero."""
        for tensor in self._states:
            tensor[:, row].zero_()

    def move(self, source: int, target: int) -> None:
        """Bring a row to another place, whose content is lost."""
        length = self.lengths[source]
        for tensor in self._states:
            tensor[:, target] = tensor[:, source]
        torch._foreach_copy_(self._places(target, length), self._places(source, length))
        self.lengths[target], self.lengths[source] = length, 0

    def copy_out(self, row: int, length: int | None = None, states: States | None = None) -> RowState:
        """What a row holds, as tensors of its own; or what it held at a `length`, when it had these linear `states`."""
        length = self.lengths[row] if length is None else length
        if states is None:
            conv, recurrent = (tensor[:, row].clone() for tensor in self._states)
            states = conv, recurrent
        return RowState(length, states, torch.stack(self._places(row, length)))

    def copy_in(self, row: int, state: RowState) -> None:
        """Make a row hold what another held."""
        self.reserve(state.length)
        for tensor, values in zip(self._states, state.states, strict=True):
            tensor[:, row] = values
        torch._foreach_copy_(self._places(row, state.length), state.places.unbind())
        self.lengths[row] = state.length

    def new_states(self) -> States:
        """Room for the linear states of one row, [layers, ...]; the slots have room for a token."""
        conv, recurrent = (torch.empty_like(tensor[:, 0]) for tensor in self._states)
        return conv, recurrent

    def _places(self, row: int, length: int) -> list[torch.Tensor]:
        """Keys and values [heads, length, head_dim] of each layer with full attention, in a row."""
        return [tensor[row].narrow(1, 0, length) for pair in self._full for tensor in pair]

    def _grown(self, pair: tuple[torch.Tensor, torch.Tensor], capacity: int) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = (self._zeros(self._shape(capacity)) for _ in pair)
        for new, old in zip((keys, values), pair, strict=True):
            new[:, :, : self.capacity] = old
        return keys, values

    def _shape(self, capacity: int) -> tuple[int, int, int, int]:
        return self.rows, self._config.num_key_value_heads, capacity, self._config.head_dim

    def _linear_states(self) -> States:
        config, layers = self._config, sum(self.is_linear)
        keys = config.linear_num_key_heads * config.linear_key_head_dim
        values = config.linear_num_value_heads * config.linear_value_head_dim
        recurrent = config.linear_num_value_heads, config.linear_key_head_dim, config.linear_value_head_dim
        conv = self._zeros((layers, self.rows, 2 * keys + values, config.linear_conv_kernel_dim))
        return conv, torch.zeros((layers, self.rows, *recurrent), dtype=torch.float32, device=self._device)

    def _zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.zeros(shape, dtype=self._dtype, device=self._device)


def _shortened(cache: torch.Tensor, capacity: int) -> torch.Tensor:
    """The first `capacity` places of each row and head [rows, heads, places, head_dim].

    They move within the memory that they have, as there may be none to be had; with some, the rest is given back.
    """
    rows, heads, size, dim = cache.shape
    if size == capacity:
        return cache
    places = cache.view(-1, dim)
    for number in range(1, rows * heads):
        before, now, distance = number * size, number * capacity, number * (size - capacity)
        for start in range(0, capacity, distance):  # no more at once, or what is read would be written meanwhile
            count = min(distance, capacity - start)
            places[now + start :][:count] = places[before + start :][:count]
    short = places[: rows * heads * capacity].view(rows, heads, capacity, dim)
    with suppress(RuntimeError):
        return short.clone()
    return short
