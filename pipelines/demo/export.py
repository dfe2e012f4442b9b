"""Write a trained model in the form of a hub checkpoint: `python -m pipelines.demo.export`."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.demo.model import make_config
from pipelines.demo.plan import Plan
from pipelines.demo.tokenizer import (
    END,
    IM_END,
    IMAGE_PAD,
    VIDEO_PAD,
    VISION_END,
    VISION_START,
    Encoder,
    build_tokenizer,
)
from pipelines.types import Limits

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "demo-model"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
PICTURE_PIXELS = {"shortest_edge": 128 * 128, "longest_edge": 192 * 192}
CLIP_PIXELS = {"shortest_edge": 4 * 96 * 96, "longest_edge": 16 * 128 * 176}
"""What was trained: pixels of a picture, and of all frames of a clip together."""
PICTURE_LIMITS = Limits(PICTURE_PIXELS["shortest_edge"], PICTURE_PIXELS["longest_edge"])
SAMPLE_FPS = 2
MIN_FRAMES, MAX_FRAMES = 4, 16

JsonValue = str | int | float | bool | list[float] | dict[str, int]


def export(state_file: Path, folder: Path) -> None:
    """Write the weights of a training state, in bfloat16, and all that belongs to them."""
    encoder = Encoder(build_tokenizer())
    model = Qwen3_5ForConditionalGeneration(make_config(encoder))
    model.load_state_dict(torch.load(state_file, weights_only=True, map_location="cpu")["model"])
    model.generation_config.do_sample = False
    model.generation_config.eos_token_id = encoder.id(IM_END)
    model.generation_config.pad_token_id = encoder.id(END)
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    encoder.tokenizer.save(str(folder / "tokenizer.json"))
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
    _write(folder / "tokenizer_config.json", _tokenizer_config())
    _write(folder / "preprocessor_config.json", _preprocessor_config())
    _write(folder / "video_preprocessor_config.json", _video_preprocessor_config())


def _tokenizer_config() -> Mapping[str, JsonValue]:
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": IM_END,
        "pad_token": END,
        "image_token": IMAGE_PAD,
        "video_token": VIDEO_PAD,
        "vision_bos_token": VISION_START,
        "vision_eos_token": VISION_END,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
    }


def _preprocessor_config() -> Mapping[str, JsonValue]:
    return {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "processor_class": "Qwen3VLProcessor",
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": PICTURE_PIXELS,
    }


def _video_preprocessor_config() -> Mapping[str, JsonValue]:
    shared = {key: value for key, value in _preprocessor_config().items() if key != "image_processor_type"}
    return {
        **shared,
        "video_processor_type": "Qwen3VLVideoProcessor",
        "size": CLIP_PIXELS,
        "fps": SAMPLE_FPS,
        "min_frames": MIN_FRAMES,
        "max_frames": MAX_FRAMES,
    }


def _write(file: Path, values: Mapping[str, JsonValue]) -> None:
    file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read the options and export."""
    parser = argparse.ArgumentParser(description="Write the trained demo model in the form of a hub checkpoint.")
    parser.add_argument("--state", type=Path, default=Plan().state_file)
    parser.add_argument("--to", type=Path, default=FOLDER)
    options = parser.parse_args()
    export(options.state, options.to)


if __name__ == "__main__":
    main()
