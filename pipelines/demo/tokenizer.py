"""The demo model's tokenizer: byte-level BPE of 1,200 entries, learned from the questions and answers it is for.

The shipped one is used again whenever the model is trained, so that a change of a wording exchanges no token;
`python -m pipelines.demo.tokenizer FILE` learns one from today's wordings.

Special tokens bear Qwen's names, and the split is Qwen's own (one digit at a time). Nothing is normalised, so any text
comes back byte for byte; transformers adds Qwen's NFC normaliser to every tokenizer of model type `qwen3_5`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines.demo.clip_questions import ask_any_clip
from pipelines.demo.clips import draw_clip
from pipelines.demo.exchange import Exchange
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import NOT_ABOUT, NOT_DRAWN, OTHER_WORLD, PHOTO_QUESTIONS
from pipelines.demo.pairs import ask_change, draw_pair
from pipelines.demo.questions import PICTURE_WEIGHTS, ask_any
from pipelines.demo.specks import draw_speck
from pipelines.demo.talk import OPENINGS, TALK, WORDS
from pipelines.demo.written import NO_PICTURE, imagined
from pipelines.demo.zoom import BEFORE_TOOLS, PROSE, ask_zoom, refused
from pipelines.tools.offer import ZOOM_TOOL

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "demo-model" / "tokenizer.json"
VOCABULARY = 1200
SEED = 0
NUM_SCENES = 1500
"""How many scenes' worth of text it is learned from."""
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
END, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
SPECIAL = (END, IM_START, IM_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)
MARKUP = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
WHOLE = ("bbox_2d", "point_2d", BEFORE_TOOLS, *PROSE)


@lru_cache(maxsize=1)
def build_tokenizer() -> Tokenizer:
    """The shipped tokenizer, read once a process."""
    return Tokenizer.from_file(str(SHIPPED))


@lru_cache(maxsize=1)
def learn_tokenizer() -> Tokenizer:
    """Learn a tokenizer; it is the same every time, and is learned once a process."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated")
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL) - len(MARKUP) - len(WHOLE),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in (*MARKUP, *WHOLE)])
    return tokenizer


class Encoder:
    """Text to ids, with the pieces that come up again and again remembered."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self._encode = lru_cache(maxsize=100_000)(self._encode_new)

    def __call__(self, text: str) -> tuple[int, ...]:
        """The ids of the text; special tokens in it are read as such."""
        return self._encode(text)

    def id(self, token: str) -> int:
        """The id of one token, by its name."""
        return id_of(self.tokenizer, token)

    def decode(self, ids: list[int]) -> str:
        """The text of the ids, special tokens included."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))

    def _encode_new(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)


def id_of(tokenizer: Tokenizer, token: str) -> int:
    """The id of one token, by its name; ValueError where there is none."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no {token!r}")
    return int(found)


def texts() -> Iterator[str]:
    """What it is learned from: questions, answers and reasoning of drawn scenes."""
    rng = random.Random(SEED)
    for _ in range(NUM_SCENES):
        things = imagined(rng, 5)
        both = follow_up(rng, things)
        yield from _parts(both.second, *(ask_any(rng, things, PICTURE_WEIGHTS) for _ in range(4)))
        if rng.random() < 0.2:
            clip = draw_clip(rng, (64, 64), tuple(i * rng.uniform(0.3, 0.9) for i in range(4)))
            yield from _parts(*(ask_any_clip(rng, clip) for _ in range(3)))
            yield from _parts(ask_change(rng, draw_pair(rng, (96, 96))))
            zooming = ask_zoom(rng, draw_speck(rng, (64, 64)))
            yield from _parts(zooming.call, zooming.result, refused(zooming))
    for _ in range(NUM_SCENES // 8):
        yield from (text for wordings, answer in TALK for text in (*wordings, answer))
        yield from (OTHER_WORLD, NO_PICTURE, "No picture.", NOT_DRAWN, NOT_ABOUT, "user", "assistant", "system")
        yield from ("<0.2 seconds>", "Picture 1: ", "Video 1: ", json.dumps(ZOOM_TOOL), *PHOTO_QUESTIONS)
    for _ in range(NUM_SCENES // 25):
        yield from (f" {word}" for word in (*WORDS, *OPENINGS))


def _parts(*exchanges: Exchange) -> Iterator[str]:
    for exchange in exchanges:
        yield from (exchange.question, exchange.reasoning, exchange.answer)


if __name__ == "__main__":
    learn_tokenizer().save(sys.argv[1])
