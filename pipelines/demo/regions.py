"""Questions about a region of a picture, which people name in words of their own or mark with the mouse.

What is marked the page puts into words of its own, before the question; see `marked_region`.
"""

from __future__ import annotations

import random

from pipelines.demo.count_questions import COUNTABLE
from pipelines.demo.exchange import Exchange, match_of, missing_name, pick
from pipelines.demo.phrases import Things, article, in_words, noun_of, plural, sentence, there_are, verdicts
from pipelines.demo.things import Coords, Thing, written

CLEAR_REGION = 40
"""How far from a region's edge every centre must lie."""
AROUND_ONE = 0.35
"""How often a region is drawn around one thing."""
TO_AN_EDGE = 0.12
"""How often a side of it is dragged as far as the picture goes."""
ASKED_WHAT = (
    "What is this?", "What's this?", "What is it?", "What is here?", "What do you see?", "What is there?",
    "What can you see?", "What is in it?", "What does it show?", "What is shown?", "Describe it.", "Describe this.",
    "Describe.", "List the objects.", "Which objects are there?", "Describe the picture.", "What is in the picture?",
)  # fmt: skip
ASKED_COLOUR = (
    "What colour is it?", "What color is it?", "What colour is this?", "What color is this?", "Which color is it?",
    "What is its color?", "What colour is the object?", "What color is the shape?", "Tell me the colour.",
)  # fmt: skip
ASKED_SHAPE = (
    "What shape is it?", "What shape is this?", "Which shape is it?", "What shape is the object?", "Name the shape.",
    "What kind of shape is this?", "Which shape do you see?",
)  # fmt: skip


def ask_region(rng: random.Random, things: Things) -> Exchange:
    """What, or how much, is in a region that the question gives."""
    region = pick_region(rng, things)
    return about_region(rng, things, region) if rng.random() < 0.6 else _in_own_words(rng, things, region)


def marked_region(region: Coords) -> str:
    """What the page writes before a question about a region: its corners in whole tens, x1, y1, x2, y2."""
    return f"In this region {list(region)}: "


def about_region(rng: random.Random, things: Things, region: Coords) -> Exchange:
    """A question about what is marked in a picture."""
    asked = _in_part(rng, [thing for thing in things if is_inside(thing, region)])
    return Exchange(
        "region", marked_region(region) + asked.question, f"{_searched(things, region)}{asked.reasoning}", asked.answer
    )


def _in_part(rng: random.Random, inside: Things) -> Exchange:
    """A question about the things in a part alone; the reasoning goes on where these were found."""
    chance = rng.random()
    if chance < 0.3:
        noun = rng.choice(COUNTABLE)
        question = pick(
            rng, "How many {} are there?", "How many {} are there?", "How many {} do you see?", "Count the {}.",
            "How many {}?", "How many {} are in it?", "How many {} are here?",
        ).format(noun)  # fmt: skip
        return _asked(question, inside, there_are(len(inside), noun[:-1]))
    if chance < 0.6:
        return _asked(rng.choice(ASKED_WHAT), inside, _told(inside))
    if chance < 0.8:
        is_colour = rng.random() < 0.6
        question = rng.choice(ASKED_COLOUR if is_colour else ASKED_SHAPE)
        only = f"It is {inside[0].colour if is_colour else article(inside[0].kind)}." if len(inside) == 1 else None
        return _asked(question, inside, only or _told(inside))
    return _of_a_target(rng, inside)


def _asked(question: str, inside: Things, answer: str) -> Exchange:
    return Exchange("region", question, f"Total: {len(inside)}", answer)


def _told(inside: Things) -> str:
    return sentence(f"there is {in_words([thing.name for thing in inside])}") if inside else "There is nothing."


