"""What each Qwen3.5 needs in memory: `python -m benchmarks.fits [TOKENS]`.

Counted, not measured: the model is built without memory (torch's meta device) from the published shapes, and the cache
of one conversation of TOKENS tokens (default 8,192) is added. Activations come on top, about 1 GB.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

VOCABULARY = 248_320
HEAD_DIM = 256
LINEAR_HEAD_DIM = 128
FULL_ATTENTION_EVERY = 4
DEVICES_GB = {"T4, 16 GB": 15, "L4 or RTX 4090, 24 GB": 22, "L40S, 48 GB": 45, "A100 or H100, 80 GB": 78}
"""What is left for a model after the driver and the context took theirs."""


@dataclass(frozen=True)
class Shape:
    """The sizes that tell one Qwen3.5 from another."""

    layers: int
    hidden: int
    ffn: int
    linear_value_heads: int
    heads: int
    kv_heads: int
    vision_layers: int
    vision_hidden: int
    vision_ffn: int
    vision_heads: int
    is_tied: bool


SHAPES = {
    "0.8B": Shape(24, 1024, 3584, 16, 8, 2, 12, 768, 3072, 12, True),
    "2B": Shape(24, 2048, 6144, 16, 8, 2, 24, 1024, 4096, 16, True),
    "4B": Shape(32, 2560, 9216, 32, 16, 4, 24, 1024, 4096, 16, True),
    "9B": Shape(32, 4096, 12288, 32, 16, 4, 27, 1152, 4304, 16, False),
}


def config_of(shape: Shape) -> Qwen3_5Config:
    """The model's config, in the form of the published ones."""
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": HEAD_DIM,
        "linear_num_value_heads": shape.linear_value_heads,
        "linear_num_key_heads": 16,
        "linear_key_head_dim": LINEAR_HEAD_DIM,
        "linear_value_head_dim": LINEAR_HEAD_DIM,
        "tie_word_embeddings": shape.is_tied,
    }
    vision = {
        "depth": shape.vision_layers,
        "hidden_size": shape.vision_hidden,
        "intermediate_size": shape.vision_ffn,
        "num_heads": shape.vision_heads,
        "out_hidden_size": shape.hidden,
    }
    return Qwen3_5Config(text_config=text, vision_config=vision, tie_word_embeddings=shape.is_tied)


def count_parameters(shape: Shape) -> int:
    """Parameters of the model, tied embeddings once."""
    with torch.device("meta"):
        model = Qwen3_5ForConditionalGeneration(config_of(shape))
    model.tie_weights()
    return sum(parameter.numel() for parameter in model.parameters())


def cache_bytes(shape: Shape, num_tokens: int) -> int:
    """Keys and values of the full-attention layers in 16 bits, and the fp32 state of the others."""
    full = shape.layers // FULL_ATTENTION_EVERY
    keys_and_values = full * 2 * shape.kv_heads * HEAD_DIM * 2 * num_tokens
    return keys_and_values + (shape.layers - full) * shape.linear_value_heads * LINEAR_HEAD_DIM**2 * 4


def main() -> None:
    """Print the table."""
    num_tokens = int(sys.argv[1]) if len(sys.argv) > 1 else 8192
    print(f"| model | parameters | 16-bit weights | with {num_tokens:,} tokens | fits |\n|---|---|---|---|---|")
    for name, shape in SHAPES.items():
        parameters = count_parameters(shape)
        total_gb = (2 * parameters + cache_bytes(shape, num_tokens)) / 1e9
        fits = [device for device, room_gb in DEVICES_GB.items() if total_gb + 1 <= room_gb]
        print(f"| {name} | {parameters / 1e9:.2f} B | {2 * parameters / 1e9:.1f} GB | {total_gb:.1f} GB | {fits[0]} |")


if __name__ == "__main__":
    main()
