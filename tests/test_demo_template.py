"""The demo model's chat template renders as Qwen3.5's own does."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipelines.demo.export import FOLDER, TEMPLATE
from tests import golden

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"


def refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def render(messages: list[dict[str, Any]], **options: bool) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    options = {"add_generation_prompt": True, **options}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(messages=messages, **options)


@golden.needs_golden
@pytest.mark.parametrize("case", golden.read("prompts.json"))
def test_it_renders_as_the_reference(case: dict[str, Any]) -> None:
    thinking = case["enable_thinking"]
    options = {} if thinking is None else {"enable_thinking": bool(thinking)}
    assert render(case["messages"], **options) == case["rendered"]


def test_thinking_is_on_unless_it_is_switched_off() -> None:
    messages = [{"role": "user", "content": " Hello "}]
    opened = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think>\n"
    assert render(messages) == render(messages, enable_thinking=True) == opened
    assert render(messages, enable_thinking=False) == opened + "\n</think>\n\n"
    assert render(messages, add_generation_prompt=False) == opened.removesuffix("<|im_start|>assistant\n<think>\n")


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "<think>\nOne, two.\n</think>\n\nTwo."},
        {"role": "assistant", "content": "Two.", "reasoning_content": "One, two."},
        {"role": "assistant", "content": [{"type": "text", "text": "Two.\n"}]},
    ],
    ids=["inside the content", "beside the content", "as a part"],
)
def test_an_earlier_reply_loses_its_reasoning(turn: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "How many?"}, turn, {"role": "user", "content": "And red?"}]
    assert "<|im_end|>\n<|im_start|>assistant\nTwo.<|im_end|>\n<|im_start|>user\nAnd red?" in render(messages)


def test_pictures_and_clips_are_numbered_where_that_is_asked_for() -> None:
    parts = [{"type": "image"}, {"type": "video"}, {"type": "image"}, {"type": "text", "text": "Compare."}]
    messages = [{"role": "user", "content": parts}, {"role": "user", "content": [{"type": "image"}]}]
    rendered = render(messages, add_vision_id=True)
    assert f"user\nPicture 1: {IMAGE}Video 1: {VIDEO}Picture 2: {IMAGE}Compare.<|im_end|>" in rendered
    assert f"user\nPicture 3: {IMAGE}<|im_end|>" in rendered


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Late."}],
        [{"role": "system", "content": [{"type": "image"}]}],
    ],
    ids=["a system message that comes late", "a picture in the system message"],
)
def test_it_refuses(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(TemplateError):
        render(messages)


def test_the_shipped_template_is_this_one() -> None:
    assert (FOLDER / TEMPLATE.name).read_bytes() == TEMPLATE.read_bytes()
