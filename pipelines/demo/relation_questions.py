"""Questions about how things lie: which side of each other, which is nearest, what is where."""

from __future__ import annotations

import math
import random

from pipelines.demo.exchange import Exchange, called, match_of, only, pick
from pipelines.demo.phrases import Things, in_words, point_text, verdicts
from pipelines.demo.things import Thing, written

SIDES = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}
"""The axis (0: x, 1: y) and the sign of each relation."""
EDGES = ("left", "right", "top", "bottom")
ZONES = ("top left", "top center", "top right", "middle left", "center", "middle right", "bottom left", "bottom center",
         "bottom right")  # fmt: skip
CLEAR = 70
"""How far apart centres must lie along the axis for a question about their side, in thousandths."""
CLEAR_RATIO = 1.5
"""How much farther than the nearest every other thing must be, in thousandths of the sides.

In pictures up to 3:2 the nearest is then so in pixels too, but for rounding; in longer ones it may not be.
"""


def ask_side(rng: random.Random, things: Things) -> Exchange | None:
    """Whether one thing is on a given side of another."""
    single = [thing for thing in things if only(things, thing.name)]
    relation = rng.choice(tuple(SIDES))
    axis, sign = SIDES[relation]
    pairs = [(a, b) for a in single for b in single if abs(a.centre_coords[axis] - b.centre_coords[axis]) >= CLEAR]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    one, other = called(rng, things, first), called(rng, things, second)
    question = pick(
        rng, "Is the {0} {2} the {1}?", "is the {0} {2} the {1} in the picture?", "Does the {0} lie {2} the {1}?",
        "Is the {0} somewhere {2} the {1}?", "Do you see the {0} {2} the {1}?",
        "Can you say if the {0} is {2} the {1}?",
    ).format(one, other, relation)  # fmt: skip
    ours, theirs = first.centre_coords[axis], second.centre_coords[axis]
    is_so = (ours - theirs) * sign > 0
    searches = "".join(verdicts(things, name, match_of(name), point_text) for name in (one, other))
    verdict = f"{ours} {'<' if ours < theirs else '>'} {theirs}: {'yes' if is_so else 'no'}"
    reasoning = f"Asked: {relation}\n{searches}{relation}: {verdict}"
    if is_so:
        return Exchange("side", question, reasoning, f"Yes, the {one} is {relation} the {other}.")
    return Exchange("side", question, reasoning, f"No, the {one} is not {relation} the {other}.")


def ask_beside(rng: random.Random, things: Things) -> Exchange | None:
    """What is on a given side of one thing."""
    relation = rng.choice(tuple(SIDES))
    axis, sign = SIDES[relation]
    single = [thing for thing in things if only(things, thing.name)]
    clear = [a for a in single if all(abs(_along(a, axis) - _along(b, axis)) >= CLEAR for b in things if b is not a)]
    if not clear:
        return None
    thing = rng.choice(clear)
    target = called(rng, things, thing)
    question = pick(
        rng, "What is {1} the {0}?", "What lies {1} the {0}?", "Which objects are {1} the {0}?",
        "What do you see {1} the {0}?", "Is there anything {1} the {0}?", "Name what is {1} the {0}.",
    ).format(target, relation)  # fmt: skip
    there = _along(thing, axis)
    found, lines = [], []
    for i, other in enumerate(things, start=1):
        place = _along(other, axis)
        is_so = (place - there) * sign > 0
        found += [other] if is_so else []
        sign_text = "=" if other is thing else "<" if place < there else ">"
        verdict = f"yes {other.name}" if is_so else "no"
        lines.append(f"{i}. {other.name}{point_text(other)}: {place} {sign_text} {there}: {verdict}\n")
    searched = verdicts(things, target, match_of(target), point_text)
    reasoning = f"Asked: {relation}\n{searched}{''.join(lines)}{_summed_up(found)}"
    names = in_words([one.name for one in found]) if found else "nothing"
    return Exchange("beside", question, reasoning, f"There is {names} {relation} the {target}.")


def ask_what_at(rng: random.Random, things: Things) -> Exchange:
    """What is in a part of the picture: a ninth, or all along a side."""
    part = rng.choice((rng.choice(things).zone, rng.choice((*ZONES, *EDGES))))
    part = rng.choice([edge for edge in EDGES if edge in part.split()] or [part]) if rng.random() < 0.4 else part
    where = f"at the {part}" if part in ("top", "bottom") else f"on the {part}" if part in EDGES else f"in the {part}"
    asked = rng.choice((where, where.replace("center", "middle"))) if part == "center" else where
    question = pick(
        rng, "What is {}?", "What is {} of the picture?", "What do you see {}?", "Which object is {}?",
        "Is there anything {}?", "What's {}?", "Which shapes are {}?",
    ).format(asked)  # fmt: skip
    found, lines = [], []
    for i, thing in enumerate(things, start=1):
        is_so = part in (thing.zone.split() if part in EDGES else (thing.zone,))
        found += [thing] if is_so else []
        verdict = f"yes {thing.name}" if is_so else "no"
        lines.append(f"{i}. {thing.name}{point_text(thing)} {thing.zone}, {part}: {verdict}\n")
    names = in_words([thing.name for thing in found]) if found else "nothing"
    reasoning = f"Asked: {part}\n{''.join(lines)}{_summed_up(found)}"
    return Exchange("what_at", question, reasoning, f"There is {names} {where}.")


def ask_nearest(rng: random.Random, things: Things) -> Exchange | None:
    """Which thing is nearest to a given one."""
    targets = [thing for thing in things if only(things, thing.name) and _nearest(things, thing)]
    if not targets:
        return None
    target = rng.choice(targets)
    nearest = _nearest(things, target)
    if nearest is None:
        return None
    name = called(rng, things, target)
    question = pick(
        rng, "Which object is nearest to the {}?", "What is nearest to the {}?", "Which object is closest to the {}?",
        "What is closest to the {}?", "Which thing is nearest to the {}?", "what lies nearest to the {}?",
        "What is next to the {}?", "What is near the {}?", "What is beside the {}?",
    ).format(name)  # fmt: skip
    reasoning = _distances(things, target, name)
    return Exchange("nearest", question, reasoning, f"The {nearest.name} is nearest to the {name}.")


def _summed_up(found: Things) -> str:
    return f"Found: {', '.join(thing.name for thing in found)}" if found else "Not found."


def _along(thing: Thing, axis: int) -> int:
    return thing.centre_coords[axis]


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


def _distances(things: Things, target: Thing, name: str) -> str:
    """The search for the target by `name`; then how far each other thing is from it, and the nearest so far."""
    lines = [verdicts(things, name, match_of(name), point_text)]
    best: Thing | None = None
    for i, thing in enumerate(things, start=1):
        measured = f"{i}. {thing.name}{point_text(thing)}{point_text(target)}:"
        if thing is target:
            lines.append(f"{measured} same\n")
            continue
        best = thing if best is None or distance(thing, target) < distance(best, target) else best
        lines.append(f"{measured} {distance(thing, target)}, nearest {distance(best, target)} {best.name}\n")
    return "".join(lines).strip()
