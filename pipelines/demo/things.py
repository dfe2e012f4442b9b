"""What a drawn scene may hold: the kinds and colours of things, and where each thing lies.

A leaf of the demo package. Places are fractions of the picture (0 to 1) until they are written in text, where they are
whole tens from 10 to 990 of the usual 0 to 1000 grid: each of those numbers is one token of the demo model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross")
DIGITS = tuple("0123456789")
LETTERS = tuple("ABCDEFGHJKLMNPQRSTUVWXYZ")
"""I and O are left out: nobody tells them from 1 and 0 in every typeface."""
NUMBERS = tuple(str(number) for number in range(10, 100))
GLYPHS = DIGITS + LETTERS + NUMBERS
KINDS = SHAPES + GLYPHS
SPECK = "speck"
"""What a thing is called that is too small to be told."""
COLOURS = {
    "red": (218, 32, 38),
    "green": (32, 158, 62),
    "blue": (36, 82, 218),
    "yellow": (244, 214, 32),
    "orange": (244, 134, 22),
    "purple": (142, 46, 168),
    "black": (20, 20, 24),
    "white": (248, 248, 248),
}
STEP = 10
"""The grid of written coordinates, in thousandths of a side."""

Rgb = tuple[int, int, int]
Coords = tuple[int, ...]
FractionBox = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of the picture's width and height."""


def written(fraction: float) -> int:
    """A fraction of a side as the number that stands in text: 10 to 990, a multiple of 10."""
    return min(990, max(STEP, round(fraction * 1000 / STEP) * STEP))


@dataclass(frozen=True)
class Thing:
    """One drawn thing: its kind (of KINDS), its colour (of COLOURS) and its exact box."""

    kind: str
    colour: str
    box: FractionBox

    @property
    def name(self) -> str:
        """As it is called in lists, such as `red circle` or `blue 7`."""
        return f"{self.colour} {self.kind}"

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, in fractions."""
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2, (y1 + y2) / 2

    @property
    def box_coords(self) -> Coords:
        """The box in written coordinates."""
        return tuple(written(side) for side in self.box)

    @property
    def centre_coords(self) -> Coords:
        """The centre in written coordinates."""
        return tuple(written(side) for side in self.centre)

    @property
    def zone(self) -> str:
        """Which ninth of the picture holds the centre, as it is written: `top left`, ..., `center`, ...."""
        x, y = self.centre_coords
        column = ("left", "center", "right")[x * 3 // 1000]
        row = ("top", "middle", "bottom")[y * 3 // 1000]
        return "center" if (row, column) == ("middle", "center") else f"{row} {column}"


def reading_order(things: Sequence[Thing], num_rows: int) -> list[int]:
    """The indices of the things in the order in which `num_rows` rows of visual tokens meet their centres."""
    return sorted(range(len(things)), key=lambda i: (int(things[i].centre[1] * num_rows), things[i].centre[0]))


def pick_glyph(rng: random.Random) -> str:
    """A digit, a letter or a number of two digits."""
    return rng.choice(rng.choices((DIGITS, LETTERS, NUMBERS), (4, 4, 3))[0])


def pick_name(rng: random.Random, before: Sequence[tuple[str, str]], glyph_share: float) -> tuple[str, str]:
    """A kind and a colour; four times in ten one of them repeats a name of `before`, so that counting has a point."""
    kind = pick_glyph(rng) if rng.random() < glyph_share else rng.choice(SHAPES)
    colour = rng.choice(tuple(COLOURS))
    if before and rng.random() < 0.42:
        old_kind, old_colour = rng.choice(before)
        return (old_kind, colour) if rng.random() < 0.6 else (kind, old_colour)
    return kind, colour
