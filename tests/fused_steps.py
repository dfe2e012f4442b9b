"""Steps of the kernels for GPUs in Triton's interpreter, beside the same steps in plain torch: a process of its own, as
TRITON_INTERPRET=1 has to be set before Triton is imported.

It prints a line of JSON for each case: how far the logits and the caches are apart, beside the largest logit, and how
many tokens fed and counters are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from pipelines.engine import LocalEngine
from pipelines.engine.fused_step import FusedStep
from pipelines.engine.placement import Placement
from pipelines.engine.sampler import AHEAD
from pipelines.engine.stack import Stack
from pipelines.engine.tiles import MOST_ROWS, Tile
from pipelines.models import DEMO_FOLDER
from pipelines.types import WeightFormat

FAR = 100_000
"""How much further than its tokens go every second row stands, as behind many frames its angles are large ones."""


def tile_for(rows: int, *_: object, **__: object) -> Tile:
    """Larger than on a GPU: the interpreter takes its time for each block of threads."""
    return Tile(rows if rows < 5 else MOST_ROWS, 64, 64, 4, {1: 4, 2: 2}.get(rows, 1))


CASES: tuple[tuple[str, tuple[int, ...], WeightFormat], ...] = (
    ("one row", (1023,), "full"),
    ("two rows", (31, 1024), "full"),
    ("four rows", (0, 32, 70, 1), "full"),
    ("five rows", (70, 0, 512, 37, 1), "full"),
    ("one row in int8", (70,), "int8"),
    ("two rows in int8", (0, 70), "int8"),
)
"""Tokens that the rows hold before two steps: none, some, and as many as fill parts of the past, or all of them."""


NUM_LAYERS = 4
"""Two of each kind: the rest of the model's are more of the same, and the interpreter takes its time for each."""


def shortened_demo() -> Any:
    """The shipped model's first layers."""
    placement = Placement("cpu", torch.float32, "CPU", 1)  # also beside int8, where it would be bf16 else
    model: Any = LocalEngine.load(DEMO_FOLDER, "demo", placement).model
    text = model.model.language_model
    text.layers = text.layers[:NUM_LAYERS]
    text.config.layer_types, text.config.num_hidden_layers = text.config.layer_types[:NUM_LAYERS], NUM_LAYERS
    return model


def lay_weights_as_on_a_gpu() -> None:
    """Row by row, and int8 as it is: a CPU has orders of its own."""
    patch.multiple("pipelines.engine.weights", CACHED_BYTES=0, can_pack_int8=_never, should_pack_float=_never).start()


def _never(*_: object) -> bool:
    return False


def state_of(stack: Stack) -> list[torch.Tensor]:
    """Everything that the slots hold."""
    return [tensor for pair in stack.slots.layers for tensor in pair]


@torch.inference_mode()
def apart(lengths: tuple[int, ...], weights: WeightFormat) -> Iterator[float]:
    """How far logits and caches are apart after two steps each, and the largest logit; then how many tokens are not
    those that were to be fed, and how many counters not zero.
    """
    rows = len(lengths)
    stacks = [Stack(shortened_demo(), 6, weights) for _ in range(2)]
    for stack in stacks:
        stack.slots.reserve(1026)
        generator = torch.Generator().manual_seed(1)
        for tensor in state_of(stack):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    fused = FusedStep(stacks[0].lean, stacks[0].slots, tile_for)
    most, num_wrong = 0.0, 0
    for step in range(2):
        held = [length + step for length in lengths]
        positions = [length + 3 + FAR * (row % 2) for row, length in enumerate(held)]
        given = torch.tensor([[7 + row for row in range(rows)], held, positions])
        chosen, asked = given[0].clone(), given.clone()
        asked[0, step::2] = AHEAD
        chosen[1 - step :: 2] = 0
        window = stacks[1].slots.window(slice(rows), max(held) + 1, is_masked=True)
        ours, theirs = fused(asked, chosen), stacks[1].lean.step(given, window)
        most = max(most, float((ours - theirs).abs().max()))
        num_wrong += int((asked != given).sum())
    yield most
    yield max(float((a - b).abs().max()) for a, b in zip(*map(state_of, stacks), strict=True))
    yield float(theirs.abs().max())
    yield num_wrong
    yield int(fused._arrived.count_nonzero())


if __name__ == "__main__":
    lay_weights_as_on_a_gpu()
    for name, lengths, weights in CASES:
        print(json.dumps([name, *apart(lengths, weights)]), flush=True)
