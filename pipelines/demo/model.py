"""The demo model: the architecture of Qwen3.5 at 3 million parameters, and how its training starts."""

from __future__ import annotations

import math
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F  # noqa: N812
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration
from transformers.models.qwen3_5 import modeling_qwen3_5 as qwen

from pipelines.demo.tokenizer import COORDINATES, END, IM_END, IMAGE_PAD, VIDEO_PAD, VISION_END, VISION_START, Encoder

HIDDEN = 192
VISION_HIDDEN = 128
NUM_WAVES = 12


def make_config(encoder: Encoder) -> Qwen3_5Config:
    """The configuration: two Gated DeltaNet and two full-attention layers, and a vision tower of four."""
    text = {
        "vocab_size": encoder.size,
        "hidden_size": HIDDEN,
        "intermediate_size": 448,
        "num_hidden_layers": 4,
        "layer_types": ["linear_attention", "full_attention"] * 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 48,
        "linear_num_key_heads": 4,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 48,
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
        embeddings[[encoder.id(number) for number in COORDINATES]] = _number_line()
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


def hasten(model: Qwen3_5ForConditionalGeneration) -> None:
    """Replace two steps of the vision tower by equal ones that are faster on a CPU, for batches of equal grids."""
    tower = model.model.visual
    tower.patch_embed.forward = MethodType(_embed_patches, tower.patch_embed)
    for block in tower.blocks:
        block.attn.forward = MethodType(_attend_in_batch, block.attn)


def _remember_longer(layer: Any) -> None:
    """Start the decay as the Gated DeltaNet authors do: with transformers' own start a layer forgets within a token."""
    heads = layer.num_v_heads
    layer.A_log.copy_(torch.empty(heads).uniform_(1, 16).log())
    step = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp()
    layer.dt_bias.copy_(step + torch.log(-torch.expm1(-step)))


def _number_line() -> torch.Tensor:
    """Embeddings in which neighbouring coordinates are alike, float32 [number of coordinates, hidden]."""
    place = torch.linspace(0, 1, len(COORDINATES))[:, None]
    wave = torch.arange(1, NUM_WAVES + 1)[None].float()
    phases = torch.cat([torch.cos(math.pi * wave * place), torch.sin(math.pi * wave * place)], dim=1)
    spread = phases / wave.sqrt().repeat(1, 2) @ torch.randn(2 * NUM_WAVES, HIDDEN)
    return spread / spread.std() * 0.02


def _embed_patches(self: Any, patches: torch.Tensor) -> torch.Tensor:
    """The patch convolution as the matrix product that it is."""
    weight = self.proj.weight.flatten(1)
    embedded: torch.Tensor = F.linear(patches.reshape(-1, weight.shape[1]).to(weight.dtype), weight, self.proj.bias)
    return embedded


def _attend_in_batch(
    self: Any,
    hidden_states: torch.Tensor,
    cu_seqlens: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    **_: object,
) -> torch.Tensor:
    """All pictures at once instead of one by one; they are of equal length."""
    total, length = len(hidden_states), int(cu_seqlens[1])
    query, key, value = self.qkv(hidden_states).reshape(total, 3, self.num_heads, -1).unbind(1)
    query, key = qwen.apply_rotary_pos_emb_vision(query, key, *position_embeddings)
    split = [x.reshape(total // length, length, self.num_heads, -1).transpose(1, 2) for x in (query, key, value)]
    mixed = F.scaled_dot_product_attention(*split)
    attended: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(total, -1))
    return attended
