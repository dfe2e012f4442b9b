"""Two pictures of which the second differs from the first in one thing, or in none, and the question what changed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.demo.drawing import Brush, backdrop, near, wear
from pipelines.demo.exchange import Exchange, pick
from pipelines.demo.phrases import article, point_text
from pipelines.demo.scenes import TOKEN_PX, Name, Scene, apart, distinct_names, paint_scene, reduce, scatter
from pipelines.demo.things import COLOURS, SHAPES, Thing, reading_order

GLYPH_SHARE = 0.12
Change = Literal["appeared", "gone", "colour", "kind", "moved", "nothing"]
CHANGES: dict[Change, float] = {"appeared": 2, "gone": 2, "colour": 2, "kind": 2, "moved": 2, "nothing": 1.5}
FAR = 0.2
"""How far a thing that moved is from where it was at the least, in parts of a side."""
SAME_SPOT = 0.12
"""How near to each other two things lie that are said to be at one place: another shape there has another middle."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures; `before` and `after` are the thing that changed as it stands in each of them."""

    first: Scene
    second: Scene
    change: Change
    before: Thing | None
    after: Thing | None


def draw_pair(rng: random.Random, size: tuple[int, int]) -> Pair:
    """Two pictures of one ground, `size` (height, width) in px; no two things bear the same name."""
    while True:
        change = rng.choices(tuple(CHANGES), tuple(CHANGES.values()))[0]
        names = distinct_names(rng, rng.randint(1, 4) + 1, GLYPH_SHARE)
        brushes = scatter(rng, names, size)
        if len(brushes) >= (3 if change == "gone" else 2):
            return _pair(rng, size, change, names[: len(brushes)], brushes)


def _pair(rng: random.Random, size: tuple[int, int], change: Change, names: list[Name], brushes: list[Brush]) -> Pair:
    """The last name and brush are those of the newcomer, or what becomes of the last but one."""
    ground = backdrop(rng, *size, {colour for _, colour in names})
    *common, spare = list(zip(names, brushes, strict=True))
    last, kept = common[-1], common[:-1]
    altered = {
        "appeared": [*common, spare],
        "gone": kept,
        "colour": [*kept, _recoloured(rng, last, {name for name, _ in kept})],
        "kind": [*kept, _reshaped(rng, last, {name for name, _ in kept})],
        "moved": [*kept, _moved(rng, last, [brush for _, brush in kept], size)],
        "nothing": common,
    }[change]
    first, second = (
        paint_scene(ground, [name for name, _ in drawn], [brush for _, brush in drawn]) for drawn in (common, altered)
    )
    before = None if change in ("appeared", "nothing") else _named(first, last[0])
    after = None if change in ("gone", "nothing") else _named(second, altered[-1][0])
    if change == "moved" and before and after and _distance(before, after) < FAR:
        change, before, after, second = "nothing", None, None, first
    first, second = (replace(scene, rgb=wear(rng, scene.rgb)) for scene in (first, second))
    return Pair(first, second, change, before, after)


def reduce_pair(pair: Pair, size: tuple[int, int]) -> Pair:
    """The pair at another size, as the preprocessor brings it there."""
    return replace(pair, first=reduce(pair.first, size), second=reduce(pair.second, size))


def ask_change(rng: random.Random, pair: Pair) -> Exchange:
    """What changed from the first picture to the second."""
    question = pick(
        rng, "What changed?", "What changed?", "What is different?", "What has changed?", "Find the difference.",
        "What changed between the two pictures?", "What is different in the second picture?", "Spot the difference.",
    )  # fmt: skip
    return Exchange("change", question, _comparison(pair), _told(pair))


def _comparison(pair: Pair) -> str:
    """Place by place, in reading order, what the first picture shows there and what the second does; then what differs.

    The two stand side by side in one line, where a small model compares them best.
    """
    lines, notes = [], []
    for n, (place, first, second) in enumerate(_spots(pair), start=1):
        verdict = "same" if first and second and first.name == second.name else "new" if second else "gone"
        verdict = "changed" if first and second and verdict != "same" else verdict
        names = [thing.name if thing else "nothing" for thing in (first, second)]
        lines.append(f"{n}.{point_text(place)} {names[0]}, {names[1]}: {verdict}")
        if verdict != "same":
            notes.append(f"{verdict}: {names[0]}, {names[1]}")
    return "\n".join([*lines, "Changed:", *(notes or ["nothing"])])


def _spots(pair: Pair) -> list[tuple[Thing, Thing | None, Thing | None]]:
    """The places of both pictures in reading order: a thing that lies there, and what each picture shows there."""
    seconds = list(pair.second.things)
    spots: list[tuple[Thing, Thing | None, Thing | None]] = []
    for first in pair.first.things:
        close = [thing for thing in seconds if _distance(first, thing) < SAME_SPOT]
        there = min(close, key=lambda thing: _distance(first, thing), default=None)
        if there:
            seconds.remove(there)
        spots.append((first, first, there))
    spots += [(thing, None, thing) for thing in seconds]
    num_rows = max(1, len(pair.first.rgb) // TOKEN_PX)
    order = reading_order([place for place, _, _ in spots], num_rows)
    return [spots[i] for i in order]


def _told(pair: Pair) -> str:
    before, after = pair.before, pair.after
    if pair.change == "appeared" and after:
        return f"The {after.name} is new."
    if pair.change == "gone" and before:
        return f"The {before.name} is gone."
    if pair.change == "moved" and before:
        return f"The {before.name} moved."
    if before and after:
        now = after.colour if pair.change == "colour" else article(after.kind)
        return f"The {before.name} is now {now}."
    return "Nothing changed."


def _named(scene: Scene, name: Name) -> Thing:
    return next(thing for thing in scene.things if (thing.kind, thing.colour) == name)


def _distance(first: Thing, second: Thing) -> float:
    return max(abs(a - b) for a, b in zip(first.centre, second.centre, strict=True))


def _recoloured(rng: random.Random, drawn: tuple[Name, Brush], taken: set[Name]) -> tuple[Name, Brush]:
    (kind, colour), brush = drawn
    new = rng.choice([c for c in COLOURS if c != colour and (kind, c) not in taken])
    return (kind, new), replace(brush, rgb=near(rng, COLOURS[new]))


def _reshaped(rng: random.Random, drawn: tuple[Name, Brush], taken: set[Name]) -> tuple[Name, Brush]:
    (kind, colour), brush = drawn
    new = rng.choice([k for k in SHAPES if k != kind and (k, colour) not in taken])
    return (new, colour), replace(brush, kind=new, turn=0.0)


def _moved(
    rng: random.Random, drawn: tuple[Name, Brush], others: list[Brush], size: tuple[int, int]
) -> tuple[Name, Brush]:
    """The same thing elsewhere; where there is no room for it, where it was."""
    name, brush = drawn
    height, width = size
    reach = brush.size / 2 + 1
    for _ in range(80):
        x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
        is_far = abs(x - brush.x) > FAR * width * 1.2 or abs(y - brush.y) > FAR * height * 1.2
        if is_far and all(apart(x, y, reach, other) for other in others):
            return name, replace(brush, x=x, y=y)
    return drawn
