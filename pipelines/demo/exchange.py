"""What one question and its answer consist of, and how their targets and wordings are drawn."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.demo.phrases import Match, Things
from pipelines.demo.things import COLOURS, SHAPES, Thing

Task = Literal[
    "count", "count_shape", "count_colour", "count_named", "compare", "colour", "shape", "exists", "box", "boxes",
    "all_boxes", "point", "where", "side", "nearest", "region", "describe", "list", "number", "letter", "change",
    "moves", "what_moves", "appears", "vanishes", "visible", "order", "box_at", "happens", "follow_up", "in_full",
    "zoom", "outside", "worldly", "is_colour", "colours", "what_at", "beside", "in_clip", "aside", "text",
    "marked", "moment", "span", "outside_clip", "written",
]  # fmt: skip
BEFORE = (
    "Look carefully. ", "Look at the picture. ", "In the picture: ", "Question: ", "Quick question: ", "Hi! ",
    "Hello, ", "Be brief. ", "Think first. ", "OK, ", "Now: ", "Next question: ", "I have a question: ", "Look again: ",
)  # fmt: skip
AFTER = (
    " Thanks!", " Answer briefly.", " Think step by step.", " Be precise.", " Please.", " Thank you.", " Be careful.",
    " Answer in one sentence.", " Look closely.",
)  # fmt: skip
"""What people write around a question without asking another one."""
ORDERS = ("Count", "Describe", "List", "Name", "Locate", "Find", "Point", "Detect", "Draw", "Tell", "Show", "Give")


@dataclass(frozen=True)
class Exchange:
    """A question, the reasoning that leads to its answer, and the answer."""

    task: Task
    question: str
    reasoning: str
    answer: str


def pick(rng: random.Random, *wordings: str) -> str:
    """One of the wordings."""
    return rng.choice(wordings)


def loosely(rng: random.Random, exchange: Exchange) -> Exchange:
    """The same, its question as people type: politely, in small letters, without a mark, with words around it."""
    question = exchange.question
    if rng.random() < 0.06 and question.startswith(ORDERS):
        question = f"Please {question[0].lower()}{question[1:]}"
    if rng.random() < 0.15:
        question = question[0].lower() + question[1:]
    if rng.random() < 0.15 and question[-1] in "?.":
        question = question[:-1]
    if rng.random() < 0.08 and exchange.task != "aside":
        question = rng.choice(BEFORE) + question if rng.random() < 0.6 else question + rng.choice(AFTER)
    return replace(exchange, question=question)


def match_of(target: str) -> Match:
    """Whether a thing is what the target says: a name, a kind in any colour, or a colour."""
    return lambda thing: target in (thing.name, thing.kind, thing.colour)


def only(things: Things, target: str) -> Thing | None:
    """The one thing that the target fits, None where there are more or none."""
    found = [thing for thing in things if match_of(target)(thing)]
    return found[0] if len(found) == 1 else None


def called(rng: random.Random, things: Things, thing: Thing) -> str:
    """The thing as a question calls it: where that is enough, now and then by its kind alone."""
    return thing.kind if thing.kind in SHAPES and only(things, thing.kind) and rng.random() < 0.4 else thing.name


def missing_name(rng: random.Random, things: Things) -> str:
    """A colour and shape that are not there together, mostly a near miss: one of the two is, or each is elsewhere."""
    names = {thing.name for thing in things}
    colours = sorted({thing.colour for thing in things}) or list(COLOURS)
    kinds = sorted({thing.kind for thing in things if thing.kind in SHAPES}) or list(SHAPES)
    while True:
        chance = rng.random()
        colour = rng.choice(colours if chance < 0.55 else tuple(COLOURS))
        kind = rng.choice(kinds if chance < 0.3 or 0.55 <= chance < 0.85 else SHAPES)
        if f"{colour} {kind}" not in names:
            return f"{colour} {kind}"
