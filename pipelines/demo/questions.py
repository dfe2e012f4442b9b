"""Questions about the things of a picture, with the reasoning and the answer to each.

The reasoning goes through the things one by one. The target is written again in every verdict (`2. blue star, red star:
no`), because a small model matches best what stands side by side, and a place stands right behind the thing it is of.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pipelines.demo.count_questions import ask_compare, ask_count, ask_count_colour, ask_count_named, ask_count_shape
from pipelines.demo.exchange import Exchange, Task, match_of, missing_name, only, pick
from pipelines.demo.phrases import Things, article, box_text, listing, name_text, verdicts
from pipelines.demo.place_questions import ask_all_boxes, ask_box, ask_boxes, ask_describe, ask_point, ask_where
from pipelines.demo.reading_questions import ask_letter, ask_number
from pipelines.demo.relation_questions import ask_nearest, ask_region, ask_side
from pipelines.demo.things import SHAPES


def ask(rng: random.Random, things: Things, task: Task) -> Exchange | None:
    """A question of that task about the things, or None where they do not allow one."""
    return ASKERS[task](rng, things)


def ask_any(rng: random.Random, things: Things, weights: dict[Task, float]) -> Exchange:
    """A question of a task drawn by weight."""
    while True:
        exchange = ask(rng, things, rng.choices(tuple(weights), tuple(weights.values()))[0])
        if exchange:
            return exchange


def ask_colour(rng: random.Random, things: Things) -> Exchange | None:
    """The colour of a kind of which there is one, or (seldom) none."""
    single = [thing.kind for thing in things if only(things, thing.kind)]
    gone = sorted(set(SHAPES) - {thing.kind for thing in things})
    kinds = gone if gone and (not single or rng.random() < 0.1) else single
    return colour_of(rng, things, rng.choice(kinds)) if kinds else None


def colour_of(rng: random.Random, things: Things, kind: str) -> Exchange:
    """The colour of the one thing of this kind, if there is one."""
    question = pick(
        rng, "What {} is the {}?", "what is the {} of the {}?", "Which {} is the {}?", "Tell me the {} of the {}.",
        "Which {} does the {} have?", "Name the {} of the {}.",
    ).format(rng.choice(("color", "colour")), kind)  # fmt: skip
    steps = verdicts(things, kind, lambda thing: thing.kind == kind, name_text)
    found = only(things, kind)
    if not found:
        return Exchange("colour", question, steps + "Not found.", f"There is no {kind}.")
    return Exchange("colour", question, steps + f"Found: {found.name}", f"The {kind} is {found.colour}.")


def _shape(rng: random.Random, things: Things) -> Exchange | None:
    single = [thing for thing in things if only(things, thing.colour)]
    if not single:
        return None
    found = rng.choice(single)
    colour = found.colour
    question = pick(
        rng, "What shape is {}?", "What is the {} object?", "Which shape is {}?", "What shape is the {} object?",
        "What is the {} thing?", "Which shape does the {} object have?",
    ).format(colour)  # fmt: skip
    steps = verdicts(things, colour, match_of(colour), name_text)
    return Exchange("shape", question, steps + f"Found: {found.name}", f"The {colour} object is {article(found.kind)}.")


def _exists(rng: random.Random, things: Things) -> Exchange:
    by_kind = rng.random() < 0.25
    gone = sorted(set(SHAPES) - {thing.kind for thing in things})
    if rng.random() < 0.5 or (by_kind and not gone):
        thing = rng.choice(things)
        return exists(rng, things, thing.kind if by_kind else thing.name)
    return exists(rng, things, rng.choice(gone) if by_kind else missing_name(rng, things))


def exists(rng: random.Random, things: Things, target: str) -> Exchange:
    """Whether a thing of that name or kind is there."""
    match = match_of(target)
    question = pick(
        rng, "Is there {}?", "Do you see {}?", "Is there {} in the picture?", "Is there {} in the image?",
        "Does the picture show {}?", "is {} in the picture?",
    ).format(article(target))  # fmt: skip
    steps = verdicts(things, target, match)
    if any(map(match, things)):
        return Exchange("exists", question, steps + "Found.", f"Yes, there is {article(target)}.")
    return Exchange("exists", question, steps + "Not found.", f"No, there is no {target}.")


def _list(rng: random.Random, things: Things) -> Exchange:
    noun = rng.choice(("objects", "shapes", "things"))
    question = pick(
        rng, "List the {}.", "List all {}.", "Name the {}.", "Which {} are there?", "Name all {}.",
        "Which {} do you see?",
    ).format(noun)  # fmt: skip
    steps = listing(things, box_text) + f"Total: {len(things)}"
    return Exchange("list", question, steps, listing(things).strip())


ASKERS: dict[Task, Callable[[random.Random, Things], Exchange | None]] = {
    "count": ask_count, "count_shape": ask_count_shape, "count_colour": ask_count_colour,
    "count_named": ask_count_named, "compare": ask_compare, "colour": ask_colour, "shape": _shape, "exists": _exists,
    "box": ask_box, "boxes": ask_boxes, "all_boxes": ask_all_boxes, "point": ask_point, "where": ask_where,
    "side": ask_side, "nearest": ask_nearest, "region": ask_region, "describe": ask_describe, "list": _list,
    "number": ask_number, "letter": ask_letter,
}  # fmt: skip
PICTURE_WEIGHTS: dict[Task, float] = {
    "count": 1, "count_shape": 1.6, "count_colour": 1.8, "count_named": 0.8, "compare": 2.6, "colour": 2, "shape": 1.4,
    "exists": 2.4, "box": 2.4, "boxes": 3.4, "all_boxes": 2, "point": 2, "where": 1.6, "side": 2.8, "nearest": 4.4,
    "region": 2.8, "describe": 2, "list": 1.4, "number": 3, "letter": 2.4,
}  # fmt: skip
