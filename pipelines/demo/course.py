"""What is taught when: seeing first, then reading lists, then answering about pictures and clips.

Every step's lessons follow from the seed, the stage, the step, how much of the stage is done and the share alone, so
that a run that was stopped goes on exactly as it would have.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from pipelines.demo.batches import (
    CLIP_SIZES,
    PICTURE_SIZES,
    Batch,
    Seen,
    Size,
    clip_batch,
    draw_clips,
    draw_pictures,
    picture_batch,
    see_clips,
    see_pictures,
    talk_batch,
    written_batches,
)
from pipelines.demo.clip_parts import about_moment, about_span
from pipelines.demo.dialogues import (
    change_batch,
    film_batch,
    follow_batch,
    outside_batch,
    part_batch,
    region_batch,
    speck_batch,
    zoom_batch,
)
from pipelines.demo.pairs import Pair, draw_pair, reduce_pair
from pipelines.demo.scenes import MAX_THINGS
from pipelines.demo.sequences import Mix
from pipelines.demo.specks import draw_speck
from pipelines.demo.tokenizer import Encoder

Stage = Literal["see", "read", "answer"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Special = Literal["change", "follow", "zoom", "outside", "film", "speck"]
ROUND: tuple[Special, ...] = (
    "change", "outside", "film", "zoom", "change", "follow", "change", "zoom", "film", "speck",
)  # fmt: skip
"""What a step holds beside pictures, clips and lists."""
CLOSER_SIZES: tuple[Size, ...] = ((128, 128), (128, 160), (160, 128), (160, 160))


@dataclass(frozen=True)
class Lesson:
    """One batch of a step: how much its words weigh, and how much what its visual tokens show."""

    material: Batch | Seen
    words: float
    sight: float


@dataclass(frozen=True)
class Amounts:
    """How many items of each kind one process works on in a step."""

    see: int = 32
    read: int = 16
    pictures: int = 8
    clips: int = 6
    specials: int = 3
    lists: int = 4
    talks: int = 6


@dataclass(frozen=True)
class Course:
    """The whole curriculum.

    `begins` tells a course for a model that knows nothing, which starts with few things and small pictures. Written
    lists are made for `pool_steps` steps at once, and sorted by length, so that little of a batch is padding.
    """

    encoder: Encoder
    seed: int
    amounts: Amounts
    begins: bool = True
    pool_steps: int = 6

    def lessons(self, stage: Stage, step: int, progress: float, rank: int) -> Iterator[Lesson]:
        """The lessons of one share of a step of a stage, of which the part `progress` is done."""
        progress = progress if self.begins else 1.0
        common = random.Random(f"{self.seed} {stage} {step}")
        own = random.Random(f"{self.seed} {stage} {step} {rank}")
        if stage == "see":
            yield self._see(common, own, progress)
        elif stage == "read":
            yield Lesson(self._lists(stage, step, rank, self.amounts.read, progress), 1.0, 0.0)
        else:
            yield from self._answer(common, own, step, rank, progress)

    def _see(self, common: random.Random, own: random.Random, progress: float) -> Lesson:
        if common.random() < 0.15:
            num_frames = common.choice((4, 6))
            clips = draw_clips(own, self.amounts.see // 4, common.choice(CLIP_SIZES[num_frames]), num_frames)
            return Lesson(see_clips(clips), 0.0, 1.0)
        size = common.choice(PICTURE_SIZES[:5] if progress < 0.6 else PICTURE_SIZES)
        num_specks = self.amounts.see // 8
        scenes = draw_pictures(own, self.amounts.see - num_specks, size, 3 if progress < 0.2 else MAX_THINGS, 0.5)
        scenes += [draw_speck(own, size).seen for _ in range(num_specks)]
        return Lesson(see_pictures(scenes), 0.0, 1.0)

    def _answer(
        self, common: random.Random, own: random.Random, step: int, rank: int, progress: float
    ) -> Iterator[Lesson]:
        encoder, amounts = self.encoder, self.amounts
        mix = Mix(thinking=0.68, single=0.85 if progress < 0.35 else 0.6, max_text_tokens=180)
        size = common.choice(PICTURE_SIZES[:5] if progress < 0.4 else PICTURE_SIZES)
        max_things = 2 if progress < 0.02 else 3 if progress < 0.06 else 4 if progress < 0.12 else MAX_THINGS
        yield Lesson(picture_batch(encoder, own, draw_pictures(own, amounts.pictures, size, max_things), mix), 1.0, 0.4)
        if progress < 0.15:
            yield Lesson(see_pictures(draw_pictures(own, amounts.see // 2, size, MAX_THINGS, 0.5)), 0.0, 0.4)
        num_frames = common.choice(tuple(CLIP_SIZES))
        clips = draw_clips(own, amounts.clips, common.choice(CLIP_SIZES[num_frames]), num_frames)
        yield Lesson(clip_batch(encoder, own, clips, mix), 1.0, 0.2)
        yield Lesson(self._special(common, own, ROUND[step % len(ROUND)], mix), 0.6, 0.2)
        yield Lesson(self._marked(common, own, step, mix), 0.6, 0.2)
        if step % 6 == 5:
            yield Lesson(talk_batch(encoder, own, amounts.talks, mix), 0.15, 0.0)
        yield Lesson(self._lists("answer", step, rank, amounts.lists, 1.0), 0.6, 0.0)

    def _special(self, common: random.Random, own: random.Random, special: Special, mix: Mix) -> Batch:
        encoder, count, size = self.encoder, self.amounts.specials, common.choice(PICTURE_SIZES)
        if special == "change":
            return change_batch(encoder, own, [_pair(own, size) for _ in range(count)], mix)
        if special == "follow":
            return follow_batch(encoder, own, draw_pictures(own, count, size, MAX_THINGS), mix)
        if special == "outside":
            return outside_batch(encoder, own, count, size, mix)
        if special == "film":
            num_frames = common.choice(tuple(CLIP_SIZES))
            return film_batch(encoder, own, count, common.choice(CLIP_SIZES[num_frames]), num_frames, mix)
        specks = [draw_speck(own, size) for _ in range(count)]
        if special == "speck":
            return speck_batch(encoder, own, specks, mix)
        return zoom_batch(encoder, own, specks, common.choice(CLOSER_SIZES), mix)

    def _marked(self, common: random.Random, own: random.Random, step: int, mix: Mix) -> Batch:
        """What the page asks of a part that was marked: of a region, of one at a time of a clip, of a span."""
        encoder, count, closer = self.encoder, self.amounts.specials, common.choice(CLOSER_SIZES)
        if step % 2:
            scenes = draw_pictures(own, count, common.choice(PICTURE_SIZES), MAX_THINGS)
            return region_batch(encoder, own, scenes, closer, mix)
        num_frames = common.choice(tuple(CLIP_SIZES))
        clips = draw_clips(own, count, CLIP_SIZES[num_frames][0], num_frames)
        about = about_moment if common.random() < 0.3 else about_span
        return part_batch(encoder, own, clips, [about(own, clip) for clip in clips], closer, mix)

    def _lists(self, stage: Stage, step: int, rank: int, each: int, progress: float) -> Batch:
        max_things = 3 if progress < 0.15 else 4 if progress < 0.3 else 6
        mix = Mix(thinking=0.6, single=0.85 if progress < 0.4 else 0.6, max_text_tokens=220)
        seed = f"{self.seed} {stage} {step // self.pool_steps} {rank} lists"
        return _pool(self.encoder, seed, self.pool_steps, each, max_things, mix)[step % self.pool_steps]


@lru_cache(maxsize=2)
def _pool(encoder: Encoder, seed: str, steps: int, each: int, max_things: int, mix: Mix) -> list[Batch]:
    return written_batches(encoder, random.Random(seed), steps, each, max_things, mix)


def _pair(rng: random.Random, size: Size) -> Pair:
    """A pair drawn at this size, or drawn larger and reduced."""
    if rng.random() < 0.6:
        return draw_pair(rng, size)
    scale = rng.uniform(1.4, 2.8)
    return reduce_pair(draw_pair(rng, (int(size[0] * scale), int(size[1] * scale))), size)
