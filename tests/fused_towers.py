"""Vision towers through the kernels for GPUs in Triton's interpreter, beside the same in plain torch: a process of its
own, as TRITON_INTERPRET=1 has to be set before Triton is imported.

It prints a line of JSON for each: how far apart what is seen is, beside its largest number.
"""

from __future__ import annotations

import json
from math import prod
from typing import Any

import torch
from transformers.models.qwen3_5.configuration_qwen3_5 import Qwen3_5VisionConfig
from transformers.models.qwen3_5.modeling_qwen3_5 import Qwen3_5VisionModel

from pipelines.engine import LocalEngine
from pipelines.engine.fused_tower import FusedBlocks
from pipelines.engine.lean_tower import LeanTower
from pipelines.engine.placement import Placement
from pipelines.inputs import Grid
from pipelines.models import DEMO_FOLDER

CASES: tuple[tuple[str, Grid], ...] = (("shipped", (1, 4, 6)), ("heads of 72", (3, 2, 4)))


def tower_of(name: str) -> Any:
    if name == "shipped":
        placement = Placement("cpu", torch.float32, "CPU", 1)
        return LocalEngine.load(DEMO_FOLDER, "demo", placement).model.model.visual
    config = Qwen3_5VisionConfig(depth=2, hidden_size=216, intermediate_size=100, num_heads=3, out_hidden_size=64)
    return Qwen3_5VisionModel(config).eval()


@torch.inference_mode()
def apart(name: str, grid: Grid) -> tuple[float, float]:
    torch.manual_seed(0)
    tower = tower_of(name)
    for weights in tower.parameters():  # norms too are to tell apart what they get
        weights += 0.02 * torch.randn_like(weights)
    ours, theirs = LeanTower(tower, FusedBlocks), LeanTower(tower)
    patches, places = theirs.patches(prod(grid)), theirs.places(grid)
    expected = theirs(patches, places)
    rests = list[None]()
    found = ours(patches, places, lambda: rests.append(None))
    assert len(rests) == len(tower.blocks)
    return float((found - expected).abs().max()), float(expected.abs().max())


if __name__ == "__main__":
    for case in CASES:
        print(json.dumps([case[0], *apart(*case)]), flush=True)
