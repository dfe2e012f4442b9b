"""Pictures that hold one thing too small to be told, and a closer look at it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipelines.demo.drawing import Pixels
from pipelines.demo.scenes import Scene, draw_named, pick_names, reduce
from pipelines.demo.things import SHAPES, SPECK, Coords, Thing, pick_glyph

Size = tuple[int, int]
MARGIN = 60
"""How far a closer look reaches beyond the box of the speck on each side, in thousandths of a side."""


@dataclass(frozen=True, eq=False)
class SpeckScene:
    """A picture as it was drawn, large, and as the model sees it, where the small thing is but a speck.

    `speck` is the small thing by its true name.
    """

    drawn: Scene
    seen: Scene
    speck: Thing

    @property
    def zoom(self) -> Coords:
        """The region to look at more closely, in written coordinates."""
        return zoom_of(self.speck)

    def closer(self, region: Coords, size: Size) -> Pixels:
        """The region (x1, y1, x2, y2 in thousandths) of the drawn picture, brought to `size`: uint8 [H, W, 3]."""
        return cut_out(self.drawn.rgb, region, size)


def cut_out(rgb: Pixels, region: Coords, size: Size) -> Pixels:
    """A region (x1, y1, x2, y2 in thousandths) of a picture uint8 [H, W, 3], brought to `size`."""
    height, width = rgb.shape[:2]
    x1, x2 = (round(side * width / 1000) for side in (region[0], region[2]))
    y1, y2 = (round(side * height / 1000) for side in (region[1], region[3]))
    return np.asarray(cv2.resize(rgb[y1:y2, x1:x2], size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def zoom_of(thing: Thing) -> Coords:
    """The box of a thing with a margin around it, in written coordinates."""
    x1, y1, x2, y2 = thing.box_coords
    return max(10, x1 - MARGIN), max(10, y1 - MARGIN), min(990, x2 + MARGIN), min(990, y2 + MARGIN)


def draw_speck(rng: random.Random, size: Size) -> SpeckScene:
    """A picture of one speck and up to three larger things, seen at `size` (height, width) in px."""
    kind = pick_glyph(rng) if rng.random() < 0.7 else rng.choice(SHAPES)
    names = pick_names(rng, 1 + rng.randint(0, 3), 0.0)
    names[0] = (kind, names[0][1])
    scale = rng.uniform(2.2, 3.2)
    drawn = draw_named(rng, names, (int(size[0] * scale), int(size[1] * scale)), num_specks=1)
    seen = reduce(drawn, size)
    speck = min(drawn.things, key=_largest_side)
    things = tuple(replace(thing, kind=SPECK) if thing == speck else thing for thing in seen.things)
    return SpeckScene(drawn, replace(seen, things=things), speck)


def _largest_side(thing: Thing) -> float:
    x1, y1, x2, y2 = thing.box
    return max(x2 - x1, y2 - y1)
