"""Marks burnt into the pixels of a copy: what the page draws over a picture, for where there is no page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from pipelines.present.fonts import fitted, font_for, own_font
from pipelines.present.overlay import Mark, shortened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CASING = "#111"
LINES_OF_A_SIDE = 250
"""A line is the shorter side divided by this, and letters are eight lines high."""

ENLARGED_PX = 200
"""The longer side up to which a small copy is enlarged: as small as it is, the letters cover what is marked."""


def marked_copy(rgb: NDArray[np.uint8], marks: Sequence[Mark]) -> Image.Image:
    """A copy to be looked at, as of `burnt`; a small picture is enlarged, by whole times."""
    times = ENLARGED_PX // max(rgb.shape[:2])
    return burnt(rgb if times < 2 else rgb.repeat(times, axis=0).repeat(times, axis=1), marks)


def burnt(rgb: NDArray[np.uint8], marks: Sequence[Mark]) -> Image.Image:
    """A copy of uint8 [height, width, 3] with boxes, points, numbers and labels on it."""
    picture = Image.fromarray(rgb)
    draw = ImageDraw.Draw(picture)
    line_px = max(1, round(min(picture.size) / LINES_OF_A_SIDE))
    for mark in marks:
        _shape(draw, mark, picture.size, line_px)
    for mark in marks:  # above all shapes
        _tag(draw, mark, picture.size, max(11, 8 * line_px))
    return picture


def _shape(draw: ImageDraw.ImageDraw, mark: Mark, size: tuple[int, int], line_px: int) -> None:
    x1, y1, x2, y2 = _corners(mark, size)
    if mark.region.point is not None:
        radius = 4 * line_px
        x1, y1, x2, y2 = x1 - radius, y1 - radius, x2 + radius, y2 + radius
        draw.ellipse((x1, y1, x2, y2), fill=mark.colours[0], outline=CASING, width=line_px)
        return
    outer = (x1 - line_px, y1 - line_px, x2 + line_px, y2 + line_px)
    draw.rectangle(outer, outline=CASING, width=4 * line_px)
    draw.rectangle((x1, y1, x2, y2), outline=mark.colours[0], width=2 * line_px)


def _tag(draw: ImageDraw.ImageDraw, mark: Mark, size: tuple[int, int], letter_px: int) -> None:
    """The number and the label of a mark; the number alone where no font has the letters of the label."""
    colour, ink = mark.colours
    text = f"{mark.number} {shortened(mark.label)}"
    font = font_for(text, letter_px)
    if font is None:
        text, font = str(mark.number), own_font(letter_px)
    text = fitted(text, font, size[0] - letter_px)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = max(2, round((bottom - top) / 5))
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x1, y1, _, _ = _corners(mark, size)
    x = min(max(0.0, x1), max(0.0, size[0] - width))
    y = y1 - height if y1 >= height else min(y1, max(0.0, size[1] - height))
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    draw.text((x + pad - left, y + pad - top), text, fill=ink, font=font)


def _corners(mark: Mark, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 in px; both corners of a point are the point."""
    x1, y1, x2, y2 = mark.region.corners
    width, height = size[0] / 1000, size[1] / 1000
    return x1 * width, y1 * height, x2 * width, y2 * height
