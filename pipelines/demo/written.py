"""Practice without pictures: questions about a written list of things, and what to say when no picture is given."""

from __future__ import annotations

import random
from dataclasses import replace

from pipelines.demo.clip_parts import about_span
from pipelines.demo.clip_questions import ask_clip
from pipelines.demo.clips import draw_clip
from pipelines.demo.exchange import Exchange, Task
from pipelines.demo.outside import refuse
from pipelines.demo.questions import OF_THINGS, ask, ask_any
from pipelines.demo.talk import TALK, worldly_question
from pipelines.demo.things import Thing, pick_name, reading_order

NUM_ROWS = 5
GLYPH_SHARE = 0.25
LIST_WEIGHTS: dict[Task, float] = {
    "count": 0.4, "count_shape": 1.6, "count_colour": 1.6, "count_named": 0.8, "compare": 2, "colour": 1.8,
    "shape": 1.4, "exists": 2, "box": 1, "boxes": 3, "point": 1, "where": 1, "side": 3, "nearest": 6, "region": 2,
    "number": 2, "letter": 2, "text": 2.5, "describe": 1.5, "is_colour": 1.2, "colours": 1.5, "what_at": 2,
    "beside": 2.5,
}  # fmt: skip
SPAN_SHARE = 0.3
"""How often a written clip is asked about a part of its time, and not of the whole."""
FILM_TASKS: tuple[Task, ...] = ("appears", "vanishes", "visible", "order")
BOXED: frozenset[Task] = frozenset({"box", "boxes"})
POINTED: frozenset[Task] = frozenset({"point", "where", "describe", "side", "nearest", "region", "what_at", "beside"})
"""Tasks that need the boxes of the list, and those that need its centres."""
NO_PICTURE = "I see no picture. Please add a drawing."


def imagined(rng: random.Random, max_things: int) -> tuple[Thing, ...]:
    """Things that were never drawn, with plausible boxes, in reading order."""
    names: list[tuple[str, str]] = []
    for _ in range(rng.randint(1, max_things)):
        names.append(pick_name(rng, names, GLYPH_SHARE))
    things = []
    for kind, colour in names:
        width, height = rng.uniform(0.15, 0.42), rng.uniform(0.15, 0.42)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        things.append(Thing(kind, colour, (left, top, left + width, top + height)))
    return tuple(things[i] for i in reading_order(things, NUM_ROWS))


def written_exchanges(rng: random.Random, max_things: int, count: int) -> list[Exchange]:
    """Questions about something written: mostly a list of things, or what a clip shows and when."""
    return list_exchanges(rng, max_things, count) if rng.random() < 0.6 else [_written_clip(rng)]


def _written_clip(rng: random.Random) -> Exchange:
    step_s = rng.choice((0.5, rng.uniform(0.3, 1)))
    clip = draw_clip(rng, (64, 64), tuple(i * step_s for i in range(rng.choice((4, 6, 8, 12)))))
    exchange = None
    while exchange is None:
        is_part = rng.random() < SPAN_SHARE
        exchange = about_span(rng, clip).exchange if is_part else ask_clip(rng, clip, rng.choice(FILM_TASKS))
    lines = [
        f"{time} s: {', '.join(actor.name for actor in clip.actors if actor.at(patch))}\n"
        for patch, time in enumerate(clip.patch_times)
    ]
    return replace(exchange, question="".join(lines) + exchange.question)


def list_exchanges(rng: random.Random, max_things: int, count: int) -> list[Exchange]:
    """`count` questions about one written list, which stands before (or after) the first of them."""
    things = imagined(rng, max_things)
    first = ask_any(rng, things, LIST_WEIGHTS)
    allowed = next((tasks for tasks in (BOXED, POINTED) if first.task in tasks), frozenset[Task]())
    listed = "".join(f"{i + 1}. {thing.name}{_place(thing, allowed)}\n" for i, thing in enumerate(things))
    question = listed + first.question if rng.random() < 0.7 else f"{first.question}\n{listed.strip()}"
    exchanges = [Exchange("written", question, first.reasoning, first.answer)]
    while len(exchanges) < count:
        more = ask_any(rng, things, LIST_WEIGHTS)
        if more.task not in (BOXED | POINTED) - allowed:
            exchanges.append(more)
    return exchanges


def _place(thing: Thing, allowed: frozenset[Task]) -> str:
    coords = thing.box_coords if allowed == BOXED else thing.centre_coords if allowed else ()
    return f" ({','.join(map(str, coords))})" if coords else ""


def small_talk(rng: random.Random) -> Exchange:
    """A greeting, a sentence from outside the model's world, or a question that lacks its picture."""
    chance = rng.random()
    if chance < 0.3:
        wordings, answer = rng.choice(TALK)
        return Exchange("written", rng.choice(wordings), "No picture.", answer)
    if chance < 0.8:
        return refuse(worldly_question(rng), has_picture=False)
    exchange = None
    while exchange is None:
        exchange = ask(rng, imagined(rng, 3), rng.choice(OF_THINGS))
    return Exchange("written", exchange.question, "No picture.", NO_PICTURE)
