"""The model's forward pass for training, in few operations: the same numbers as transformers', without its detours.

On a GPU a step costs as much as it has operations, and on a CPU as much as it moves memory. So all frames of a step go
through the tower at once, padded to one length, and the Gated DeltaNet layers solve all their chunks together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.demo.sheets import Sheet

CHUNK = 64
UNIT_EPS = 1e-6
LAYER_EPS = 1e-6
HALF = 127.5

Rotation = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines."""


def see(model: Qwen3_5ForConditionalGeneration, sheet: Sheet) -> torch.Tensor:
    """The visual tokens of a sheet, float32 [N / 4, hidden]."""
    tower = model.model.visual
    patches = sheet.patches.float().sub_(HALF).div_(HALF)
    embedded = F.linear(patches, tower.patch_embed.proj.weight.flatten(1), tower.patch_embed.proj.bias)
    places = F.embedding(sheet.corners, tower.pos_embed.weight)
    hidden = embedded + (places * sheet.shares[..., None]).sum(1)
    hidden = hidden.index_select(0, sheet.rows.flatten()).view(*sheet.rows.shape, -1)
    turn = _axial(tower.rotary_pos_emb.inv_freq, sheet.cells.index_select(0, sheet.rows.flatten()))
    turn = (turn[0].view(*sheet.rows.shape, 1, -1), turn[1].view(*sheet.rows.shape, 1, -1))
    mask = sheet.there[:, None, None] if sheet.rows.numel() > len(sheet.patches) else None
    for block in tower.blocks:
        hidden = hidden + _look(block.attn, _layer_norm(hidden, block.norm1), turn, mask)
        hidden = hidden + block.mlp(_layer_norm(hidden, block.norm2))
    seen = hidden.flatten(0, 1).index_select(0, sheet.back)
    merged: torch.Tensor = tower.merger(seen)
    return merged


def read(model: Qwen3_5ForConditionalGeneration, sheet: Sheet, visual: torch.Tensor | None) -> torch.Tensor:
    """The last hidden states of a sheet's conversations, float32 [B, S, hidden]; `visual` holds its visual tokens.

    Padding stands on the right and needs no mask.
    """
    text = model.model.language_model
    hidden = F.embedding(sheet.ids, text.embed_tokens.weight)
    if visual is not None:
        flat = hidden.flatten(0, 1).index_copy(0, sheet.slots, visual.index_select(0, sheet.order))
        hidden = flat.view_as(hidden)
    turn = _interleaved(text.rotary_emb, sheet.positions)
    for layer, kind in zip(text.layers, text.config.layer_types, strict=True):
        normed = _rms_norm(hidden, layer.input_layernorm)
        is_linear = kind == "linear_attention"
        mixed = _remember(layer.linear_attn, normed) if is_linear else _attend(layer.self_attn, normed, turn)
        hidden = hidden + mixed
        mlp, normed = layer.mlp, _rms_norm(hidden, layer.post_attention_layernorm)
        hidden = hidden + mlp.down_proj(F.silu(mlp.gate_proj(normed)) * mlp.up_proj(normed))
    return _rms_norm(hidden, text.norm)


