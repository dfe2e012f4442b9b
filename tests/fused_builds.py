"""The kernels for GPUs, built without one at the shapes of the 4B in bf16: a process of its own, as Triton's
interpreter would take their place in another.

A step of one row and of two, a piece and a picture run on tensors without memory, and each launch is built instead. It
prints a line of JSON for each: the kernel, the GPU's compute capability, and the bytes of shared memory that it takes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from benchmarks.shapes import random_model
from pipelines.engine.fused_piece import FusedPiece, blocks_for
from pipelines.engine.fused_step import FusedStep
from pipelines.engine.fused_tower import FusedBlocks
from pipelines.engine.lean_tower import FramePlaces, LeanTower
from pipelines.engine.stack import Stack

NUM_TOKENS = NUM_PATCHES = 128
OPTIONS = ("num_warps", "num_stages", "launch_pdl")
TYPES = {torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.int64: "*i64"}


class Builder:
    """Builds what is launched for GPUs of one compute capability, each way once."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)
        self._built = set[str]()

    def launch(self, kernel: Any, *values: Any, grid: Any, warmup: Any, **constants: Any) -> None:  # noqa: ARG002
        """Stands for `JITFunction.run`."""
        given = dict(zip(kernel.arg_names, values, strict=False))
        options = {name: constants.pop(name) for name in OPTIONS if name in constants}
        number = {name: (kernel.arg_names.index(name),) for name in kernel.arg_names}
        types = {name: self._type(value) for name, value in given.items()} | dict.fromkeys(constants, "constexpr")
        aligned = {
            number[name]: [["tt.divisibility", 16]]
            for name, value in given.items()
            if isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0)
        }
        key = f"{kernel.__name__} {types} {constants} {options} {sorted(aligned)}"
        if key in self._built:
            return
        self._built.add(key)
        values_of = {number[name]: value for name, value in constants.items()}
        source = ASTSource(kernel, types, values_of, aligned)
        built = triton.compile(source, target=self._target, options=options)
        print(json.dumps([kernel.__name__, self._target.arch, built.metadata.shared]), flush=True)

    @staticmethod
    def _type(value: object) -> str:
        if isinstance(value, torch.Tensor):
            return TYPES[value.dtype]
        return "fp32" if isinstance(value, float) else "i32"


@torch.inference_mode()
def build(capability: int) -> None:
    """Build all that a step, a piece and a picture launch."""
    builder = Builder(capability)
    JITFunction.run = lambda kernel, *values, **constants: builder.launch(kernel, *values, **constants)
    model = random_model("4B", 4, torch.device("meta"), torch.bfloat16)
    stack = Stack(model, 3)
    stack.slots.reserve(2 * NUM_TOKENS)
    step, piece = FusedStep(stack.lean, stack.slots), FusedPiece(stack.lean, stack.slots)
    step.overlaps = capability >= 90
    piece.blocks = blocks_for(torch.bfloat16, (capability // 10, capability % 10))
    for rows in (1, 2):
        step(torch.zeros(3, rows, dtype=torch.int64, device="meta"))
    hidden = torch.zeros(NUM_TOKENS, stack.lean.embed.shape[1], dtype=torch.bfloat16, device="meta")
    numbers = torch.zeros(2, 1, dtype=torch.int64, device="meta")
    piece(0, hidden, numbers, torch.zeros(3, NUM_TOKENS, dtype=torch.int64, device="meta"))
    vision = model.config.vision_config
    embeddings = torch.zeros(NUM_PATCHES, vision.hidden_size, dtype=torch.bfloat16, device="meta")
    turns = torch.zeros(NUM_PATCHES, 1, 1, vision.hidden_size // vision.num_heads, device="meta")
    tower = LeanTower(model.model.visual, FusedBlocks)
    numbers_of_patch = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    tower(torch.zeros(NUM_PATCHES, numbers_of_patch, device="meta"), FramePlaces(embeddings, turns, turns))


if __name__ == "__main__":
    for capability in map(int, sys.argv[1:]):
        build(capability)
