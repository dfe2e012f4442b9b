"""Where the tokens that are worked on stand: those of a decode step, one a row, or a piece of a prompt in one row.

All numbers that change from one step to the next are in tensors, so that a step can be recorded once and replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pipelines.engine.slots import SlotCache, States, Window


class Rotary:
    """Rotary embedding of heads whose first 2 x `len(frequencies)` numbers turn, in as few operations as can be.

    The two halves of that part turn into each other: a head is multiplied by the cosines, and the head with its halves
    exchanged by the sines, negative in the first half. What lies behind has angle 0. Each frequency turns by the time,
    the height or the width of a position (the interleaved multimodal rotary embedding of transformers).
    """

    def __init__(self, module: Any, head_dim: int) -> None:
        frequencies = module.inv_freq.float()
        half = len(frequencies)
        self._parts = [half, half, head_dim - 2 * half]
        still = frequencies.new_zeros(head_dim - 2 * half)
        self.frequencies = torch.cat([frequencies, frequencies, still])
        self.signs = torch.cat([-torch.ones_like(frequencies), torch.ones_like(frequencies), still])
        order = torch.arange(head_dim, device=frequencies.device)
        self.partners = torch.cat([order[half : 2 * half], order[:half], order[2 * half :]])
        numbers = torch.arange(half, device=frequencies.device)
        ends = 3 * torch.tensor(module.mrope_section, device=frequencies.device)
        axes = torch.where(numbers < ends[numbers % 3], numbers % 3, 0)
        self._axes = torch.cat([axes, axes, axes.new_zeros(len(still))])

    def turns(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and signed sines [tokens, 1, head_dim] at `positions` [tokens], or [3, tokens] where these differ."""
        if positions.ndim == 1:
            angles = positions[:, None, None] * self.frequencies
        else:
            angles = (positions.index_select(0, self._axes) * self.frequencies[:, None]).t()[:, None]
        return angles.cos().to(dtype), (angles.sin() * self.signs).to(dtype)

    def turned(self, heads: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Heads [tokens, heads, head_dim], turned."""
        # pieced together: gathering them by their numbers is slow on a CPU
        first, second, still = heads.split_with_sizes(self._parts, dim=-1)
        return torch.addcmul(heads * turns[0], torch.cat([second, first, still], dim=-1), turns[1])


class Rows:
    """The tokens of a decode step: rows 0 to n, at `held` int64 [n]."""

    def __init__(
        self, slots: SlotCache, held: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor], window: Window
    ) -> None:
        self.slots, self.count, self.turns, self.window = slots, len(held), turns, window
        self.places = (slots.first_places[: len(held)] + held[:, None]).flatten()
        self.mask = None if window.numbers is None else window.numbers <= held.view(-1, 1, 1, 1)


@dataclass
class Keep:
    """Collects what the linear layers hold behind the first `count` tokens of a piece, which each adds to `states`.

    So a piece stays what a graph can capture: tensors in, one tensor out.
    """

    count: int
    states: States
    _num_added: int = 0

    def add(self, conv: torch.Tensor, recurrent: torch.Tensor) -> None:
        """Copy the states of the next linear layer."""
        for states, added in zip(self.states, (conv, recurrent), strict=True):
            states[self._num_added].copy_(added)
        self._num_added += 1

    def take(self, kept: States) -> None:
        """Copy those of all linear layers."""
        for states, values in zip(self.states, kept, strict=True):
            states.copy_(values)


class PieceSpan:
    """A piece of a prompt in one row: `size` tokens behind `held` int64 [1], of which `count` int64 [1] count.

    The others fill a piece up to its size: they change no state, and what they leave in the caches is written over.
    """

    def __init__(
        self,
        slots: SlotCache,
        row: int,
        size: int,
        numbers: tuple[torch.Tensor, torch.Tensor],
        turns: tuple[torch.Tensor, torch.Tensor],
        window: Window,
        keep: Keep | None,
    ) -> None:
        held, self.count = numbers
        self.keep = keep
        self.slots, self.row, self.size, self.turns, self.window = slots, row, size, turns, window
        self.steps = torch.arange(size, device=held.device)
        own = held + self.steps
        self.places = (slots.first_places[row][:, None] + own).flatten()
        assert window.numbers is not None
        self.mask = window.numbers <= own[:, None]
        self.is_real = self.steps < self.count