def _layer_norm(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.layer_norm(hidden, (hidden.shape[-1],), norm.weight, norm.bias, LAYER_EPS)


def _rms_norm(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.rms_norm(hidden, (hidden.shape[-1],), 1 + norm.weight, norm.eps)


def _look(attention: Any, hidden: torch.Tensor, turn: Rotation, mask: torch.Tensor | None) -> torch.Tensor:
    """Every frame for itself, [frames, length, hidden]."""
    mixed = attention.qkv(hidden).unflatten(-1, (3, attention.num_heads, -1))
    both, value = _rotated(mixed[:, :, :2], (turn[0][:, :, None], turn[1][:, :, None])), mixed[:, :, 2]
    query, key = both.unbind(2)
    query, key, value = (one.transpose(1, 2) for one in (query, key, value))
    seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    looked: torch.Tensor = attention.proj(seen.transpose(1, 2).flatten(2))
    return looked


def _attend(attention: Any, hidden: torch.Tensor, turn: Rotation) -> torch.Tensor:
    """Gated causal attention."""
    dim, groups = attention.head_dim, attention.num_key_value_groups
    query, gate = attention.q_proj(hidden).unflatten(-1, (-1, 2 * dim)).chunk(2, dim=-1)
    key, value = (proj(hidden).unflatten(-1, (-1, dim)) for proj in (attention.k_proj, attention.v_proj))
    query = _rotated(_rms_norm(query, attention.q_norm), turn).transpose(1, 2)
    key = _rotated(_rms_norm(key, attention.k_norm), turn).transpose(1, 2).repeat_interleave(groups, dim=1)
    value = value.transpose(1, 2).repeat_interleave(groups, dim=1)
    seen = F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
    attended: torch.Tensor = attention.o_proj((seen * gate.sigmoid()).flatten(2))
    return attended


def _remember(layer: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Gated DeltaNet."""
    mixed = F.silu(_convolved(layer.in_proj_qkv(hidden), layer.conv1d.weight[:, 0].unbind(1)))
    query, key, value = mixed.split_with_sizes([layer.key_dim, layer.key_dim, layer.value_dim], dim=-1)
    query, key = (_unit(_in_heads(one, layer.head_k_dim)) for one in (query, key))
    value = _in_heads(value, layer.head_v_dim)
    decay = -layer.A_log.exp() * F.softplus(layer.in_proj_a(hidden) + layer.dt_bias)
    seen = delta_rule(query * layer.head_k_dim**-0.5, key, value, decay, layer.in_proj_b(hidden).sigmoid())
    normed = F.rms_norm(seen, (layer.head_v_dim,), layer.norm.weight, layer.layer_norm_epsilon)
    gate = _in_heads(layer.in_proj_z(hidden), layer.head_v_dim)
    remembered: torch.Tensor = layer.out_proj((normed * F.silu(gate)).flatten(2))
    return remembered


def _in_heads(values: torch.Tensor, dim: int) -> torch.Tensor:
    """[B, S, heads x dim] to [B, S, heads, dim]."""
    return values.view(*values.shape[:2], -1, dim)


def _convolved(hidden: torch.Tensor, taps: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Every channel of [B, S, channels] convolved with its own taps, the last of which lies on the token itself."""
    length = hidden.shape[1]
    past = F.pad(hidden, (0, 0, len(taps) - 1, 0))
    mixed = past[:, :length] * taps[0]
    for shift, tap in enumerate(taps[1:], start=1):
        mixed = torch.addcmul(mixed, past[:, shift : shift + length], tap)
    return mixed


def delta_rule(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, decay: torch.Tensor, strength: torch.Tensor
) -> torch.Tensor:
    """What each token reads, [B, S, heads, dim] as `query`, `key` and `value`; heads of all three are equally many.

    `decay` [B, S, heads] are logarithms of what is left of the state, `strength` [B, S, heads] is how much of a value
    is written. What a chunk does to the state is a matrix and a summand, made for all chunks at once; only these two
    are applied one chunk after the other.
    """
    length = query.shape[1]
    query, key, value = (_chunks(one) for one in (query, key, value))
    decay, strength = (_chunks(one[..., None]) for one in (decay, strength))
    since = decay.cumsum(3)
    between = (since - since.transpose(3, 4)).masked_fill(_future(query.device), -torch.inf).exp()
    left, rest = since.exp(), (since[:, :, :, -1:] - since).exp()
    stronger = key * strength
    system = (stronger @ key.mT) * between
    wanted = torch.cat([value * strength, stronger * left], dim=-1)
    solved = torch.linalg.solve_triangular(system, wanted, upper=False, unitriangular=True)
    written, taken = solved.split_with_sizes([value.shape[-1], key.shape[-1]], dim=-1)
    lasting = (key * rest).mT
    kept = torch.eye(key.shape[-1], device=key.device) * left[:, :, :, -1:] - lasting @ taken
    states = _states(kept, lasting @ written)
    inner = (query @ key.mT) * between
    seen = (query * left) @ states + inner @ (written - taken @ states)
    whole: torch.Tensor = seen.flatten(2, 3)[:, :, :length]
    return whole.transpose(1, 2)


def _states(kept: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """The state before each chunk, [B, heads, chunks, key dim, value dim]."""
    state = torch.zeros_like(added[:, :, 0])
    states = [state]
    for chunk in range(added.shape[2] - 1):
        state = kept[:, :, chunk] @ state + added[:, :, chunk]
        states.append(state)
    return torch.stack(states, dim=2)


def _chunks(values: torch.Tensor) -> torch.Tensor:
    """[B, S, heads, dim] to [B, heads, chunks, CHUNK, dim], padded with zeros."""
    padded = F.pad(values, (0, 0, 0, 0, 0, -values.shape[1] % CHUNK))
    whole = padded.transpose(1, 2)
    return whole.reshape(*whole.shape[:2], -1, CHUNK, whole.shape[-1])


def _future(device: torch.device) -> torch.Tensor:
    return torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=device).triu(1)


def _unit(values: torch.Tensor) -> torch.Tensor:
    """Vectors of length 1."""
    dim = values.shape[-1]
    return torch.as_tensor(F.rms_norm(values, (dim,), None, UNIT_EPS / dim) * dim**-0.5)


def _rotated(values: torch.Tensor, turn: Rotation) -> torch.Tensor:
    """The first entries of each head turned by the angles, [..., heads, dim]; the others stay as they are."""
    cosine, sine = turn
    turned, rest = values.split_with_sizes([cosine.shape[-1], values.shape[-1] - cosine.shape[-1]], dim=-1)
    first, second = turned.chunk(2, dim=-1)
    return torch.cat([turned * cosine + torch.cat([-second, first], dim=-1) * sine, rest], dim=-1)


def _axial(frequencies: torch.Tensor, cells: torch.Tensor) -> Rotation:
    """The rotation of patches at (row, column), int64 [N, 2]."""
    angles = (cells[..., None] * frequencies).flatten(1).repeat(1, 2)
    return angles.cos(), angles.sin()


def _interleaved(rotary: Any, positions: torch.Tensor) -> Rotation:
    """The rotation of text at positions (time, row, column), int64 [3, B, S], for all heads."""
    every = positions[..., None] * rotary.inv_freq
    angles = every[0].clone()
    for axis in (1, 2):
        part = slice(axis, 3 * rotary.mrope_section[axis], 3)
        angles[..., part] = every[axis][..., part]
    angles = angles.repeat(1, 1, 2)[:, :, None]
    return angles.cos(), angles.sin()
