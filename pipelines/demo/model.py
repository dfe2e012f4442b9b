"""The demo model: the architecture of Qwen3.5 at 6 million parameters, and how its training starts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration
from transformers.models.qwen3_5 import modeling_qwen3_5 as qwen

from pipelines.demo.things import DIGITS
from pipelines.demo.tokenizer import END, IM_END, IMAGE_PAD, VIDEO_PAD, VISION_END, VISION_START, Encoder

HIDDEN = 256
VISION_HIDDEN = 128
NUM_LAYERS = 6
NUM_WAVES = 4


def make_config(encoder: Encoder) -> Qwen3_5Config:
    """The configuration: Gated DeltaNet and full attention by turns, and a vision tower of four."""
    text = {
        "vocab_size": encoder.size,
        "hidden_size": HIDDEN,
        "intermediate_size": 640,
        "num_hidden_layers": NUM_LAYERS,
        "layer_types": ["linear_attention", "full_attention"] * (NUM_LAYERS // 2),
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 48,
        "linear_num_key_heads": 4,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 64,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "eos_token_id": encoder.id(IM_END),
        "pad_token_id": encoder.id(END),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [4, 4, 4],
            "mrope_interleaved": True,
            "partial_rotary_factor": 0.5,
        },
    }
    vision = {
        "depth": 4,
        "hidden_size": VISION_HIDDEN,
        "intermediate_size": 3 * VISION_HIDDEN,
        "num_heads": 4,
        "out_hidden_size": HIDDEN,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 256,
    }
    return Qwen3_5Config(
        text_config=text,
        vision_config=vision,
        image_token_id=encoder.id(IMAGE_PAD),
        video_token_id=encoder.id(VIDEO_PAD),
        vision_start_token_id=encoder.id(VISION_START),
        vision_end_token_id=encoder.id(VISION_END),
        tie_word_embeddings=True,
    )


def new_model(encoder: Encoder, seed: int) -> Qwen3_5ForConditionalGeneration:
    """An untrained model in float32, the same for the same seed."""
    torch.manual_seed(seed)
    model = Qwen3_5ForConditionalGeneration(make_config(encoder))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, qwen.Qwen3_5GatedDeltaNet):
                _remember_longer(module)
        nn.init.normal_(model.model.visual.patch_embed.proj.weight, std=1536**-0.5)
        nn.init.normal_(model.model.visual.pos_embed.weight, std=0.2)
        embeddings = model.model.language_model.embed_tokens.weight
        embeddings[[encoder.id(digit) for digit in DIGITS]] = _number_line()
    return model


@torch.no_grad()
def take_weights(model: Qwen3_5ForConditionalGeneration, encoder: Encoder, folder: Path) -> None:
    """Give the model the weights of a checkpoint of the same shape; embeddings go by the token, whatever its id."""
    embeddings = model.model.language_model.embed_tokens.weight.clone()
    saved = Qwen3_5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    old = saved.model.language_model.embed_tokens.weight
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    for token, i in encoder.tokenizer.get_vocab().items():
        if token in vocabulary:
            embeddings[i] = old[vocabulary[token]]
    state = {name: weight for name, weight in saved.state_dict().items() if weight.shape != old.shape}
    model.load_state_dict(state, strict=False)
    model.model.language_model.embed_tokens.weight.copy_(embeddings)


def _remember_longer(layer: Any) -> None:
    """Start the decay as the Gated DeltaNet authors do: with transformers' own start a layer forgets within a token."""
    heads = layer.num_v_heads
    layer.A_log.copy_(torch.empty(heads).uniform_(1, 16).log())
    step = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp()
    layer.dt_bias.copy_(step + torch.log(-torch.expm1(-step)))


def _number_line() -> torch.Tensor:
    """Embeddings in which neighbouring digits are alike, float32 [10, hidden]."""
    place = torch.linspace(0, 1, len(DIGITS))[:, None]
    wave = torch.arange(1, NUM_WAVES + 1)[None].float()
    phases = torch.cat([torch.cos(math.pi * wave * place), torch.sin(math.pi * wave * place)], dim=1)
    spread = phases / wave.sqrt().repeat(1, 2) @ torch.randn(2 * NUM_WAVES, HIDDEN)
    return spread / spread.std() * 0.02
