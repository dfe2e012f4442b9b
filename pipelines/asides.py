"""What can be asked about an answer: is a claim in it true, where did the model look, how will the next prompt begin?

The engine does all of it beside its replies, and nothing of it changes the conversation.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import replace
from threading import Event as Flag

import numpy as np

from pipelines.engine import Engine
from pipelines.fusion import inputs_for, look_of
from pipelines.inputs import ModelInputs
from pipelines.media import Cancelled, open_once
from pipelines.messages import beginning_of_next, fused
from pipelines.tools import Refused, Zoom
from pipelines.types import (
    Box,
    Clip,
    Gaze,
    Media,
    Message,
    Picture,
    Region,
    Request,
    Result,
    Sampling,
    Settings,
    Token,
    UserError,
    Work,
)

QUESTION = "Is there {} in this picture?"
YES, NO = ("Yes", "yes"), ("No", "no")
MARGIN = 0.125
"""The share of a box's sides that is shown around it: more would let in neighbours, of which the claim says nothing."""
GROUND = 3.0
"""The side of the plain ground that the part is shown on, in its longer sides: what is cut close is harder to tell."""
MAX_GROUND_PX = 2048
POINT_SIDE = 320.0
"""The side of the region around a point, in thousandths: how large the thing around it is, is not known."""
MAX_LABEL = 100
MAX_THOUGHT = 512
"""Tokens of the thought about one region at most, whatever the reply may think: with the closing it stays within what
any host allows. The limit of new tokens is that of the reply, and a verdict behind half a thought would be a wrong one.
"""
CLOSING_TOKENS = 8
"""Room for what ends a thought whose budget is used up, and for the first word behind it."""


def gaze(request: Request, result: Result, engine: Engine, stop: Flag) -> Gaze | None:
    """Where the model looked as it wrote the reply to a request; None where that cannot be told, or `stop` was set.

    Raises UserError where a file is gone, or the memory does not suffice.
    """
    if not result.token_ids or not engine.vision.gives_ids:
        return None
    try:
        media = tuple(_opened(request, number, engine, stop) for number in range(len(request.files)))
    except Cancelled:
        return None
    inputs = fused(request, media, result.looks, engine).followed_by(result.token_ids)
    return engine.gaze(inputs, stop)


def anticipate(request: Request, result: Result, engine: Engine) -> None:
    """Have the engine read the answer while the person does, so that the next question begins sooner."""
    if engine.vision.gives_ids and result.answer and len(result.media) == len(request.files):
        engine.anticipate(beginning_of_next(request, result, engine))


def check(item: Media, region: Region, engine: Engine, settings: Settings, stop: Flag) -> float | None:
    """How likely the model finds it that a region shows what its label says, by that part of the medium alone: 0 to 1.

    The probability of yes against no as the first word of the answer, behind a thought where the settings have the
    model think. None where the engine cannot tell, or `stop` was set. Raises UserError for a region that shows nothing.
    """
    vision = engine.vision.limited(settings.max_pixels)
    if not vision.gives_ids:
        return None
    try:
        part = grounded(Zoom(0, _around(region)).crop(_still(item, region.at_s)))
    except Refused:
        raise UserError("This mark is too thin to be checked by itself.") from None
    question = QUESTION.format(with_article(region.label[:MAX_LABEL] or "anything"))
    asked: Message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    inputs = inputs_for(vision, [asked], [part], settings.thinking)
    inputs = replace(inputs, conversation=secrets.token_hex(16))
    try:
        told = _told(inputs, engine, settings, stop)
    finally:
        engine.forget(inputs.conversation)
    if told is None:
        return None
    yes, no = (sum(map(math.exp, logprobs)) for logprobs in (told[: len(YES)], told[len(YES) :]))
    return yes / (yes + no) if yes + no else 0.5


def _told(inputs: ModelInputs, engine: Engine, settings: Settings, stop: Flag) -> list[float] | None:
    """The log probability of each way to say yes or no."""
    if inputs.thinking_open:
        thought = _thought(inputs, engine, settings, stop)
        if thought is None:
            return None
        inputs = inputs.followed_by(thought)
    return engine.score(inputs, [*YES, *NO], stop)


def _thought(inputs: ModelInputs, engine: Engine, settings: Settings, stop: Flag) -> list[int] | None:
    """The likeliest thought about a prompt, up to where the answer begins; None where it never does."""
    budget = min(settings.max_thinking_tokens or MAX_THOUGHT, MAX_THOUGHT)
    most = budget + CLOSING_TOKENS
    greedy = replace(settings, sampling=Sampling(), max_thinking_tokens=budget, max_new_tokens=most)
    ids: list[int] = []
    is_over = False
    for step in engine.generate(inputs, greedy, _unheard, stop):
        if not isinstance(step, Token):
            continue
        if is_over and step.text.strip():
            break
        ids.append(step.id)
        is_over = is_over or "</think>" in step.text
    return ids if is_over else None


def _unheard(work: Work) -> None:
    """Nobody times this work."""


def check_claim(request: Request, region: Region, engine: Engine, stop: Flag) -> float | None:
    """`check` for a region of the answer to a request, whose file is opened again where it is not kept."""
    try:
        item = _opened(request, region.media_index, engine, stop)
    except Cancelled:
        return None
    return check(item, region, engine, request.settings, stop)


def _opened(request: Request, number: int, engine: Engine, stop: Flag) -> Media:
    settings = request.settings
    look = look_of(settings, engine.vision)
    return open_once(request.files[number], look, settings.clip_reader, should_stop=stop.is_set)


def with_article(label: str) -> str:
    """The label as it stands in a question."""
    words = " ".join(label.split())
    if words.split(" ")[0].casefold() in ("a", "an", "the", "any", "anything"):
        return words
    return f"{'an' if words[:1].casefold() in 'aeiou' else 'a'} {words}"


def grounded(part: Picture) -> Picture:
    """The part in the middle of a plain ground in the colour of its edges; a part larger than that stays as it is."""
    side = min(round(GROUND * max(part.height, part.width)), MAX_GROUND_PX)
    height, width = max(part.height, side), max(part.width, side)
    edges = np.concatenate([part.rgb[0], part.rgb[-1], part.rgb[:, 0], part.rgb[:, -1]])
    rgb = np.full((height, width, 3), np.median(edges, axis=0).astype(np.uint8))
    top, left = (height - part.height) // 2, (width - part.width) // 2
    rgb[top : top + part.height, left : left + part.width] = part.rgb
    return Picture(part.name, rgb, part.content and f"{part.content} alone")


def _around(region: Region) -> Box:
    x1, y1, x2, y2 = region.corners
    wide, high = ((x2 - x1) * MARGIN, (y2 - y1) * MARGIN) if region.box else (POINT_SIDE / 2, POINT_SIDE / 2)
    return max(x1 - wide, 0.0), max(y1 - high, 0.0), min(x2 + wide, 1000.0), min(y2 + high, 1000.0)


def _still(item: Media, time_s: float) -> Picture:
    """The picture, or the frame of a clip that is nearest to a time."""
    if isinstance(item, Clip):
        at = int(np.abs(np.asarray(item.times_s) - time_s).argmin())
        return Picture(item.name, item.rgb[at])
    return item
