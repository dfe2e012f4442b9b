"""The models that go by a name, with the numbers of their published configs, so that nothing is asked of the hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipelines.catalogue.shape import Shape, shape_of
from pipelines.types import UserError

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO = "demo"
DEMO_FOLDER = ROOT / "assets" / "demo-model"


@dataclass(frozen=True)
class KnownModel:
    """A model: its name here, its id at the hub (empty where it has none) and its shape."""

    name: str
    hub_id: str
    shape: Shape

    @property
    def thinks(self) -> bool:
        """Whether its card lets it think by default, as those of the small do not. The shipped model was taught to."""
        from pipelines.engine.presets import is_small  # torch takes seconds

        return self.name == DEMO or not is_small(self.shape.hidden, is_mixture=self.shape.experts > 0)


def _qwen(name: str, text: tuple[int, ...], vision: tuple[int, ...], *, is_tied: bool = True) -> KnownModel:
    """One of the published sizes, which share everything that is not given here.

    `text` is layers, hidden, FFN, value heads, heads and KV heads; `vision` is layers, hidden and FFN.
    """
    layers, hidden, ffn, value_heads, heads, kv_heads = text
    vision_layers, vision_hidden, vision_ffn = vision
    shape = Shape(
        layers=layers,
        full_layers=layers // 4,
        hidden=hidden,
        ffn=ffn,
        vocabulary=248_320,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=256,
        value_heads=value_heads,
        key_heads=16,
        value_dim=128,
        key_dim=128,
        kernel=4,
        is_tied=is_tied,
        context_tokens=262_144,
        vision_layers=vision_layers,
        vision_hidden=vision_hidden,
        vision_ffn=vision_ffn,
        vision_positions=2304,
        vision_patch=3 * 2 * 16 * 16,
        mtp_layers=1,
    )
    return KnownModel(name, f"Qwen/Qwen3.5-{name}", shape)


KNOWN = (
    _qwen("0.8B", (24, 1024, 3584, 16, 8, 2), (12, 768, 3072)),
    _qwen("2B", (24, 2048, 6144, 16, 8, 2), (24, 1024, 4096)),
    _qwen("4B", (32, 2560, 9216, 32, 16, 4), (24, 1024, 4096)),
    _qwen("9B", (32, 4096, 12288, 32, 16, 4), (27, 1152, 4304), is_tied=False),
)
"""Smallest first."""
HUB_IDS = {model.name: model.hub_id for model in KNOWN}


def model_in(folder: Path, name: str) -> KnownModel:
    """The model of a checkpoint folder, by its own config. Raises UserError where that cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'"{name}" is no checkpoint: its config.json is missing or damaged.') from error
    return KnownModel(name, "", shape_of(config if isinstance(config, dict) else {}))
