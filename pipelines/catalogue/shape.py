"""How large a model is and what memory it needs, counted from its config alone: nothing is loaded.

The counts are those of transformers' `qwen3_5` and `qwen3_5_moe`. A checkpoint holds its layers for multi-token
prediction too, which are downloaded and not loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.checkpoint import MODEL_TYPES
from pipelines.types import Json, UserError

Format = Literal["fp32", "bf16", "int8"]
FORMATS: tuple[Format, ...] = ("fp32", "bf16", "int8")
"""How weights are held. fp16 takes what bf16 takes, and fp8 what int8 does."""
STORED_BYTES = 2
STATE_BYTES = 4
"""The recurrent state is kept in fp32, whatever the weights are."""
ACTIVATION_BYTES = 10**9
"""What a prompt's activations and the device's own libraries take, roughly, on top of weights and caches."""


def gigabytes(num_bytes: int) -> str:
    """A size in words."""
    return f"{num_bytes / 1e9:.1f} GB"


@dataclass(frozen=True)
class Shape:
    """The sizes that a config tells. `experts` is 0 in a dense model."""

    layers: int
    full_layers: int
    hidden: int
    ffn: int
    vocabulary: int
    heads: int
    kv_heads: int
    head_dim: int
    value_heads: int
    key_heads: int
    value_dim: int
    key_dim: int
    kernel: int
    is_tied: bool
    context_tokens: int
    vision_layers: int
    vision_hidden: int
    vision_ffn: int
    vision_positions: int
    vision_patch: int
    experts: int = 0
    active_experts: int = 0
    expert_ffn: int = 0
    shared_ffn: int = 0
    mtp_layers: int = 0

    @property
    def parameters(self) -> int:
        """Parameters that are loaded, tied embeddings once."""
        return self._embedding * (1 if self.is_tied else 2) + self._text + self.vision_parameters

    @property
    def vision_parameters(self) -> int:
        """Parameters of the vision tower."""
        width, merged = self.vision_hidden, 4 * self.vision_hidden
        block = 4 * width + 3 * width**2 + 3 * width + width**2 + width + 2 * width * self.vision_ffn
        patches = self.vision_patch * width + width + self.vision_positions * width
        merger = 2 * width + merged**2 + merged + merged * self.hidden + self.hidden
        return patches + self.vision_layers * (block + self.vision_ffn + width) + merger

    @property
    def active_parameters(self) -> int:
        """Parameters that a token passes: with experts, far fewer than all."""
        idle = self.layers * (self.experts - self.active_experts) * 3 * self.hidden * self.expert_ffn
        return self.parameters - idle

    @property
    def download_bytes(self) -> int:
        """What a checkpoint in bf16 weighs."""
        layer = 2 * self.hidden + self._full + self._feed
        mtp = self.mtp_layers * layer + 2 * self.hidden**2 + 3 * self.hidden if self.mtp_layers else 0
        return STORED_BYTES * (self.parameters + mtp)

    def weight_bytes(self, form: Format) -> int:
        """What the weights take once they are loaded.

        In eight bits, the embedding and the vision tower stay as they are. A head that shares the
        embedding's weights gets its own in eight bits.
        """
        if form == "int8":
            eight = self._matrices + self._embedding
            rest = self._embedding + self._text - self._matrices + self.vision_parameters
            return eight + STORED_BYTES * rest
        return (4 if form == "fp32" else STORED_BYTES) * self.parameters

    def visitor_bytes(self, num_tokens: int, form: Format) -> int:
        """What one visitor's conversation of `num_tokens` tokens takes: keys and values, and the recurrent states."""
        number = 4 if form == "fp32" else STORED_BYTES
        keys_and_values = self.full_layers * 2 * self.kv_heads * self.head_dim * number * num_tokens
        state = self.value_heads * self.key_dim * self.value_dim * STATE_BYTES + self._conv * self.kernel * number
        return keys_and_values + (self.layers - self.full_layers) * state

    def memory_bytes(self, form: Format, num_tokens: int, num_visitors: int) -> int:
        """All that it takes for so many visitors at once."""
        return self.weight_bytes(form) + num_visitors * self.visitor_bytes(num_tokens, form) + ACTIVATION_BYTES

    def step_bytes(self, form: Format, num_tokens: int) -> int:
        """What a step of one token reads behind `num_tokens`: the weights that it passes, and the conversation.

        The recurrent states are written again too.
        """
        idle = self.parameters - self.active_parameters
        matrices, rest = self._matrices - idle + self._embedding, self._text - self._matrices
        number = 4 if form == "fp32" else STORED_BYTES
        weights = matrices * (1 if form == "int8" else number) + rest * number
        return weights + self.visitor_bytes(num_tokens, form) + self.visitor_bytes(0, form)

    @property
    def _embedding(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def _conv(self) -> int:
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim

    @property
    def _full(self) -> int:
        """One layer of full attention, its query doubled by its gate."""
        width = self.heads * self.head_dim
        return self.hidden * (3 * width + 2 * self.kv_heads * self.head_dim) + 2 * self.head_dim

    @property
    def _linear(self) -> int:
        """One layer of linear attention."""
        values = self.value_heads * self.value_dim
        projections = self.hidden * (self._conv + 2 * values + 2 * self.value_heads)
        return projections + self._conv * self.kernel + 2 * self.value_heads + self.value_dim

    @property
    def _feed(self) -> int:
        """The feed-forward part of one layer, all experts included."""
        if not self.experts:
            return 3 * self.hidden * self.ffn
        experts = self.experts * 3 * self.hidden * self.expert_ffn
        return experts + self.hidden * self.experts + 3 * self.hidden * self.shared_ffn + self.hidden

    @property
    def _text(self) -> int:
        """Parameters of all layers and the last norm, without embedding and head."""
        linear_layers = self.layers - self.full_layers
        attention = self.full_layers * self._full + linear_layers * self._linear
        return attention + self.layers * (self._feed + 2 * self.hidden) + self.hidden

    @property
    def _matrices(self) -> int:
        """Parameters of the text layers that belong to matrix products, which are most of them."""
        small = 2 * self.full_layers * self.head_dim + (2 * self.layers + 1) * self.hidden
        convolutions = self._conv * self.kernel + 2 * self.value_heads + self.value_dim
        return self._text - small - (self.layers - self.full_layers) * convolutions


def shape_of(config: Mapping[str, Json]) -> Shape:
    """The shape that a `config.json` tells. Raises UserError for another kind of model and for a damaged file."""
    if config.get("model_type") not in MODEL_TYPES:
        raise UserError("This is no Qwen3.5: its config.json names another model type.")
    text, vision = config.get("text_config"), config.get("vision_config")
    if not isinstance(text, Mapping) or not isinstance(vision, Mapping):
        raise UserError("Its config.json holds no usable text_config and vision_config: download it again.")
    layers = _number(text, "num_hidden_layers")
    if isinstance(kinds := text.get("layer_types"), list):
        full = kinds.count("full_attention")
    else:
        full = layers // _number(text, "full_attention_interval", 4, least=1)
    patch = _number(vision, "patch_size", 16) ** 2 * _number(vision, "temporal_patch_size", 2)
    return Shape(
        layers=layers,
        full_layers=full,
        hidden=_number(text, "hidden_size"),
        ffn=_number(text, "intermediate_size", 0),
        vocabulary=_number(text, "vocab_size"),
        heads=_number(text, "num_attention_heads"),
        kv_heads=_number(text, "num_key_value_heads"),
        head_dim=_number(text, "head_dim", 256),
        value_heads=_number(text, "linear_num_value_heads"),
        key_heads=_number(text, "linear_num_key_heads"),
        value_dim=_number(text, "linear_value_head_dim", 128),
        key_dim=_number(text, "linear_key_head_dim", 128),
        kernel=_number(text, "linear_conv_kernel_dim", 4),
        is_tied=config.get("tie_word_embeddings", text.get("tie_word_embeddings")) is True,
        context_tokens=_number(text, "max_position_embeddings", 262_144),
        vision_layers=_number(vision, "depth"),
        vision_hidden=_number(vision, "hidden_size"),
        vision_ffn=_number(vision, "intermediate_size"),
        vision_positions=_number(vision, "num_position_embeddings", 2304),
        vision_patch=_number(vision, "in_channels", 3) * patch,
        experts=_number(text, "num_experts", 0),
        active_experts=_number(text, "num_experts_per_tok", 0),
        expert_ffn=_number(text, "moe_intermediate_size", 0),
        shared_ffn=_number(text, "shared_expert_intermediate_size", 0),
        mtp_layers=_number(text, "mtp_num_hidden_layers", 0),
    )


def _number(values: Mapping[str, Json], key: str, default: int | None = None, *, least: int = 0) -> int:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f'Its config.json holds no usable "{key}": download it again.')
    return value
