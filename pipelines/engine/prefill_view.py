"""The slots as transformers' own layers want them: for whatever no lean layer and no kernel is there for."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pipelines.engine.slots import SlotCache


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
