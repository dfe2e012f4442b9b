"""Batches of conversations of more than a picture and a question: pairs, second questions, the zoom tool, refusals."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from pipelines.demo.batches import Batch, Size, join, picture_pads, see, see_pictures
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import PHOTO_QUESTIONS, draw_outside, refuse
from pipelines.demo.pairs import Pair, ask_change
from pipelines.demo.questions import PICTURE_WEIGHTS, ask_any
from pipelines.demo.scenes import Scene
from pipelines.demo.sequences import Draft, Mix
from pipelines.demo.specks import SpeckScene
from pipelines.demo.tokenizer import IM_END, IM_START, Encoder
from pipelines.demo.written import imagined
from pipelines.demo.zoom import ask_zoom, refused, tools_prompt
from pipelines.inputs import FRAMES

NUMBERED_SHARE = 0.5
"""How often two pictures are announced as `Picture 1: ` and `Picture 2: `."""


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
        asked = ask_any(rng, imagined(rng, 3), PICTURE_WEIGHTS).question
        question = asked if rng.random() < 0.7 else rng.choice(PHOTO_QUESTIONS)
        draft = Draft(encoder, rng, mix.thinking).ask(question, picture_pads(seen))
        drafts.append(draft.reply(refuse(question, has_picture=True)))
    return join(encoder, "picture", drafts, (seen,))
