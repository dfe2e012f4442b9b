"""Two pictures of which the second differs from the first in one thing, or in none, and the question what changed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.demo.drawing import Brush, backdrop, near, wear
from pipelines.demo.exchange import Exchange, pick
from pipelines.demo.phrases import article, listing, point_text
from pipelines.demo.scenes import Name, Scene, apart, distinct_names, paint_scene, reduce, scatter
from pipelines.demo.things import COLOURS, SHAPES, Thing

GLYPH_SHARE = 0.12
Change = Literal["appeared", "gone", "colour", "kind", "moved", "nothing"]
CHANGES: dict[Change, float] = {"appeared": 2, "gone": 2, "colour": 2, "kind": 2, "moved": 2, "nothing": 1.5}
FAR = 0.2
"""How far a thing that moved is from where it was at the least, in parts of a side."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures; `before` and `after` are the thing that changed as it stands in each of them."""

    first: Scene
    second: Scene
    change: Change
    before: Thing | None
    after: Thing | None


def draw_pair(rng: random.Random, size: tuple[int, int], max_things: int = 4) -> Pair:
    """Two pictures of one ground, `size` (height, width) in px; no two things bear the same name."""
    while True:
        change = rng.choices(tuple(CHANGES), tuple(CHANGES.values()))[0]
        names = distinct_names(rng, rng.randint(1, max_things) + 1, GLYPH_SHARE)
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
    """What the first picture shows; what the second does, each thing with where it was; what is still there of it all.

    The place in the first picture stands right behind the name, as it does in the first list, and right before the
    place in the second: so the one is copied, and the two are compared, side by side.
    """
    earlier = {thing.name: thing for thing in pair.first.things}
    later = {thing.name for thing in pair.second.things}
    second = "".join(f"{n}. {_fate(earlier.get(t.name), t)}\n" for n, t in enumerate(pair.second.things, 1))
    still = "".join(
        f"{n}. {thing.name}: {'there' if thing.name in later else 'gone'}\n"
        for n, thing in enumerate(pair.first.things, 1)
    )
    first = listing(pair.first.things, point_text)
    return f"Picture 1:\n{first}Picture 2:\n{second}Still:\n{still}Changed: {_changed(pair)}"


def _fate(before: Thing | None, after: Thing) -> str:
    """Where a thing of the second picture was in the first, where it is, and whether that is the same place."""
    if before is None:
        return f"{after.name}{point_text(after)}: new"
    fate = "moved" if _distance(before, after) >= FAR else "same"
    return f"{after.name}{point_text(before)}{point_text(after)}: {fate}"


def _changed(pair: Pair) -> str:
    names = [thing.name for thing in (pair.before, pair.after) if thing]
    return ", ".join(names) if names else "nothing"


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
