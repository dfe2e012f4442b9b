"""From drawn scenes to the tensors of a training step."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np
import torch

from pipelines.demo.clip_questions import ask_any_clip
from pipelines.demo.clips import MovingScene, draw_clip
from pipelines.demo.drawing import Pixels
from pipelines.demo.exchange import Exchange
from pipelines.demo.heads import Dense
from pipelines.demo.questions import PICTURE_WEIGHTS, ask_any
from pipelines.demo.scenes import Scene, draw_reduced, draw_scene
from pipelines.demo.tokenizer import END, IM_END, IM_START, IMAGE_PAD, VIDEO_PAD, VISION_END, VISION_START, Encoder
from pipelines.demo.written import list_exchanges, small_talk
from pipelines.fusion.prompt import expand_prompt
from pipelines.inputs import FRAMES, Grid, cut

Size = tuple[int, int]
Source = Literal["picture", "clip", "written", "talk"]
IGNORED = -100
PICTURE_SIZES: tuple[Size, ...] = (
    (128, 128), (128, 160), (160, 128), (160, 160), (160, 192), (192, 160), (128, 192), (192, 192), (128, 224),
    (160, 224), (128, 256), (192, 128), (224, 160), (160, 192),
)  # fmt: skip
"""Height and width in px. The first five are enough to begin with; all of them lie within the shipped limits."""
CLIP_SIZES: tuple[Size, ...] = ((96, 96), (128, 128), (96, 128), (128, 96), (96, 128))
REDUCED_SHARE = 0.35
PLAIN_SHARE = 0.05
VERDICT_WEIGHT = 3.0
SHORT_ANSWER_WEIGHT = 2.0
VERDICTS = ("\u0120yes", "\u0120no", "Found", "Not")
"""The tokens on which an answer hangs (`\u0120` is how byte-level BPE writes a space)."""


@dataclass(frozen=True)
class Sequence:
    """One conversation: the ids, and for each of them the loss weight of predicting it (0: given)."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True, eq=False)
class Batch:
    """The tensors of one training step.

    `ids` int64 [B, S], `targets` int64 [B, S] (IGNORED where given), `weights` float32 [B, S]; `patches` float32
    [N, 1536] and `grids` int64 [B, 3] in patches, and the `dense` targets, where there is something to see.
    """

    source: Source
    ids: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    patches: torch.Tensor | None = None
    grids: torch.Tensor | None = None
    dense: Dense | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures or clips of one grid without words: `patches` float32 [N, 1536], `grids` int64 [B, 3], `dense`."""

    patches: torch.Tensor
    grids: torch.Tensor
    dense: Dense

    @property
    def grid(self) -> Grid:
        """The grid of each item (t, h, w), in patches."""
        t, h, w = self.grids[0].tolist()
        return t, h, w


@dataclass(frozen=True)
class Mix:
    """How conversations are made: the share that reasons, the share of one question alone, and the room for text."""

    thinking: float
    single: float
    max_text_tokens: int


def draw_pictures(rng: random.Random, count: int, size: Size, max_things: int) -> list[Scene]:
    """Pictures of one size, some of them drawn larger and reduced."""
    drawers = [draw_reduced if rng.random() < REDUCED_SHARE else draw_scene for _ in range(count)]
    return [drawer(rng, size, max_things) for drawer in drawers]


def draw_clips(rng: random.Random, count: int, size: Size, num_frames: int) -> list[MovingScene]:
    """Clips of one size and length, at sampling times as real files give them."""
    return [draw_clip(rng, size, _sampling_times(rng, num_frames)) for _ in range(count)]


def see_pictures(scenes: list[Scene]) -> Seen:
    """The patches of pictures of one size."""
    return _see([np.repeat(s.rgb[None], FRAMES, axis=0) for s in scenes], [Dense.of_scene(s) for s in scenes])


def see_clips(clips: list[MovingScene]) -> Seen:
    """The patches of clips of one size and length."""
    return _see([clip.rgb for clip in clips], [Dense.of_clip(clip) for clip in clips])


def picture_batch(encoder: Encoder, rng: random.Random, scenes: list[Scene], mix: Mix) -> Batch:
    """Conversations about pictures of one size."""
    seen = see_pictures(scenes)
    media = expand_prompt(f"{VISION_START}{IMAGE_PAD}{VISION_END}", [seen.grid], [], [])
    sequences = []
    for scene in scenes:
        exchanges = (ask_any(rng, scene.things, PICTURE_WEIGHTS) for _ in repeat(None))
        sequences.append(converse(encoder, rng, media, _one_or_more(rng, exchanges, mix), mix))
    return _join(encoder, "picture", sequences, seen)


def clip_batch(encoder: Encoder, rng: random.Random, clips: list[MovingScene], mix: Mix) -> Batch:
    """Conversations about clips of one size and length."""
    seen = see_clips(clips)
    sequences = []
    for clip in clips:
        times = [float(time) for time in clip.patch_times]
        media = expand_prompt(f"{VISION_START}{VIDEO_PAD}{VISION_END}", [], [seen.grid], [times])
        exchanges = (ask_any_clip(rng, clip) for _ in repeat(None))
        sequences.append(converse(encoder, rng, media, _one_or_more(rng, exchanges, mix), mix))
    return _join(encoder, "clip", sequences, seen)


def written_batches(
    encoder: Encoder, rng: random.Random, count: int, each: int, max_things: int, mix: Mix
) -> list[Batch]:
    """`count` batches of `each` conversations about written lists, those of like length together."""
    sequences = []
    for _ in range(count * each):
        num_exchanges = 1 if rng.random() < mix.single else 4
        exchanges = list_exchanges(rng, max_things, num_exchanges)
        sequences.append(converse(encoder, rng, "", exchanges, mix))
    sequences.sort(key=lambda sequence: len(sequence.ids))
    groups = [sequences[i : i + each] for i in range(0, len(sequences), each)]
    rng.shuffle(groups)
    return [_join(encoder, "written", group) for group in groups]


def talk_batch(encoder: Encoder, rng: random.Random, count: int, mix: Mix) -> Batch:
    """Small talk, and questions that lack their picture."""
    sequences = [converse(encoder, rng, "", [small_talk(rng)], mix) for _ in range(count)]
    return _join(encoder, "talk", sequences)


def converse(encoder: Encoder, rng: random.Random, media: str, exchanges: Iterable[Exchange], mix: Mix) -> Sequence:
    """Questions and replies in Qwen's form; the media stand before the first question."""
    ids: list[int] = []
    weights: list[float] = []
    room = mix.max_text_tokens
    refused = 0
    for exchange in exchanges:
        question = [*encoder(f"{IM_START}user\n"), *encoder(media), *encoder(f"{exchange.question}{IM_END}\n")]
        opening, reply, reply_weights = _reply(encoder, rng, exchange, mix.thinking)
        length = len(question) + len(opening) + len(reply) - len(encoder(media))
        if ids and length > room:
            refused += 1
            if refused > 3:
                break
            continue
        given = [*question, *opening]
        ids += [*given, *reply, *encoder("\n")]
        weights += [0.0] * len(given) + reply_weights + [0.0] * len(encoder("\n"))
        room -= length
        media = ""
    return Sequence(ids, weights)


