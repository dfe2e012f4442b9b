"""Questions about the things of a picture, with the reasoning and the answer to each.

The reasoning goes through the things one by one. The target is written again in every verdict (`2. blue star, red star:
no`), because a small model matches best what stands side by side, and a place stands right behind the thing it is of.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pipelines.demo.exchange import Exchange, Task, match_of, missing_name, pick
from pipelines.demo.phrases import Match, Things, article, box_text, listing, name_text, plural, there_are, verdicts
from pipelines.demo.place_questions import ask_all_boxes, ask_box, ask_boxes, ask_describe, ask_point, ask_where
from pipelines.demo.things import COLOURS, DIGITS, SHAPES


def ask(rng: random.Random, things: Things, task: Task) -> Exchange | None:
    """A question of that task about the things, or None where they do not allow one."""
    return ASKERS[task](rng, things)


def ask_any(rng: random.Random, things: Things, weights: dict[Task, float]) -> Exchange:
    """A question of a task drawn by weight."""
    while True:
        exchange = ask(rng, things, rng.choices(tuple(weights), tuple(weights.values()))[0])
        if exchange:
            return exchange


def _count(rng: random.Random, things: Things) -> Exchange:
    noun = rng.choice(("objects", "shapes", "things"))
    question = pick(
        rng, "How many {} are there?", "How many {} are in the picture?", "Count the {}.", "how many {} do you see?",
        "How many {} are in the image?", "Count all {}.",
    ).format(noun)  # fmt: skip
    return Exchange("count", question, listing(things) + f"Total: {len(things)}", there_are(len(things), noun[:-1]))


def _count_shape(rng: random.Random, things: Things) -> Exchange | None:
    kind = _counted(rng, [thing.kind for thing in things if thing.kind in SHAPES], SHAPES)
    return _counting(rng, "count_shape", things, kind, plural(kind), lambda thing: thing.kind == kind)


def _count_colour(rng: random.Random, things: Things) -> Exchange | None:
    colour = _counted(rng, [thing.colour for thing in things], tuple(COLOURS))
    noun = f"{colour} {rng.choice(('objects', 'shapes', 'things'))}"
    return _counting(rng, "count_colour", things, colour, noun, lambda thing: thing.colour == colour)


def _count_named(rng: random.Random, things: Things) -> Exchange | None:
    shapes = [thing for thing in things if thing.kind in SHAPES]
    name = rng.choice(shapes).name if shapes and rng.random() < 0.7 else missing_name(rng, things)
    return _counting(rng, "count_named", things, name, plural(name), lambda thing: thing.name == name)


def _counting(rng: random.Random, task: Task, things: Things, target: str, nouns: str, match: Match) -> Exchange:
    question = pick(
        rng, "How many {} are there?", "How many {} are in the picture?", "Count the {}.", "how many {} do you see?"
    ).format(nouns)
    total = sum(map(match, things))
    noun = nouns.removesuffix("es") if nouns.endswith("crosses") else nouns.removesuffix("s")
    return Exchange(task, question, verdicts(things, target, match) + f"Total: {total}", there_are(total, noun))


def _colour(rng: random.Random, things: Things) -> Exchange | None:
    single = [thing for thing in things if sum(other.kind == thing.kind for other in things) == 1]
    gone = sorted(set(SHAPES) - {thing.kind for thing in things})
    is_there = bool(single) and (not gone or rng.random() > 0.1)
    if not is_there and not gone:
        return None
    found = rng.choice(single) if is_there else None
    kind = found.kind if found else rng.choice(gone)
    question = pick(
        rng, "What {} is the {}?", "what is the {} of the {}?", "Which {} is the {}?", "Tell me the {} of the {}."
    ).format(rng.choice(("color", "colour")), kind)
    steps = verdicts(things, kind, lambda thing: thing.kind == kind, name_text)
    if not found:
        return Exchange("colour", question, steps + "Not found.", f"There is no {kind}.")
    return Exchange("colour", question, steps + f"Found: {found.name}", f"The {kind} is {found.colour}.")


def _shape(rng: random.Random, things: Things) -> Exchange | None:
    single = [thing for thing in things if sum(other.colour == thing.colour for other in things) == 1]
    if not single:
        return None
    found = rng.choice(single)
    colour = found.colour
    question = pick(
        rng, "What shape is {}?", "What is the {} object?", "Which shape is {}?", "What shape is the {} object?"
    ).format(colour)
    steps = verdicts(things, colour, lambda thing: thing.colour == colour, name_text)
    return Exchange("shape", question, steps + f"Found: {found.name}", f"The {colour} object is {article(found.kind)}.")


def _exists(rng: random.Random, things: Things) -> Exchange:
    by_kind = rng.random() < 0.25
    gone = sorted(set(SHAPES) - {thing.kind for thing in things})
    if rng.random() < 0.5 or (by_kind and not gone):
        thing = rng.choice(things)
        target = thing.kind if by_kind else thing.name
    else:
        target = rng.choice(gone) if by_kind else missing_name(rng, things)
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
    question = pick(rng, "List the {}.", "List all {}.", "Name the {}.", "Which {} are there?").format(noun)
    steps = listing(things, box_text) + f"Total: {len(things)}"
    return Exchange("list", question, steps, listing(things).strip())


def _digit(rng: random.Random, things: Things) -> Exchange:
    digits = [thing.kind for thing in things if thing.kind in DIGITS]
    question = pick(
        rng, "What number is written?", "Which number do you see?", "Read the number.",
        "What number is in the picture?", "Read the text.",
    )  # fmt: skip
    steps = verdicts(things, "number", lambda thing: thing.kind in DIGITS, lambda thing: f" {thing.kind}")
    if not digits:
        return Exchange("digit", question, steps + "Not found.", "There is no number.")
    written = ", ".join(digits)
    answer = f"The number is {written}." if len(digits) == 1 else f"The numbers are {written}."
    return Exchange("digit", question, steps + f"Found: {written}", answer)


def _counted(rng: random.Random, there: list[str], possible: tuple[str, ...]) -> str:
    """What to count: 22% of the time nothing of it is there; what is there more than once comes up more often."""
    gone = [value for value in possible if value not in there]
    if not there or (gone and rng.random() < 0.22):
        return rng.choice(gone)
    present = sorted(set(there))
    return rng.choices(present, [3 if there.count(value) > 1 else 1 for value in present])[0]


ASKERS: dict[Task, Callable[[random.Random, Things], Exchange | None]] = {
    "count": _count, "count_shape": _count_shape, "count_colour": _count_colour, "count_named": _count_named,
    "colour": _colour, "shape": _shape, "exists": _exists, "box": ask_box, "boxes": ask_boxes,
    "all_boxes": ask_all_boxes, "point": ask_point, "where": ask_where, "describe": ask_describe,
    "list": _list, "digit": _digit,
}  # fmt: skip
PICTURE_WEIGHTS: dict[Task, float] = {
    "count": 1.4, "count_shape": 2.4, "count_colour": 2.6, "count_named": 1, "colour": 3, "shape": 2, "exists": 3.6,
    "box": 3, "boxes": 2.2, "all_boxes": 2, "point": 2, "where": 1.6, "describe": 1.6, "list": 1, "digit": 1,
}  # fmt: skip
