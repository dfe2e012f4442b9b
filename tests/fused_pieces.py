"""Pieces of prompts through the kernels for GPUs in Triton's interpreter, beside the same in plain torch: a process of
its own, as TRITON_INTERPRET=1 has to be set before Triton is imported.

It prints a line of JSON for each piece: how far the last hidden states and what the row holds, and held where its
states are kept, are apart, beside the largest number of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

from pipelines.engine.fused_piece import BlockSizes, FusedPiece
from pipelines.engine.places import Keep
from pipelines.engine.stack import Stack
from pipelines.models import DEMO_FOLDER
from pipelines.types import WeightFormat
from tests.fused_steps import lay_weights_as_on_a_gpu, shortened_demo

ROW = 1
CASES: tuple[tuple[str, tuple[tuple[int, int, int], ...], WeightFormat], ...] = (
    ("shipped", ((3, 3, 3), (63, 64, 63), (1, 1, 1), (65, 65, 64)), "full"),
    ("shipped, a long piece first", ((150, 192, 40), (64, 64, 1)), "full"),
    ("shipped, kept early", ((64, 64, 2), (130, 192, 128), (70, 128, 3), (128, 128, 127)), "full"),
    ("shipped in int8", ((5, 7, 4),), "int8"),
    ("other shapes", ((65, 128, 1), (6, 7, 5), (200, 256, 100)), "full"),
)
"""What is run, in which weights: tokens of pieces that stand one behind the other, what each is filled up to, and
behind how many of its tokens the states are kept.
"""
UNTOUCHED = 0.5
"""What stands where states are kept, as long as none is."""
BLOCKS = BlockSizes(64, 64, 64, 4, 1)
"""More at once than on a GPU: the interpreter takes its time for each block of threads."""


def other_shapes() -> Any:
    """A random model whose keys are shared by two value heads each, and by four queries."""
    demo = Qwen3_5Config.from_pretrained(DEMO_FOLDER)
    text = {
        "vocab_size": demo.text_config.vocab_size,
        "hidden_size": 128,
        "intermediate_size": 192,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 64,
        "linear_value_head_dim": 32,
        "tie_word_embeddings": True,
        "max_position_embeddings": 4096,
    }
    vision = {"depth": 1, "hidden_size": 64, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 128}
    torch.manual_seed(0)
    return Qwen3_5ForConditionalGeneration(Qwen3_5Config(text_config=text, vision_config=vision)).eval()


def model_of(name: str) -> Any:
    return other_shapes() if name == "other shapes" else shortened_demo()


def held(stack: Stack) -> list[torch.Tensor]:
    """All that the row holds, and what the other rows do."""
    length = stack.slots.lengths[ROW]
    tensors = []
    for is_linear, pair in zip(stack.slots.is_linear, stack.slots.layers, strict=True):
        tensors += [one if is_linear else one[ROW, :, :length] for one in pair]
        tensors += [] if is_linear else [one[[0, 2]] for one in pair]
    return tensors


def apart(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> tuple[float, float]:
    most = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
    return most, max(float(b.abs().max()) for b in theirs)


@torch.inference_mode()
def found(name: str, pieces: tuple[tuple[int, int, int], ...], weights: WeightFormat) -> Iterator[list[Any]]:
    """Of each piece its tokens, and how far apart hidden states and the row are, with the largest number of each."""
    stacks = [Stack(model_of(name), 3, weights) for _ in range(2)]
    generator = torch.Generator().manual_seed(1)
    for stack in stacks:
        stack.slots.reserve(1000)
        for tensor in (tensor for pair in stack.slots.layers for tensor in pair):
            tensor.copy_(torch.randn(tensor.shape, generator=generator.manual_seed(2)) * 0.3)  # of those before
    stacks[1].slots.clear(ROW)
    piece = FusedPiece(stacks[0].lean, stacks[0].slots)
    piece.blocks = BLOCKS
    start = 0
    for count, size, num_kept in pieces:
        ids = torch.randint(0, 1000, (count,), generator=generator)
        hidden = F.embedding(ids, stacks[1].lean.embed)
        positions = torch.arange(start, start + count).expand(3, -1).clone()
        positions[1] += torch.arange(count) % 3  # height differs from the time, as within a picture
        window = stacks[1].slots.window(slice(ROW, ROW + 1), start + count, is_masked=True)
        keep = Keep(num_kept, stacks[1].slots.new_states()) if num_kept < count else None
        numbers = torch.tensor([[start], [count], [num_kept]])
        span = stacks[1].lean.span(ROW, len(hidden), numbers[:2], positions, window, keep=keep)
        theirs = stacks[1].lean.piece(hidden, span)
        kept = stacks[0].slots.new_states()
        for tensor in kept:
            tensor.fill_(UNTOUCHED)
        filled = F.pad(hidden, (0, 0, 0, size - count), value=0.1)
        ours = piece(ROW, filled, numbers, F.pad(positions, (0, size - count)), kept)
        start += count
        for stack in stacks:
            stack.slots.lengths[ROW] = start
        of_ours, of_theirs = map(held, stacks)
        of_theirs += keep.states if keep else [torch.full_like(tensor, UNTOUCHED) for tensor in kept]
        name_of_piece = f"{name}: {count} of {size}, kept behind {num_kept}"
        yield [name_of_piece, *apart([ours], [theirs]), *apart([*of_ours, *kept], of_theirs)]


if __name__ == "__main__":
    lay_weights_as_on_a_gpu()
    for case in CASES:
        for line in found(*case):
            print(json.dumps(line), flush=True)
