"""From drawn scenes to the tensors of a training step: pictures, clips, written lists and small talk."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np
import torch

from pipelines.demo.clip_questions import ask_any_clip
from pipelines.demo.clips import MovingScene, draw_clip
from pipelines.demo.dense import Dense
from pipelines.demo.digits import HARD
from pipelines.demo.drawing import Pixels
from pipelines.demo.exchange import Exchange
from pipelines.demo.questions import PICTURE_WEIGHTS, ask_any
from pipelines.demo.scenes import GLYPH_SHARE, Scene, draw_reduced, draw_scene
from pipelines.demo.sequences import Draft, Mix, converse
from pipelines.demo.tokenizer import END, IMAGE_PAD, VIDEO_PAD, VISION_END, VISION_START, Encoder
from pipelines.demo.written import small_talk, written_exchanges
from pipelines.fusion.prompt import expand_prompt
from pipelines.inputs import FRAMES, MERGE, ORDER, PATCH_PX, ROW, Grid, grid_of

Size = tuple[int, int]
Source = Literal["picture", "clip", "text"]
PICTURE_SIZES: tuple[Size, ...] = (
    (128, 128), (128, 160), (160, 128), (160, 160), (160, 192), (192, 160), (128, 192), (192, 192), (128, 224),
    (160, 224), (128, 256), (192, 128), (224, 160), (160, 192),
)  # fmt: skip
"""Height and width in px. The first five are enough to begin with; all of them lie within the shipped limits."""
CLIP_SIZES: dict[int, tuple[Size, ...]] = {
    4: ((128, 128), (192, 256), (256, 320), (224, 384)),
    6: ((128, 128), (192, 256), (160, 320)),
    8: ((128, 128), (160, 224), (128, 256)),
    12: ((128, 128), (128, 192), (128, 224)),
    16: ((128, 128), (128, 160), (96, 192)),
}
"""Height and width in px by the number of frames, as the limit on all frames together leaves them."""
REDUCED_SHARE = 0.35


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures or clips of one grid (t, h, w in patches): `patches` uint8 [N, 1536] and what their tokens show."""

    patches: torch.Tensor
    grid: Grid
    dense: Dense | None

    @property
    def count(self) -> int:
        """How many pictures or clips there are."""
        t, h, w = self.grid
        return len(self.patches) // (t * h * w)


@dataclass(frozen=True, eq=False)
class Batch:
    """The tensors of one training step.

    `ids` int64 [B, S], `weights` float32 [B, S] (0 where given) and `soft` int64 [B, S], rows of the soft targets.
    `views` holds what each conversation shows, in the order of its placeholders: several views where a conversation has
    several pictures.
    """

    source: Source
    ids: torch.Tensor
    weights: torch.Tensor
    soft: torch.Tensor
    views: tuple[Seen, ...] = ()


def draw_pictures(
    rng: random.Random, count: int, size: Size, max_things: int, glyph_share: float = GLYPH_SHARE
) -> list[Scene]:
    """Pictures of one size, some of them drawn larger and reduced."""
    drawers = [draw_reduced if rng.random() < REDUCED_SHARE else draw_scene for _ in range(count)]
    return [drawer(rng, size, max_things, glyph_share) for drawer in drawers]


def draw_clips(rng: random.Random, count: int, size: Size, num_frames: int) -> list[MovingScene]:
    """Clips of one size and length, at sampling times as real files give them."""
    return [draw_clip(rng, size, _sampling_times(rng, num_frames)) for _ in range(count)]


def see_pictures(scenes: Sequence[Scene]) -> Seen:
    """The patches of pictures of one size."""
    return see([np.repeat(s.rgb[None], FRAMES, axis=0) for s in scenes], [Dense.of_scene(s) for s in scenes])


def see_clips(clips: Sequence[MovingScene]) -> Seen:
    """The patches of clips of one size and length."""
    return see([clip.rgb for clip in clips], [Dense.of_clip(clip) for clip in clips])


