"""Models of the real shapes of Qwen3.5 with weights that mean nothing, to measure speed on where none are at hand."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

from pipelines.models import DEMO_FOLDER

SHAPES: dict[str, dict[str, int]] = {
    "0.8B": {"hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 24, "heads": 8, "kv": 2, "v": 16},
    "4B": {"hidden_size": 2560, "intermediate_size": 9216, "num_hidden_layers": 32, "heads": 16, "kv": 4, "v": 32},
    "9B": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 32, "heads": 16, "kv": 4, "v": 32},
}
TOWERS: dict[str, tuple[int, int, int, int]] = {
    "0.8B": (12, 768, 12, 3072),
    "4B": (24, 1024, 16, 4096),
    "9B": (27, 1152, 16, 4304),
}
"""Depth, hidden size, heads and inner size of the vision tower."""


def random_model(size: str, layers: int | None, device: torch.device, dtype: torch.dtype) -> Any:
    """A model of the real shapes, all 248,320 tokens included, with weights that mean nothing."""
    shape, (depth, hidden, heads, inner) = SHAPES[size], TOWERS[size]
    demo = Qwen3_5Config.from_pretrained(DEMO_FOLDER)
    text = {
        "vocab_size": 248_320,
        "hidden_size": shape["hidden_size"],
        "intermediate_size": shape["intermediate_size"],
        "num_hidden_layers": layers or shape["num_hidden_layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv"],
        "head_dim": 256,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": shape["v"],
        "tie_word_embeddings": size != "9B",
        "max_position_embeddings": 32_768,
        "eos_token_id": None,
    }
    vision = {
        "depth": depth if layers is None else 2,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_heads": heads,
        "out_hidden_size": shape["hidden_size"],
    }
    tokens = {name: getattr(demo, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    config = Qwen3_5Config(text_config=text, vision_config=vision, tie_word_embeddings=size != "9B", **tokens)
    torch.set_default_dtype(dtype)
    with device:
        model: Any = Qwen3_5ForConditionalGeneration(config).eval()
    torch.set_default_dtype(torch.float32)
    return model
