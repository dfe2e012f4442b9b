"""A checkpoint's files: in each form that is published or saved, and which are refused, in a sentence."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from pipelines.checkpoint import Checkpoint
from pipelines.engine import LocalEngine
from pipelines.models import DEMO_FOLDER
from pipelines.types import Limits, Message, UserError

PARTS = {"image_processor": "preprocessor_config.json", "video_processor": "video_preprocessor_config.json"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO_FOLDER, tmp_path / "finetune"))


def together(folder: Path) -> dict[str, dict[str, object]]:
    """What bounds media, as transformers 5 writes it into one file."""
    return {part: json.loads((folder / file).read_text(encoding="utf-8")) for part, file in PARTS.items()}


def test_a_finetune_as_transformers_5_saves_it_is_bounded_as_its_model(folder: Path) -> None:
    """It was told to be no whole checkpoint: neither of the two files is written any more."""
    (folder / "processor_config.json").write_text(json.dumps(together(folder)))
    for file in PARTS.values():
        (folder / file).unlink()
    saved, demo = Checkpoint.open(folder), Checkpoint.open(DEMO_FOLDER)
    assert (saved.picture_limits, saved.clip_limits) == (demo.picture_limits, demo.clip_limits)
    assert (saved.min_frames, saved.max_frames) == (4, 16)


@pytest.mark.parametrize("inside", [None, "text_config"], ids=["of the model", "of its text"])
@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "compressed-tensors", "fp8", "modelopt"])
def test_quantised_weights_are_refused_in_a_sentence(method: str, inside: str | None, folder: Path) -> None:
    """Most ended in a traceback, and some answered wrongly: transformers reads the numbers without their scales."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (config[inside] if inside else config)["quantization_config"] = {"quant_method": method}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r'^"told" holds quantised weights, .*: take the 16-bit checkpoint'):
        LocalEngine.load(folder, "told")


@pytest.mark.parametrize("part", PARTS)
def test_what_is_saved_together_goes_before_the_older_files(part: str, folder: Path) -> None:
    bounds = together(folder)[part] | {"size": {"shortest_edge": 1024, "longest_edge": 2048}}
    (folder / "processor_config.json").write_text(json.dumps({part: bounds}))
    saved, demo = Checkpoint.open(folder), Checkpoint.open(DEMO_FOLDER)
    given = {"image_processor": saved.picture_limits, "video_processor": saved.clip_limits}
    before = {"image_processor": demo.picture_limits, "video_processor": demo.clip_limits}
    assert given == before | {part: Limits(1024, 2048)}


def test_a_template_for_training_renders_as_in_transformers(folder: Path) -> None:
    """The tag by which it marks what the assistant said was told as damage."""
    marked = """{% set name = "outer" %}
{% for message in messages %}
    {% generation %}
        {% set name = "inner" %}
        {{- message.content + name }}
    {% endgeneration %}
    {{- name }}
{% endfor %}
"""
    (folder / "chat_template.jinja").write_text(marked)
    messages: list[Message] = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    (expected,), _ = render_jinja_template(conversations=[messages], chat_template=marked)
    assert "Helloinner" in expected
    assert Checkpoint.open(folder).render(messages, enable_thinking=True) == expected


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        pytest.param(b"{{ 1 / 0 }}", "refuses this conversation: division by zero.", id="what Python raises"),
        pytest.param(
            b"{{ ''.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe.", id="unsafe"
        ),
        pytest.param(b"\xff", "chat_template.jinja is damaged", id="no UTF-8"),
        pytest.param(b"{% for a in b %}" * 25 + b"{% endfor %}" * 25, "chat_template.jinja is damaged", id="nested"),
    ],
)
def test_what_goes_wrong_in_a_template_is_told(template: bytes, sentence: str, folder: Path) -> None:
    """What Jinja has no error of its own for was a traceback."""
    (folder / "chat_template.jinja").write_bytes(template)
    with pytest.raises(UserError) as told:
        Checkpoint.open(folder).render([{"role": "user", "content": "Hello"}], enable_thinking=True)
    assert sentence in str(told.value)
    assert not str(told.value).endswith("..")


@pytest.mark.parametrize(
    ("file", "inside", "key", "value"),
    [
        ("config.json", "text_config", "max_position_embeddings", math.inf),
        ("config.json", "text_config", "max_position_embeddings", math.nan),
        ("config.json", None, "image_token_id", -1),
        ("preprocessor_config.json", "size", "longest_edge", math.inf),
        ("preprocessor_config.json", None, "size", {"shortest_edge": 0, "longest_edge": 1024}),
        ("video_preprocessor_config.json", None, "size", {"shortest_edge": 2048, "longest_edge": 1024}),
    ],
)
def test_a_number_of_no_use_is_told(file: str, inside: str | None, key: str, value: object, folder: Path) -> None:
    """JSON in Python may hold what is no number at all."""
    config = json.loads((folder / file).read_text())
    (config[inside] if inside else config)[key] = value
    (folder / file).write_text(json.dumps(config))
    with pytest.raises(UserError, match=f'{file} holds no usable "{key}"'):
        Checkpoint.open(folder)