def see(frames: Sequence[Pixels], dense: Sequence[Dense] = ()) -> Seen:
    """The patches of frames of one size, uint8 [T, H, W, 3] each."""
    pixels = torch.from_numpy(np.stack(frames)).permute(0, 1, 4, 2, 3)
    t, h, w = grid_of(pixels[0])
    blocks = pixels.reshape(len(frames) * t, FRAMES, 3, h // MERGE, MERGE, PATCH_PX, w // MERGE, MERGE, PATCH_PX)
    patches = blocks.permute(ORDER).reshape(-1, ROW)
    return Seen(patches, (t, h, w), Dense.join(list(dense)) if dense else None)


def picture_pads(seen: Seen) -> str:
    """The placeholders of one of these pictures."""
    return expand_prompt(f"{VISION_START}{IMAGE_PAD}{VISION_END}", [seen.grid], [], [])


def clip_pads(seen: Seen, clip: MovingScene) -> str:
    """The placeholders of one of these clips, with its times."""
    times = [float(time) for time in clip.patch_times]
    return expand_prompt(f"{VISION_START}{VIDEO_PAD}{VISION_END}", [], [seen.grid], [times])


def picture_batch(encoder: Encoder, rng: random.Random, scenes: Sequence[Scene], mix: Mix) -> Batch:
    """Conversations about pictures of one size."""
    seen = see_pictures(scenes)
    media = picture_pads(seen)
    drafts = []
    for scene in scenes:
        exchanges = (ask_any(rng, scene.things, PICTURE_WEIGHTS) for _ in repeat(None))
        drafts.append(converse(encoder, rng, media, _one_or_more(rng, exchanges, mix), mix))
    return join(encoder, "picture", drafts, (seen,))


def clip_batch(encoder: Encoder, rng: random.Random, clips: Sequence[MovingScene], mix: Mix) -> Batch:
    """Conversations about clips of one size and length."""
    seen = see_clips(clips)
    drafts = []
    for clip in clips:
        media = clip_pads(seen, clip)
        exchanges = (ask_any_clip(rng, clip) for _ in repeat(None))
        drafts.append(converse(encoder, rng, media, _one_or_more(rng, exchanges, mix), mix))
    return join(encoder, "clip", drafts, (seen,))


def written_batches(
    encoder: Encoder, rng: random.Random, count: int, each: int, max_things: int, mix: Mix
) -> list[Batch]:
    """`count` batches of `each` conversations about written lists, those of like length together."""
    drafts = []
    for _ in range(count * each):
        exchanges = written_exchanges(rng, max_things, 1 if rng.random() < mix.single else 4)
        drafts.append(converse(encoder, rng, "", exchanges, mix))
    drafts.sort(key=lambda draft: len(draft.ids))
    groups = [drafts[i : i + each] for i in range(0, len(drafts), each)]
    rng.shuffle(groups)
    return [join(encoder, "text", group) for group in groups]


def talk_batch(encoder: Encoder, rng: random.Random, count: int, mix: Mix) -> Batch:
    """Small talk, and questions that lack their picture."""
    return join(encoder, "text", [converse(encoder, rng, "", [small_talk(rng)], mix) for _ in range(count)])


def join(encoder: Encoder, source: Source, drafts: Sequence[Draft], views: tuple[Seen, ...] = ()) -> Batch:
    """The conversations as tensors, padded on the right."""
    longest = max(len(draft.ids) for draft in drafts)
    ids = torch.full((len(drafts), longest), encoder.id(END))
    weights, soft = torch.zeros(ids.shape), torch.full_like(ids, HARD)
    for row, draft in enumerate(drafts):
        ids[row, : len(draft.ids)] = torch.tensor(draft.ids)
        weights[row, : len(draft.ids)] = torch.tensor(draft.weights)
        soft[row, : len(draft.ids)] = torch.tensor(draft.soft)
    return Batch(source, ids, weights, soft, views)


def _one_or_more(rng: random.Random, exchanges: Iterator[Exchange], mix: Mix) -> Iterator[Exchange]:
    yield next(exchanges)
    if rng.random() >= mix.single:
        yield from exchanges


def _sampling_times(rng: random.Random, num_frames: int) -> tuple[float, ...]:
    step = rng.choice((0.5, 0.5, 0.5, rng.uniform(0.45, 0.6), rng.uniform(0.25, 1.0)))
    return tuple(i * step for i in range(num_frames))
