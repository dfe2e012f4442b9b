"""The demo tokenizer: any text comes back, and transformers reads the shipped file the same way."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pipelines.demo.export import FOLDER
from pipelines.demo.tokenizer import (
    MARKUP,
    SPECIAL,
    VOCABULARY,
    Encoder,
    build_tokenizer,
    learn_tokenizer,
    texts,
)

ENCODER = Encoder(build_tokenizer())
TEXTS = (
    '[{"bbox_2d": [120, 340, 560, 780], "label": "blue square"}]',
    "Find: blue star\n1. red circle, blue star: no\nTotal: 0\n</think>\n\nNo.",
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Ünï ☃ 中文 12345 210 1210<|im_end|>\n",
    "<0.3 seconds><|vision_start|><|video_pad|><|vision_end|>",
    "tabs\tand\r\nline ends   and 3.14159 405 e",
)


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    assert ENCODER.decode(list(ENCODER(text))) == text


def test_it_has_the_promised_entries() -> None:
    assert ENCODER.size == VOCABULARY
    for token in (*SPECIAL, *MARKUP, "bbox_2d", "point_2d"):
        assert ENCODER(token) == (ENCODER.id(token),)


@pytest.mark.parametrize("number", ["7", "47", "190", "990", "1000", "4057"])
def test_a_number_is_one_token_a_digit(number: str) -> None:
    assert ENCODER(number) == tuple(ENCODER.id(digit) for digit in number)
    assert ENCODER(f" ({number},")[1:-1] == ENCODER(number)


def test_text_that_is_not_composed_stays_so() -> None:
    assert ENCODER.decode(list(ENCODER("e\u0301 \u212b"))) == "e\u0301 \u212b"


def test_a_token_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no 'xyzzy'"):
        ENCODER.id("xyzzy")


def test_one_is_learned_the_same_every_time() -> None:
    assert learn_tokenizer.__wrapped__().to_str() == learn_tokenizer().to_str()


def test_the_shipped_tokenizer_suits_what_is_said_today() -> None:
    """Wordings change after it was learned: it must spend hardly more tokens on them than one that is learned anew."""
    learned, said = Encoder(learn_tokenizer()), list(islice(texts(), 3000))
    assert ENCODER.size == learned.size
    assert sum(len(ENCODER(text)) for text in said) < 1.05 * sum(len(learned(text)) for text in said)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_transformers_encodes_the_same(text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert tuple(tokenizer(text)["input_ids"]) == ENCODER(text)
    assert tokenizer.eos_token == "<|im_end|>"