def _reply(
    encoder: Encoder, rng: random.Random, exchange: Exchange, thinking: float
) -> tuple[tuple[int, ...], tuple[int, ...], list[float]]:
    """How the reply is opened in the prompt, the reply, and the weight of each of its tokens."""
    opening = f"{IM_START}assistant\n"
    if rng.random() < thinking:
        reply = encoder(f"{exchange.reasoning}\n</think>\n\n{exchange.answer}{IM_END}")
        heavy = {encoder.id(token) for token in VERDICTS}
        end = reply.index(encoder.id("</think>"))
        weights = [VERDICT_WEIGHT if token in heavy and i < end else 1.0 for i, token in enumerate(reply)]
        return encoder(opening + "<think>\n"), reply, weights
    if rng.random() > PLAIN_SHARE:
        opening += "<think>\n\n</think>\n\n"
    reply = encoder(f"{exchange.answer}{IM_END}")
    weight = 1.0 if exchange.answer.startswith("[") else SHORT_ANSWER_WEIGHT
    return encoder(opening), reply, [weight] * len(reply)


def _one_or_more(rng: random.Random, exchanges: Iterator[Exchange], mix: Mix) -> Iterator[Exchange]:
    yield next(exchanges)
    if rng.random() >= mix.single:
        yield from exchanges


def _sampling_times(rng: random.Random, num_frames: int) -> tuple[float, ...]:
    step = rng.choice((0.5, 0.5, rng.uniform(0.45, 0.6), rng.uniform(0.25, 1.0)))
    return tuple(i * step for i in range(num_frames))


def _see(frames: list[Pixels], dense: list[Dense]) -> Seen:
    patches = [cut(torch.from_numpy(np.ascontiguousarray(item)).permute(0, 3, 1, 2)) for item in frames]
    grids = torch.tensor([part.grid_thw for part in patches])
    return Seen(torch.cat([part.values for part in patches]), grids, Dense.join(dense))


def _join(encoder: Encoder, source: Source, sequences: list[Sequence], seen: Seen | None = None) -> Batch:
    longest = max(len(sequence.ids) for sequence in sequences)
    ids = torch.full((len(sequences), longest), encoder.id(END))
    weights = torch.zeros(ids.shape)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence.ids)] = torch.tensor(sequence.ids)
        weights[row, : len(sequence.ids)] = torch.tensor(sequence.weights)
    targets = ids.masked_fill(weights == 0, IGNORED)
    if seen is None:
        return Batch(source, ids, targets, weights)
    return Batch(source, ids, targets, weights, seen.patches, seen.grids, seen.dense)
