"""Questions about how things lie: which side of each other, which is nearest, which are in a region."""

from __future__ import annotations

import math
import random

from pipelines.demo.exchange import Exchange, match_of, only, pick
from pipelines.demo.phrases import Things, in_words, point_text, sentence, there_are, verdicts
from pipelines.demo.things import Coords, Thing, written

SIDES = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}
"""The axis (0: x, 1: y) and the sign of each relation."""
CLEAR = 70
"""How far apart centres must lie along the axis for a question about their side, in thousandths."""
CLEAR_RATIO = 1.5
"""How much farther than the nearest every other thing must be, so that the picture's proportions do not matter."""
CLEAR_REGION = 40
"""How far from a region's edge every centre must lie."""


def ask_side(rng: random.Random, things: Things) -> Exchange | None:
    """Whether one thing is on a given side of another."""
    single = [thing for thing in things if only(things, thing.name)]
    relation = rng.choice(tuple(SIDES))
    axis, sign = SIDES[relation]
    pairs = [(a, b) for a in single for b in single if abs(a.centre_coords[axis] - b.centre_coords[axis]) >= CLEAR]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    question = pick(
        rng, "Is the {0} {2} the {1}?", "is the {0} {2} the {1} in the picture?", "Does the {0} lie {2} the {1}?",
        "Is the {0} somewhere {2} the {1}?", "Do you see the {0} {2} the {1}?",
        "Can you say if the {0} is {2} the {1}?",
    ).format(first.name, second.name, relation)  # fmt: skip
    ours, theirs = first.centre_coords[axis], second.centre_coords[axis]
    is_so = (ours - theirs) * sign > 0
    searches = "".join(verdicts(things, thing.name, match_of(thing.name), point_text) for thing in (first, second))
    verdict = f"{ours} {'<' if ours < theirs else '>'} {theirs}: {'yes' if is_so else 'no'}"
    reasoning = f"Asked: {relation}\n{searches}{relation}: {verdict}"
    if is_so:
        return Exchange("side", question, reasoning, f"Yes, the {first.name} is {relation} the {second.name}.")
    return Exchange("side", question, reasoning, f"No, the {first.name} is not {relation} the {second.name}.")


def ask_nearest(rng: random.Random, things: Things) -> Exchange | None:
    """Which thing is nearest to a given one."""
    targets = [thing for thing in things if only(things, thing.name) and _nearest(things, thing)]
    if not targets:
        return None
    target = rng.choice(targets)
    nearest = _nearest(things, target)
    if nearest is None:
        return None
    question = pick(
        rng, "Which object is nearest to the {}?", "What is nearest to the {}?", "Which object is closest to the {}?",
        "What is closest to the {}?", "Which thing is nearest to the {}?", "what lies nearest to the {}?",
    ).format(target.name)  # fmt: skip
    return Exchange(
        "nearest", question, _distances(things, target), f"The {nearest.name} is nearest to the {target.name}."
    )


def ask_region(rng: random.Random, things: Things) -> Exchange:
    """What, or how much, is in a region that the question gives."""
    region = pick_region(rng, things)
    inside = [thing for thing in things if _is_inside(thing, region)]
    corners = "[{}, {}, {}, {}]".format(*region)
    reasoning = f"Region: {corners}\n{_insides(things, region)}Total: {len(inside)}"
    if rng.random() < 0.5:
        noun = rng.choice(("objects", "shapes", "things"))
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
    answer = sentence(f"there is {in_words([thing.name for thing in inside])}") if inside else "There is nothing."
    return Exchange("region", question, reasoning, answer)


def pick_region(rng: random.Random, things: Things) -> Coords:
    """A region from whose edges every centre keeps away, mostly one with something inside."""
    while True:
        width, height = rng.uniform(0.25, 0.7), rng.uniform(0.25, 0.7)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        region = (written(left), written(top), written(left + width), written(top + height))
        distances = (abs(c - region[i + k]) for t in things for i, c in enumerate(t.centre_coords) for k in (0, 2))
        is_clear = all(distance >= CLEAR_REGION for distance in distances)
        if is_clear and (rng.random() < 0.15 or any(_is_inside(thing, region) for thing in things)):
            return region


def _is_inside(thing: Thing, region: Coords) -> bool:
    x, y = thing.centre_coords
    return region[0] < x < region[2] and region[1] < y < region[3]


def _insides(things: Things, region: Coords) -> str:
    """A verdict on each thing: on each axis first, the edges and the centre side by side."""
    lines = []
    for i, thing in enumerate(things):
        marks = []
        for axis, centre in enumerate(thing.centre_coords):
            low, high = region[axis], region[axis + 2]
            marks.append(f"{low},{centre},{high} {'in' if low < centre < high else 'out'}")
        verdict = f"yes {thing.name}" if _is_inside(thing, region) else "no"
        lines.append(f"{i + 1}. {thing.name}: {marks[0]}, {marks[1]}: {verdict}\n")
    return "".join(lines)


def distance(first: Thing, second: Thing) -> int:
    """The distance of two centres in written coordinates."""
    (x1, y1), (x2, y2) = first.centre_coords, second.centre_coords
    return written(math.hypot(x1 - x2, y1 - y2) / 1000)


def _nearest(things: Things, target: Thing) -> Thing | None:
    """The thing that is clearly nearest to the target, None where none is."""
    others = sorted((thing for thing in things if thing is not target), key=lambda thing: distance(thing, target))
    if not others or (len(others) > 1 and distance(others[1], target) < CLEAR_RATIO * distance(others[0], target)):
        return None
    return others[0]


def _distances(things: Things, target: Thing) -> str:
    """The search for the target; then the distance of each other thing to it, and after each the nearest so far."""
    lines = [verdicts(things, target.name, match_of(target.name), point_text)]
    best: Thing | None = None
    for i, thing in enumerate(things, start=1):
        measured = f"{i}. {thing.name}{point_text(thing)}{point_text(target)}:"
        if thing is target:
            lines.append(f"{measured} same\n")
            continue
        best = thing if best is None or distance(thing, target) < distance(best, target) else best
        lines.append(f"{measured} {distance(thing, target)}, nearest {distance(best, target)} {best.name}\n")
    return "".join(lines).strip()
