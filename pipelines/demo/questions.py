"""Questions about the things of a picture, with the reasoning and the answer to each.

The reasoning goes through the things one by one. The target is written again in every verdict (`2. blue star, red star:
no`), because a small model matches best what stands side by side, and a place stands right behind the thing it is of.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pipelines.demo.count_questions import ask_compare, ask_count, ask_count_colour, ask_count_named, ask_count_shape
from pipelines.demo.exchange import Exchange, Task, loosely, match_of, missing_name, only, pick
from pipelines.demo.phrases import (
    Things,
    article,
    box_text,
    listed,
    listing,
    name_text,
    noun_of,
    plural,
    these,
    verdicts,
)
from pipelines.demo.place_questions import ask_all_boxes, ask_box, ask_boxes, ask_describe, ask_point, ask_where
from pipelines.demo.reading_questions import ask_letter, ask_number, ask_text
from pipelines.demo.regions import ask_region
from pipelines.demo.relation_questions import ask_beside, ask_nearest, ask_side, ask_what_at
from pipelines.demo.talk import ask_aside
from pipelines.demo.things import COLOURS, SHAPES


def ask(rng: random.Random, things: Things, task: Task) -> Exchange | None:
    """A question of that task about the things, or None where they do not allow one."""
    return ASKERS[task](rng, things)


def ask_any(rng: random.Random, things: Things, weights: dict[Task, float]) -> Exchange:
    """A question of a task drawn by weight."""
    while True:
        exchange = ask(rng, things, rng.choices(tuple(weights), tuple(weights.values()))[0])
        if exchange:
            return loosely(rng, exchange)


def ask_colour(rng: random.Random, things: Things) -> Exchange | None:
    """The colour of a kind: mostly one of which there is one, seldom one of which there are several or none."""
    there = [thing.kind for thing in things]
    single = [kind for kind in there if there.count(kind) == 1]
    gone = sorted(set(SHAPES) - set(there))
    several = sorted(kind for kind in set(there) - set(single) if kind in SHAPES)
    kinds = rng.choices((single, gone, several), (0.7, 0.1, 0.2))[0]
    return colour_of(rng, things, rng.choice(kinds)) if kinds else None


def colour_of(rng: random.Random, things: Things, kind: str) -> Exchange:
    """The colour of the one thing of this kind, or of each of several."""
    question = pick(
        rng, "What {} is the {}?", "what is the {} of the {}?", "Which {} is the {}?", "Tell me the {} of the {}.",
        "Which {} does the {} have?", "Name the {} of the {}.", "What's the {} of the {}?",
        "I want to know what {} the {} is.", "Can you tell me the {} of the {}?",
    ).format(rng.choice(("color", "colour")), kind)  # fmt: skip
    found = [thing for thing in things if thing.kind == kind]
    return _found("colour", question, things, kind, f"The {kind} is {found[0].colour}." if len(found) == 1 else None)


def _shape(rng: random.Random, things: Things) -> Exchange:
    """The kind of what has a colour: mostly one that there is."""
    colours = [thing.colour for thing in things] if rng.random() < 0.9 else tuple(COLOURS)
    colour = rng.choice(colours)
    question = pick(
        rng, "What shape is {}?", "What is the {} object?", "Which shape is {}?", "What shape is the {} object?",
        "What is the {} thing?", "Which shape does the {} object have?", "What is {}?", "Which objects are {}?",
        "What shape is the {} one?", "Which shapes are {}?", "Which one is {}?",
    ).format(colour)  # fmt: skip
    found = [thing for thing in things if thing.colour == colour]
    answer = f"The {colour} object is {article(found[0].kind)}." if len(found) == 1 else None
    return _found("shape", question, things, colour, answer)


def _found(task: Task, question: str, things: Things, target: str, answer: str | None) -> Exchange:
    """What fits the target; `answer` is worded for one thing alone."""
    steps = verdicts(things, target, match_of(target), name_text)
    found = [thing for thing in things if match_of(target)(thing)]
    if not found:
        return Exchange(task, question, steps + "Not found.", f"There is no {noun_of(target)}.")
    names = ", ".join(thing.name for thing in found)
    return Exchange(task, question, f"{steps}Found: {names}", answer or these(found, target))


def _is_colour(rng: random.Random, things: Things) -> Exchange | None:
    """Whether the one thing of a kind has a colour: mostly its own, or that of another thing."""
    single = [thing for thing in things if only(things, thing.kind)]
    if not single:
        return None
    thing = rng.choice(single)
    others = [one.colour for one in things if one.colour != thing.colour] or list(COLOURS)
    colour = thing.colour if rng.random() < 0.5 else rng.choice((rng.choice(others), rng.choice(tuple(COLOURS))))
    question = pick(
        rng, "Is the {} {}?", "Is the {} {}?", "is the {} {} in the picture?", "Is the {} colored {}?",
        "Does the {} look {}?", "Is the color of the {} {}?", "Is it true that the {} is {}?",
    ).format(thing.kind, colour)  # fmt: skip
    verdict = "yes" if thing.colour == colour else "no"
    steps = verdicts(things, thing.kind, match_of(thing.kind), name_text)
    return Exchange(
        "is_colour", question, f"{steps}Found: {thing.name}\n{thing.colour}, {colour}: {verdict}",
        f"{verdict.capitalize()}, the {thing.kind} is {thing.colour}.",
    )  # fmt: skip


def _colours(rng: random.Random, things: Things) -> Exchange:
    """Which colours there are, each once: what was found so far is written behind each thing."""
    question = pick(
        rng, "What colors are there?", "Which colours do you see?", "What colours do you see?", "Name the colors.",
        "Which colors are in the picture?", "What colors does the picture have?", "How many colors are there?",
        "How many different colours are there?", "List the colours.", "What colors are in the image?",
    )  # fmt: skip
    seen: list[str] = []
    lines = []
    for i, thing in enumerate(things, start=1):
        seen = seen if thing.colour in seen else [*seen, thing.colour]
        lines.append(f"{i}. {thing.name}: {', '.join(seen)}\n")
    count = "is 1 color" if len(seen) == 1 else f"are {len(seen)} colors"
    return Exchange("colours", question, f"{''.join(lines)}Total: {len(seen)}", f"There {count}: {listed(seen)}.")


def _exists(rng: random.Random, things: Things) -> Exchange:
    possible, own = rng.choices(((SHAPES, "kind"), (tuple(COLOURS), "colour"), ((), "name")), (0.25, 0.15, 0.6))[0]
    gone = sorted(set(possible) - {getattr(thing, own) for thing in things})
    if rng.random() < 0.5 or (possible and not gone):
        return exists(rng, things, getattr(rng.choice(things), own))
    return exists(rng, things, rng.choice(gone) if gone else missing_name(rng, things))


def exists(rng: random.Random, things: Things, target: str) -> Exchange:
    """Whether a thing of that name, kind or colour is there."""
    match, noun = match_of(target), noun_of(target)
    if target in COLOURS and rng.random() < 0.5:
        question = pick(
            rng, "Is there anything {}?", "Do you see anything {}?", "Is something {}?", "Is anything in it {}?",
        ).format(target)  # fmt: skip
    elif rng.random() < 0.2:
        question = pick(
            rng, "Are there any {}?", "Are there {}?", "Do you see any {}?", "Are there any {} in the picture?",
        ).format(plural(noun_of(target, rng.choice(("object", "shape", "thing")))))  # fmt: skip
    else:
        question = pick(
            rng, "Is there {}?", "Do you see {}?", "Is there {} in the picture?", "Is there {} in the image?",
            "Does the picture show {}?", "is {} in the picture?", "Can you see {}?", "Is {} there?",
        ).format(article(noun))  # fmt: skip
    steps = verdicts(things, target, match)
    if any(map(match, things)):
        return Exchange("exists", question, steps + "Found.", f"Yes, there is {article(noun)}.")
    return Exchange("exists", question, steps + "Not found.", f"No, there is no {noun}.")


def _list(rng: random.Random, things: Things) -> Exchange:
    noun = rng.choice(("objects", "shapes", "things"))
    question = pick(
        rng, "List the {}.", "List all {}.", "Name the {}.", "Which {} are there?", "Name all {}.",
        "Which {} do you see?", "What {} are there?", "What {} are in the image?", "What {} do you see?",
        "List everything.", "List all {} and their colors.", "Name everything.", "What are the {}?",
    ).format(noun)  # fmt: skip
    steps = listing(things, box_text) + f"Total: {len(things)}"
    return Exchange("list", question, steps, listing(things).strip())


ASKERS: dict[Task, Callable[[random.Random, Things], Exchange | None]] = {
    "count": ask_count, "count_shape": ask_count_shape, "count_colour": ask_count_colour,
    "count_named": ask_count_named, "compare": ask_compare, "colour": ask_colour, "shape": _shape, "exists": _exists,
    "box": ask_box, "boxes": ask_boxes, "all_boxes": ask_all_boxes, "point": ask_point, "where": ask_where,
    "side": ask_side, "nearest": ask_nearest, "region": ask_region, "describe": ask_describe, "list": _list,
    "number": ask_number, "letter": ask_letter, "text": ask_text, "is_colour": _is_colour,
    "colours": _colours, "what_at": ask_what_at,
    "beside": ask_beside, "aside": lambda rng, _: ask_aside(rng),
}  # fmt: skip
PICTURE_WEIGHTS: dict[Task, float] = {
    "count": 1, "count_shape": 1.6, "count_colour": 1.8, "count_named": 0.8, "compare": 2.6, "colour": 2, "shape": 1.4,
    "exists": 3, "box": 3.2, "boxes": 3.2, "all_boxes": 2, "point": 2, "where": 4, "side": 2.8, "nearest": 4.4,
    "region": 3.6, "describe": 3.5, "list": 1.8, "number": 3, "letter": 2.4, "text": 4, "is_colour": 1.2,
    "colours": 1.6, "what_at": 3.4, "beside": 3.4, "aside": 3,
}  # fmt: skip
OF_THINGS: tuple[Task, ...] = tuple(task for task in PICTURE_WEIGHTS if task != "aside")
"""What only a picture answers."""
