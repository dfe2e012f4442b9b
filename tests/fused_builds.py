"""The kernels for GPUs, built without one at the shapes of the 4B: a process of its own, as Triton's interpreter would
take their place in another.

Steps of up to eight rows, and one of the 0.8B, the choice or a draw behind them, pieces and a picture run on tensors
without memory, and each launch is built instead: in bf16, and steps by weights of fp8 too where a GPU multiplies it. It
prints a line of JSON for each: the kernel, the GPU's compute capability, and the bytes of shared memory that it takes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from benchmarks.shapes import random_model
from pipelines.engine.fused_choice import FusedChoice
from pipelines.engine.fused_draw import drawn
from pipelines.engine.fused_piece import FusedPiece, blocks_for
from pipelines.engine.fused_step import FusedStep
from pipelines.engine.fused_tower import FusedBlocks
from pipelines.engine.lean import Feed
from pipelines.engine.lean_tower import FramePlaces, LeanTower
from pipelines.engine.stack import Stack
from pipelines.engine.weights import Matrix

NUM_PATCHES = 128
PIECES = 64, 1024
"""Tokens: a short piece is shared out over the GPU in another way."""
ROWS = 1, 2, 4, 8
FP8_CAPABILITY = 89
OPTIONS = ("num_warps", "num_stages", "launch_pdl")
TYPES = {
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.float8_e4m3fn: "*fp8e4nv",
    torch.uint8: "*u8",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


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


def in_eight_bits(matrix: Matrix) -> Matrix:
    """As fp8 weights are held."""
    scale = matrix.weight.new_empty(len(matrix.weight))
    return replace(matrix, weight=matrix.weight.to(torch.float8_e4m3fn), scale=scale)


def new_stack(size: str = "4B", *, is_fp8: bool = False) -> Stack:
    """Four layers, and room for what runs."""
    stack = Stack(random_model(size, 4, torch.device("meta"), torch.bfloat16), ROWS[-1] + 1)
    stack.slots.reserve(2 * PIECES[-1])
    if is_fp8:
        stack.lean.head = in_eight_bits(stack.lean.head)
        for layer in stack.lean.layers:
            assert isinstance(layer.feed, Feed)
            layer.mixer.into, layer.mixer.out = in_eight_bits(layer.mixer.into), in_eight_bits(layer.mixer.out)
            layer.feed.up, layer.feed.down = in_eight_bits(layer.feed.up), in_eight_bits(layer.feed.down)
    return stack


def run_steps(stack: Stack, capability: int, numbers_of_rows: Sequence[int] = ROWS) -> None:
    """A step of each number of rows."""
    step = FusedStep(stack.lean, stack.slots)
    step.overlaps = capability >= 90
    for rows in numbers_of_rows:
        step(torch.zeros(3, rows, dtype=torch.int64, device="meta"))


@torch.inference_mode()
def build(capability: int) -> None:
    """Build all that steps, pieces and a picture launch."""
    builder = Builder(capability)
    JITFunction.run = lambda kernel, *values, **constants: builder.launch(kernel, *values, **constants)
    stack = new_stack()
    run_steps(stack, capability)
    run_steps(new_stack("0.8B"), capability, [1])
    if capability >= FP8_CAPABILITY:
        run_steps(new_stack(is_fp8=True), capability)
    likeliest = FusedChoice(torch.device("meta"))
    likeliest.overlaps = capability >= 90
    logits = torch.empty(1, len(stack.lean.embed), dtype=torch.bfloat16, device="meta")
    ids, _, wholes = likeliest(logits)
    numbers = torch.empty(7, 1, dtype=torch.float64, device="meta")
    drawn(logits, wholes, ids, numbers, logits.to(torch.uint8), ids)
    piece = FusedPiece(stack.lean, stack.slots)
    piece.blocks = blocks_for(torch.bfloat16, (capability // 10, capability % 10))
    for num_tokens in PIECES:
        hidden = torch.zeros(num_tokens, stack.lean.embed.shape[1], dtype=torch.bfloat16, device="meta")
        numbers = torch.zeros(3, 1, dtype=torch.int64, device="meta")
        positions = torch.zeros(3, num_tokens, dtype=torch.int64, device="meta")
        piece(0, hidden, numbers, positions, stack.slots.new_states())
    model = stack.model
    vision = model.config.vision_config
    embeddings = torch.zeros(NUM_PATCHES, vision.hidden_size, dtype=torch.bfloat16, device="meta")
    turns = torch.zeros(NUM_PATCHES, 1, 1, vision.hidden_size // vision.num_heads, device="meta")
    tower = LeanTower(model.model.visual, FusedBlocks)
    numbers_of_patch = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    tower(torch.zeros(NUM_PATCHES, numbers_of_patch, device="meta"), FramePlaces(embeddings, turns, turns))


if __name__ == "__main__":
    for capability in map(int, sys.argv[1:]):
        build(capability)
