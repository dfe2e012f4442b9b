"""What the memory that the weights leave has room for: how many requests run at once, and how much is kept of them."""

from __future__ import annotations

from typing import Any

import torch

from pipelines.allotted import available_bytes

ROWS = (8, 4, 2)
CPU_ROWS = 4
"""On a CPU more rows take each other's time."""
ROW_TOKENS = 16_384
"""The context that every row should have room for at once: a clip of 12,288 visual tokens and a long talk about it."""
SHARE = 0.5
"""The share of free memory for the caches; the rest is for prefill, the vision tower and what is kept."""
KEPT_SHARE = 1 / 16
LEAST_KEPT_BYTES = 512 * 2**20
"""Also where hardly any is free: a conversation about a long clip fills most of it, once for the question and once for
the answer."""


def bytes_of_row(config: Any, dtype: torch.dtype, num_tokens: int) -> int:
    """Bytes that a row of the slots takes for `num_tokens`, by the text config of a `qwen3_5` model."""
    tokens = min(num_tokens, config.max_position_embeddings)
    full = 2 * tokens * config.num_key_value_heads * config.head_dim * dtype.itemsize
    keys = config.linear_num_key_heads * config.linear_key_head_dim
    values = config.linear_num_value_heads * config.linear_value_head_dim
    conv = (2 * keys + values) * config.linear_conv_kernel_dim * dtype.itemsize
    recurrent = config.linear_num_value_heads * config.linear_key_head_dim * config.linear_value_head_dim * 4
    num_linear = config.layer_types.count("linear_attention")
    return int((len(config.layer_types) - num_linear) * full + num_linear * (conv + recurrent))


def rows_for(free_bytes: int, row_bytes: int, is_gpu: bool) -> int:
    """The most of 8, 4, 2 and 1 rows, and of one more for prefill, that half of the free memory holds."""
    most = ROWS[0] if is_gpu else CPU_ROWS
    return next((rows for rows in ROWS if rows <= most and (rows + 1) * row_bytes <= SHARE * free_bytes), 1)


def kept_for(free_bytes: int) -> int:
    """Bytes of conversations that are kept at most."""
    return max(int(KEPT_SHARE * free_bytes), LEAST_KEPT_BYTES)


def choose_kept(model: Any) -> int:
    """How much a loaded model should keep of conversations on the device it is on."""
    return kept_for(_free_bytes(model.device))


def choose_rows(model: Any) -> int:
    """How many requests a loaded model should run at once on the device it is on."""
    row_bytes = bytes_of_row(model.config.text_config, model.dtype, ROW_TOKENS)
    is_gpu = model.device.type == "cuda"
    return rows_for(_free_bytes(model.device), row_bytes, is_gpu)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what torch keeps, as of weights that are held in eight bits now, is free too
        return int(torch.cuda.mem_get_info(device)[0])
    return available_bytes()