def _of_a_target(rng: random.Random, inside: Things) -> Exchange:
    """Whether something is there, or how many of it."""
    target = missing_name(rng, inside)
    if inside and rng.random() < 0.6:
        thing = rng.choice(inside)
        target = rng.choice((thing.name, thing.kind, thing.colour))
    noun = noun_of(target, rng.choice(COUNTABLE)[:-1])
    steps = f"Total: {len(inside)}\n{verdicts(inside, target, match_of(target))}"
    count = sum(map(match_of(target), inside))
    if rng.random() < 0.5:
        question = pick(rng, "How many {} are there?", "Count the {}.", "How many {}?").format(plural(noun))
        return Exchange("region", question, f"{steps}Total: {count}", there_are(count, noun))
    question = pick(rng, "Is there {}?", "Is this {}?", "Do you see {}?", "Is it {}?").format(article(noun))
    if count:
        return Exchange("region", question, f"{steps}Found.", f"Yes, there is {article(noun)}.")
    return Exchange("region", question, f"{steps}Not found.", f"No, there is no {noun}.")


def _in_own_words(rng: random.Random, things: Things, region: Coords) -> Exchange:
    inside = [thing for thing in things if is_inside(thing, region)]
    corners = list(region)
    reasoning = f"{_searched(things, region)}Total: {len(inside)}"
    if rng.random() < 0.5:
        noun = rng.choice(COUNTABLE)
        question = pick(
            rng, "How many {0} are in this region {1}?", "Count the {0} in this region {1}.",
            "In this region {1}, how many {0} are there?", "How many {0} are there in the region {1}?",
            "how many {0} do you see in this region {1}?", "Count all {0} in the region {1}.",
        ).format(noun, corners)  # fmt: skip
        return Exchange("region", question, reasoning, there_are(len(inside), noun[:-1]))
    question = pick(
        rng, "What is in this region {}?", "Which objects are in this region {}?", "What do you see in this region {}?",
        "List the objects in this region {}.", "In this region {}, what is there?", "What is in the region {}?",
    ).format(corners)  # fmt: skip
    return Exchange("region", question, reasoning, _told(inside))


def pick_region(rng: random.Random, things: Things) -> Coords:
    """A region from whose edges every centre keeps away, mostly one with something inside."""
    while True:
        region = _around(rng, rng.choice(things)) if things and rng.random() < AROUND_ONE else _anywhere(rng)
        edges = (0, 0, 1000, 1000)
        region = tuple(edges[i] if rng.random() < TO_AN_EDGE else side for i, side in enumerate(region))
        distances = (abs(c - region[i + k]) for t in things for i, c in enumerate(t.centre_coords) for k in (0, 2))
        is_clear = all(distance >= CLEAR_REGION for distance in distances)
        if is_clear and (rng.random() < 0.15 or any(is_inside(thing, region) for thing in things)):
            return region


def _anywhere(rng: random.Random) -> Coords:
    width, height = rng.uniform(0.25, 0.7), rng.uniform(0.25, 0.7)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return written(left), written(top), written(left + width), written(top + height)


def _around(rng: random.Random, thing: Thing) -> Coords:
    """A region as someone drags it around a thing: a little too large, or a little too small."""
    x1, y1, x2, y2 = (
        side + sign * rng.uniform(-0.02, 0.08) for side, sign in zip(thing.box, (-1, -1, 1, 1), strict=True)
    )
    return written(x1), written(y1), written(x2), written(y2)


def is_inside(thing: Thing, region: Coords) -> bool:
    """Whether the centre of a thing lies in a region."""
    x, y = thing.centre_coords
    return region[0] < x < region[2] and region[1] < y < region[3]


def _searched(things: Things, region: Coords) -> str:
    """The region, and a verdict on each thing: on each axis first, the edges and the centre side by side."""
    lines = [f"Region: {list(region)}\n"]
    for i, thing in enumerate(things):
        marks = []
        for axis, centre in enumerate(thing.centre_coords):
            low, high = region[axis], region[axis + 2]
            marks.append(f"{low},{centre},{high} {'in' if low < centre < high else 'out'}")
        verdict = f"yes {thing.name}" if is_inside(thing, region) else "no"
        lines.append(f"{i + 1}. {thing.name}: {marks[0]}, {marks[1]}: {verdict}\n")
    return "".join(lines)
