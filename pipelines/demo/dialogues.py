"""Batches of conversations of more than a picture and a question: pairs, second questions, parts, zooming, refusals."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from pipelines.demo.batches import Batch, Size, clip_pads, draw_clips, join, picture_pads, see, see_clips, see_pictures
from pipelines.demo.clip_parts import Part
from pipelines.demo.clip_questions import ask_any_clip
from pipelines.demo.clips import MovingScene
from pipelines.demo.exchange import Exchange
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import FILM_QUESTIONS, PHOTO_QUESTIONS, draw_outside, film_outside, refuse
from pipelines.demo.pairs import Pair, ask_change
from pipelines.demo.questions import PICTURE_WEIGHTS, ask, ask_any
from pipelines.demo.regions import about_region, pick_region
from pipelines.demo.scenes import Scene
from pipelines.demo.sequences import Draft, Mix
from pipelines.demo.specks import SpeckScene, cut_out
from pipelines.demo.talk import ASIDES
from pipelines.demo.tokenizer import IM_END, IM_START, Encoder
from pipelines.demo.written import imagined
from pipelines.demo.zoom import ask_zoom, refused, tools_prompt
from pipelines.inputs import FRAMES

NUMBERED_SHARE = 0.5
"""How often several pictures are announced as `Picture 1: `, `Picture 2: ` and so on."""
LATER_SHARE = 0.5
"""How often a part is marked after a question about the whole."""
COUNT_FIRST = 0.4
"""How often a count is what was asked before a region was marked: "What is this?" must not be told as one."""
FILM_SIZE = (64, 64)
"""Of clips that nobody sees: a question about one is asked of another."""


def change_batch(encoder: Encoder, rng: random.Random, pairs: Sequence[Pair], mix: Mix) -> Batch:
    """What changed between two pictures of one size."""
    views = (see_pictures([pair.first for pair in pairs]), see_pictures([pair.second for pair in pairs]))
    pads = picture_pads(views[0])
    drafts = []
    for pair in pairs:
        is_numbered = rng.random() < NUMBERED_SHARE
        media = f"Picture 1: {pads}Picture 2: {pads}" if is_numbered else pads + pads
        exchange = ask_change(rng, pair)
        drafts.append(Draft(encoder, rng, mix.thinking).ask(exchange.question, media).reply(exchange))
    return join(encoder, "picture", drafts, views)


def follow_batch(encoder: Encoder, rng: random.Random, scenes: Sequence[Scene], mix: Mix) -> Batch:
    """Two questions about a picture, the second one short; the first answer is given as the template repeats it."""
    seen = see_pictures(scenes)
    drafts = []
    for scene in scenes:
        both = follow_up(rng, scene.things)
        draft = Draft(encoder, rng, mix.thinking).ask(both.first.question, picture_pads(seen))
        drafts.append(draft.replay(both.first.answer).ask(both.second.question).reply(both.second))
    return join(encoder, "picture", drafts, (seen,))


def region_batch(encoder: Encoder, rng: random.Random, scenes: Sequence[Scene], closer: Size, mix: Mix) -> Batch:
    """Questions about a region that is marked, whose picture at size `closer` goes along."""
    regions = [pick_region(rng, scene.things) for scene in scenes]
    crops = [cut_out(scene.rgb, region, closer)[None] for scene, region in zip(scenes, regions, strict=True)]
    seen, cut = see_pictures(scenes), see([np.repeat(crop, FRAMES, axis=0) for crop in crops])
    drafts = []
    for scene, region in zip(scenes, regions, strict=True):
        counted = ask(rng, scene.things, "count") if rng.random() < COUNT_FIRST else None
        first = counted or ask_any(rng, scene.things, PICTURE_WEIGHTS)
        asked = about_region(rng, scene.things, region)
        names = ("Picture 1: ", "Picture 2: ") if rng.random() < NUMBERED_SHARE else ("", "")
        draft = Draft(encoder, rng, mix.thinking)
        whole, part = names[0] + picture_pads(seen), names[1] + picture_pads(cut)
        drafts.append(_of_part(draft, whole, part, first, asked))
    return join(encoder, "picture", drafts, (seen, cut))


def part_batch(
    encoder: Encoder,
    rng: random.Random,
    clips: Sequence[MovingScene],
    parts: Sequence[Part],
    closer: Size,
    mix: Mix,
) -> Batch:
    """Questions about the parts of clips, whose pictures, as many for each, go along at size `closer`."""
    seen = see_clips(clips)
    shown = [
        see(
            [
                np.repeat(cut_out(clip.rgb[part.frames[i]], part.region, closer)[None], FRAMES, axis=0)
                for clip, part in zip(clips, parts, strict=True)
            ]
        )
        for i in range(len(parts[0].frames))
    ]
    drafts = []
    for clip, part in zip(clips, parts, strict=True):
        is_numbered = rng.random() < NUMBERED_SHARE
        pads = [picture_pads(one) for one in shown]
        pictures = "".join(f"Picture {n}: {pad}" if is_numbered else pad for n, pad in enumerate(pads, start=1))
        whole = ("Video 1: " if is_numbered else "") + clip_pads(seen, clip)
        draft = Draft(encoder, rng, mix.thinking)
        drafts.append(_of_part(draft, whole, pictures, ask_any_clip(rng, clip), part.exchange))
    return join(encoder, "clip", drafts, (seen, *shown))


def _of_part(draft: Draft, whole: str, part: str, first: Exchange, asked: Exchange) -> Draft:
    """The question about a part: beside the whole, or after a first question about that."""
    if draft.rng.random() < LATER_SHARE:
        return draft.ask(first.question, whole).replay(first.answer).ask(asked.question, part).reply(asked)
    return draft.ask(asked.question, whole + part).reply(asked)


def zoom_batch(encoder: Encoder, rng: random.Random, scenes: Sequence[SpeckScene], closer: Size, mix: Mix) -> Batch:
    """Questions about specks with the tool at hand: the call, the closer look at size `closer`, the answer."""
    seen = see_pictures([scene.seen for scene in scenes])
    crops = see([np.repeat(scene.closer(scene.zoom, closer)[None], FRAMES, axis=0) for scene in scenes])
    drafts = []
    for scene in scenes:
        zooming = ask_zoom(rng, scene)
        draft = Draft(encoder, rng, mix.thinking)
        thinks = rng.random() < mix.thinking
        draft.give(f"{IM_START}system\n{tools_prompt()}{IM_END}\n").ask(zooming.call.question, picture_pads(seen))
        draft.reply(zooming.call, thinks)
        draft.give(f"{IM_START}user\n<tool_response>\n").give(picture_pads(crops))
        draft.give(f"\n</tool_response>{IM_END}\n").reply(zooming.result, thinks)
        drafts.append(draft)
    return join(encoder, "picture", drafts, (seen, crops))


def speck_batch(encoder: Encoder, rng: random.Random, scenes: Sequence[SpeckScene], mix: Mix) -> Batch:
    """The same questions without the tool."""
    seen = see_pictures([scene.seen for scene in scenes])
    drafts = []
    for scene in scenes:
        exchange = refused(ask_zoom(rng, scene))
        draft = Draft(encoder, rng, mix.thinking).ask(exchange.question, picture_pads(seen))
        drafts.append(draft.reply(exchange))
    return join(encoder, "picture", drafts, (seen,))


def outside_batch(encoder: Encoder, rng: random.Random, count: int, size: Size, mix: Mix) -> Batch:
    """Pictures from outside the model's world, with any question."""
    seen = see([np.repeat(draw_outside(rng, size)[None], FRAMES, axis=0) for _ in range(count)])
    drafts = []
    for _ in range(count):
        asked = ask_any(rng, imagined(rng, 3), PICTURE_WEIGHTS)
        exchange = _of_no_drawing(rng, asked, 0.7, PHOTO_QUESTIONS)
        draft = Draft(encoder, rng, mix.thinking).ask(exchange.question, picture_pads(seen))
        drafts.append(draft.reply(exchange))
    return join(encoder, "picture", drafts, (seen,))


def film_batch(encoder: Encoder, rng: random.Random, count: int, size: Size, num_frames: int, mix: Mix) -> Batch:
    """Clips from outside the model's world, with any question."""
    seen = see([film_outside(rng, size, num_frames) for _ in range(count)])
    drafts = []
    for clip in draw_clips(rng, count, FILM_SIZE, num_frames):
        exchange = _of_no_drawing(rng, ask_any_clip(rng, clip), 0.6, FILM_QUESTIONS)
        draft = Draft(encoder, rng, mix.thinking).ask(exchange.question, clip_pads(seen, clip))
        drafts.append(draft.reply(exchange))
    return join(encoder, "clip", drafts, (seen,))


def _of_no_drawing(rng: random.Random, asked: Exchange, share: float, others: Sequence[str]) -> Exchange:
    """What was asked of a drawing, or for the rest of that share one of the others; greetings keep their answers."""
    question = asked.question if rng.random() < share else rng.choice(others)
    return asked if asked.reasoning in ASIDES else refuse(question, has_picture=True)
