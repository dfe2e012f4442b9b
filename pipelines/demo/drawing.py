"""How things, backgrounds and the wear of a picture are drawn, in pixels.

Everything random comes from the generator that is passed in, so that a seed gives the same pixels again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.demo.things import COLOURS, SHAPES, Rgb

Pixels = NDArray[np.uint8]
SOLID = 128
"""From this coverage on (of 255) a pixel belongs to the thing."""
SUBPIXEL_BITS = 4
NOISE_PX = 1024
MIN_CONTRAST = 95.0
NUMBER_HEIGHT = 0.56
"""How tall the digits of a two-digit number are, in parts of its width."""


@dataclass(frozen=True)
class Brush:
    """How one thing is drawn: where its middle is and how large it is, in px, and its exact colour.

    `turn` is in radians. `weight` 0 to 1 is the boldness of a glyph, `hershey` its typeface.
    """

    kind: str
    rgb: Rgb
    x: float
    y: float
    size: float
    turn: float = 0.0
    weight: float = 0.0
    hershey: bool = False


def near(rng: random.Random, rgb: Rgb) -> Rgb:
    """A colour that a person would call the same."""
    r, g, b = (int(min(255.0, max(0.0, level + rng.uniform(-18.0, 18.0)))) for level in rgb)
    return r, g, b


def paint(rgb: Pixels, labels: Pixels, brush: Brush, label: int) -> tuple[int, int, int, int]:
    """Draw one thing on uint8 [H, W, 3], write its label on uint8 [H, W], and give its pixel box (x2, y2 outside)."""
    height, width = labels.shape
    side = math.ceil(brush.size * 1.3) + 8
    left, top = int(brush.x - side / 2), int(brush.y - side / 2)
    mask = _mask(brush, side, brush.x - left, brush.y - top)
    x1, y1, x2, y2 = max(0, left), max(0, top), min(width, left + side), min(height, top + side)
    mask = mask[y1 - top : y2 - top, x1 - left : x2 - left]
    cover = mask[..., None].astype(np.float32) / 255
    patch = rgb[y1:y2, x1:x2]
    patch[:] = np.rint(patch * (1 - cover) + np.array(brush.rgb, np.float32) * cover).astype(np.uint8)
    solid = mask >= SOLID
    labels[y1:y2, x1:x2][solid] = label
    columns, rows = np.flatnonzero(solid.any(0)), np.flatnonzero(solid.any(1))
    return int(x1 + columns[0]), int(y1 + rows[0]), int(x1 + columns[-1] + 1), int(y1 + rows[-1] + 1)


def _mask(brush: Brush, side: int, x: float, y: float) -> Pixels:
    """The coverage of one thing, uint8 [side, side]."""
    mask = np.zeros((side, side), np.uint8)
    fine = 1 << SUBPIXEL_BITS
    if brush.kind == "circle":
        centre = (round(x * fine), round(y * fine))
        cv2.circle(mask, centre, round(brush.size * fine / 2), 255, -1, cv2.LINE_AA, SUBPIXEL_BITS)
    elif brush.kind in SHAPES:
        corners = _outline(brush.kind, brush.size, brush.turn) + np.array([x, y])
        cv2.fillPoly(mask, [np.rint(corners * fine).astype(np.int32)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    elif brush.hershey:
        _stroke_glyph(mask, brush, x, y)
    else:
        return _set_glyph(mask, brush, x, y)
    return mask


def glyph_height(brush: Brush) -> float:
    """How tall a digit, a letter or the digits of a number are, in px."""
    return brush.size * (NUMBER_HEIGHT if len(brush.kind) == 2 else 1.0)


def _stroke_glyph(mask: Pixels, brush: Brush, x: float, y: float) -> None:
    face = cv2.FONT_HERSHEY_SIMPLEX
    height = glyph_height(brush)
    thick = max(min(2, round(height / 8)), round(height * (0.07 + 0.1 * brush.weight)), 1)
    (_, tall), _ = cv2.getTextSize(brush.kind, face, 1.0, 1)
    scale = (height * 0.95 - thick) / tall
    (wide, tall), _ = cv2.getTextSize(brush.kind, face, scale, thick)
    cv2.putText(mask, brush.kind, (round(x - wide / 2), round(y + tall / 2)), face, scale, 255, thick, cv2.LINE_AA)


def _set_glyph(mask: Pixels, brush: Brush, x: float, y: float) -> Pixels:
    image = Image.fromarray(mask)
    height = glyph_height(brush)
    bold = round(height * 0.04 * brush.weight)
    font = _font(max(8, round(height * 1.28)))
    ImageDraw.Draw(image).text((x, y), brush.kind, font=font, fill=255, anchor="mm", stroke_width=bold)
    return np.asarray(image)


@lru_cache(maxsize=512)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _outline(kind: str, size: float, turn: float) -> NDArray[np.float64]:
    """The corners of a shape around the origin, [N, 2]."""
    r = size / 2
    arm = r * 0.34
    points = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "diamond": [(0, -r), (r * 0.75, 0), (0, r), (-r * 0.75, 0)],
        "triangle": [(0, -r), (r, r * 0.8), (-r, r * 0.8)],
        "star": [
            (reach * math.sin(i * math.pi / 5), -reach * math.cos(i * math.pi / 5))
            for i in range(10)
            for reach in [r if i % 2 == 0 else r * 0.42]
        ],
        "cross": [
            *[(-arm, -r), (arm, -r), (arm, -arm), (r, -arm), (r, arm), (arm, arm)],
            *[(arm, r), (-arm, r), (-arm, arm), (-r, arm), (-r, -arm), (-arm, -arm)],
        ],
    }[kind]
    cos, sin = math.cos(turn), math.sin(turn)
    turned: NDArray[np.float64] = np.array(points, np.float64) @ np.array([[cos, sin], [-sin, cos]])
    return turned


def backdrop(rng: random.Random, height: int, width: int, used: Collection[str]) -> Pixels:
    """A plain, shaded or grainy ground, uint8 [height, width, 3], that stands off from every colour name in use."""
    ground = np.empty((height, width, 3), np.float32)
    ground[:] = _ground_colour(rng, used)
    texture = rng.random()
    if texture < 0.35:
        across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
        down = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
        angle = rng.uniform(0, 2 * math.pi)
        tint = np.array([rng.uniform(-35, 35) for _ in range(3)], np.float32)
        ground += (math.cos(angle) * across + math.sin(angle) * down) * tint
    elif texture > 0.6:
        top, left = rng.randint(0, NOISE_PX - height), rng.randint(0, NOISE_PX - width)
        ground += _noise()[top : top + height, left : left + width] * rng.uniform(2, 9)
    return np.clip(ground, 0, 255).astype(np.uint8)


def _ground_colour(rng: random.Random, used: Collection[str]) -> Rgb:
    for _ in range(50):
        style = rng.random()
        grey = rng.randint(150, 255) if style < 0.35 else rng.randint(0, 90)
        floor = 150 if style < 0.85 else 0
        colour = (grey,) * 3 if style < 0.5 else tuple(rng.randint(floor, 255) for _ in range(3))
        if all(math.dist(colour, COLOURS[name]) > MIN_CONTRAST for name in used):
            return colour[0], colour[1], colour[2]
    return 128, 128, 128


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(0, 1, (NOISE_PX, NOISE_PX, 3)).astype(np.float32)


def wear(rng: random.Random, rgb: Pixels) -> Pixels:
    """Now and then a blur, a lost resolution or the traces of JPEG, uint8 [H, W, 3] in and out."""
    chance = rng.random()
    if chance < 0.15:
        return _pixels(cv2.GaussianBlur(rgb, (3, 3), rng.uniform(0.3, 0.9)))
    if chance < 0.3:
        height, width = rgb.shape[:2]
        part = rng.uniform(0.6, 0.9)
        small = cv2.resize(rgb, (int(width * part), int(height * part)), interpolation=cv2.INTER_AREA)
        return _pixels(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    if chance < 0.4:
        coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(60, 95)])[1]
        return _pixels(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return rgb


def _pixels(array: object) -> Pixels:
    return np.asarray(array, np.uint8)
