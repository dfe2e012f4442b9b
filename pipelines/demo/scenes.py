"""Drawn pictures whose every fact is known: what is there, in which colour, and the exact box."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pipelines.demo.drawing import Brush, Pixels, backdrop, near, paint, wear
from pipelines.demo.things import COLOURS, GLYPHS, FractionBox, Thing, pick_name, reading_order

Name = tuple[str, str]
"""A kind and a colour."""
TOKEN_PX = 32
MAX_THINGS = 6
GLYPH_SHARE = 0.25
SMALLEST, LARGEST = 0.17, 0.42
"""The size of a shape, in parts of the short side."""
SMALLEST_GLYPH, SMALLEST_NUMBER = 0.2, 0.34
SPECK_SIZES = 0.05, 0.085
"""The size of a thing that is too small to be told, in parts of the short side."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn picture: `rgb` uint8 [H, W, 3]; `labels` uint8 [H, W], 0 or the 1-based index of the thing there."""

    rgb: Pixels
    labels: Pixels
    things: tuple[Thing, ...]


def draw_scene(
    rng: random.Random, size: tuple[int, int], max_things: int = MAX_THINGS, glyph_share: float = GLYPH_SHARE
) -> Scene:
    """A picture of 1 to `max_things` things, `size` (height, width) in px, the things in reading order."""
    return draw_named(rng, pick_names(rng, rng.randint(1, max_things), glyph_share), size)


def pick_names(rng: random.Random, count: int, glyph_share: float) -> list[tuple[str, str]]:
    """`count` names of things, (kind, colour) each."""
    names: list[tuple[str, str]] = []
    for _ in range(count):
        names.append(pick_name(rng, names, glyph_share))
    return names


def distinct_names(rng: random.Random, count: int, glyph_share: float) -> list[Name]:
    """`count` names, (kind, colour) each, none of them twice."""
    names: list[Name] = []
    while len(names) < count:
        name = pick_name(rng, names, glyph_share)
        if name not in names:
            names.append(name)
    return names


def draw_named(
    rng: random.Random, names: Sequence[tuple[str, str]], size: tuple[int, int], num_specks: int = 0
) -> Scene:
    """A picture of the things of these (kind, colour) names, as far as there is room; the first may be specks."""
    brushes = scatter(rng, names, size, num_specks)
    names = names[: len(brushes)]
    height, width = size
    ground = backdrop(rng, height, width, {colour for _, colour in names})
    scene = paint_scene(ground, names, brushes)
    return replace(scene, rgb=wear(rng, scene.rgb))


def paint_scene(ground: Pixels, names: Sequence[tuple[str, str]], brushes: Sequence[Brush]) -> Scene:
    """The named things on a ground, uint8 [H, W, 3], each with its brush."""
    size = (len(ground), len(ground[0]))
    rgb, labels = ground.copy(), np.zeros(size, np.uint8)
    things = [
        Thing(kind, colour, fractions(paint(rgb, labels, brush, i + 1), size))
        for i, ((kind, colour), brush) in enumerate(zip(names, brushes, strict=True))
    ]
    return ordered(Scene(rgb, labels, tuple(things)), size[0] // TOKEN_PX)


def draw_reduced(
    rng: random.Random, size: tuple[int, int], max_things: int = MAX_THINGS, glyph_share: float = GLYPH_SHARE
) -> Scene:
    """A picture drawn larger, and a little off in its proportions, brought to `size` as the preprocessor does it."""
    height, width = size
    scale = rng.uniform(1.4, 2.8)
    native = (int(height * scale * rng.uniform(0.92, 1.08)), int(width * scale * rng.uniform(0.92, 1.08)))
    return reduce(draw_scene(rng, native, max_things, glyph_share), size)


def reduce(scene: Scene, size: tuple[int, int]) -> Scene:
    """The scene at (height, width): antialiased bicubic on uint8; labels by nearest neighbour; boxes stay exact."""
    frames = torch.from_numpy(np.ascontiguousarray(scene.rgb)).permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(frames, size=size, mode="bicubic", antialias=True)
    rows = np.arange(size[0]) * scene.labels.shape[0] // size[0]
    columns = np.arange(size[1]) * scene.labels.shape[1] // size[1]
    labels = scene.labels[rows][:, columns]
    return ordered(Scene(small[0].permute(1, 2, 0).numpy(), labels, scene.things), size[0] // TOKEN_PX)


def scatter(
    rng: random.Random, names: Sequence[tuple[str, str]], size: tuple[int, int], num_specks: int = 0
) -> list[Brush]:
    """Places where the named things do not touch; the names that found no room are left out, from the end."""
    height, width = size
    placed: list[Brush] = []
    for i, (kind, colour) in enumerate(names):
        for attempt in range(60):
            extent = pick_extent(rng, kind, i < num_specks, 1 - attempt / 80) * min(size)
            reach = extent / 2 + 1
            x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
            if all(apart(x, y, reach, other) for other in placed):
                placed.append(make_brush(rng, kind, colour, x, y, extent))
                break
        else:
            break
    return placed


def pick_extent(rng: random.Random, kind: str, is_speck: bool = False, shrink: float = 1.0) -> float:
    """How large a thing is to be, in parts of the short side."""
    if is_speck:
        return rng.uniform(*SPECK_SIZES) / (0.7 if len(kind) == 2 else 1.0)
    smallest = SMALLEST if kind not in GLYPHS else SMALLEST_NUMBER if len(kind) == 2 else SMALLEST_GLYPH
    return rng.uniform(smallest, max(smallest + 0.01, LARGEST * shrink))


def make_brush(rng: random.Random, kind: str, colour: str, x: float, y: float, size: float) -> Brush:
    """A thing of that name with a shade, a slight turn and a typeface of its own."""
    turn = rng.uniform(-0.25, 0.25) if kind not in (*GLYPHS, "circle") and rng.random() < 0.3 else 0.0
    return Brush(kind, near(rng, COLOURS[colour]), x, y, size, turn, rng.random(), rng.random() < 0.4)


def apart(x: float, y: float, reach: float, other: Brush, gap_px: float = 3.0) -> bool:
    """Whether a thing of half-size `reach` at (x, y) leaves the other one free, all in px."""
    distance = reach + other.size / 2 + gap_px
    return abs(x - other.x) > distance or abs(y - other.y) > distance


def fractions(box_px: tuple[int, int, int, int], size: tuple[int, int]) -> FractionBox:
    """A pixel box as fractions of `size` (height, width)."""
    height, width = size
    x1, y1, x2, y2 = box_px
    return x1 / width, y1 / height, x2 / width, y2 / height


def ordered(scene: Scene, num_rows: int) -> Scene:
    """The scene with its things in the order in which `num_rows` rows of visual tokens meet them."""
    order = reading_order(scene.things, max(1, num_rows))
    new_label = np.zeros(len(order) + 1, np.uint8)
    for new, old in enumerate(order):
        new_label[old + 1] = new + 1
    return Scene(scene.rgb, new_label[scene.labels], tuple(scene.things[i] for i in order))
