"""The demo model's chat template renders as Qwen3.5's own does."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipelines.demo.export import FOLDER, TEMPLATE
from pipelines.demo.zoom import call_text, tools_prompt
from pipelines.tools.offer import ZOOM, ZOOM_TOOL
from tests import golden

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"


def refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def render(messages: list[dict[str, Any]], **options: object) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
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


SYSTEM = f"<|im_start|>system\n{tools_prompt()}<|im_end|>\n"
ASKED = f"<|im_start|>user\n{IMAGE}What number is drawn?<|im_end|>\n"
REGION = (200, 300, 400, 500)
CALL = {
    "type": "function",
    "function": {"name": ZOOM, "arguments": {"bbox_2d": [*REGION], "label": "blue speck", "img_idx": 0}},
}
QUESTION: dict[str, Any] = {
    "role": "user",
    "content": [{"type": "image"}, {"type": "text", "text": "What number is drawn?"}],
}
LOOK: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_content": "Too small.", "tool_calls": [CALL]}
CALLED = f"<|im_start|>assistant\n<think>\nToo small.\n</think>\n\n{call_text(REGION, 'blue speck')}<|im_end|>\n"


def test_tools_are_offered_in_the_system_turn() -> None:
    assert render([QUESTION], tools=[ZOOM_TOOL], add_generation_prompt=False) == SYSTEM + ASKED
    told = render(
        [{"role": "system", "content": " Be brief. "}, QUESTION], tools=[ZOOM_TOOL], add_generation_prompt=False
    )
    assert told == SYSTEM.replace("<|im_end|>", "\n\nBe brief.<|im_end|>") + ASKED


def test_a_call_and_what_it_gave_back_stand_in_the_same_turn() -> None:
    crop: dict[str, Any] = {"role": "tool", "content": [{"type": "image"}]}
    seen = f"<|im_start|>user\n<tool_response>\n{IMAGE}\n</tool_response><|im_end|>\n"
    assert (
        render([QUESTION, LOOK, crop], tools=[ZOOM_TOOL])
        == SYSTEM + ASKED + CALLED + seen + "<|im_start|>assistant\n<think>\n"
    )
    both = render([QUESTION, LOOK, crop, {"role": "tool", "content": "none"}], tools=[ZOOM_TOOL])
    assert both.endswith(
        f"{IMAGE}\n</tool_response>\n<tool_response>\nnone\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n"
    )


def test_a_call_of_an_earlier_question_loses_its_reasoning() -> None:
    later: list[dict[str, Any]] = [
        QUESTION,
        LOOK,
        {"role": "tool", "content": "4"},
        {"role": "user", "content": "And now?"},
    ]
    assert CALLED.replace("<think>\nToo small.\n</think>\n\n", "") in render(later)


def test_a_call_behind_words_stands_apart_from_them() -> None:
    spoken = {**LOOK, "content": "I look closer.", "tool_calls": [CALL, CALL]}
    text = render([QUESTION, spoken], add_generation_prompt=False)
    call = call_text(REGION, "blue speck")
    assert text.endswith(f"</think>\n\nI look closer.\n\n{call}\n{call}<|im_end|>\n")


def test_the_shipped_template_is_this_one() -> None:
    assert (FOLDER / TEMPLATE.name).read_bytes() == TEMPLATE.read_bytes()
