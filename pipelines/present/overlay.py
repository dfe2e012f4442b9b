"""A picture with what the answer named drawn on it: boxes, points, numbers and labels.

Marks lie in an SVG of percentages over the picture, so that lines and letters keep their size however large the
picture is shown. A colour never stands alone: each mark has its number, and its label where there is room. Labels
come from the model and are escaped.
"""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from PIL import Image

from pipelines.present.moments import exact
from pipelines.types import Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PALETTE = (
    ("#e69f00", "#111"),
    ("#56b4e9", "#111"),
    ("#f0e442", "#111"),
    ("#0072b2", "#fff"),
    ("#d55e00", "#111"),
    ("#cc79a7", "#111"),
    ("#009e73", "#111"),
)
"""Okabe and Ito's colours, told apart by the colour-blind, each with the ink that is legible on it."""

SIDES = {"A": PALETTE[3], "B": PALETTE[0]}
"""Two answers on one picture have one colour each for all of their marks, and the second one's lines are dashed."""

MAX_SIDE_PX = 1600
MAX_MARKS = 300
"""No more are drawn of one answer: a model in a loop names thousands."""
MAX_LABELLED = 8
"""With more marks than this the picture shows their numbers alone; the list below it holds the labels."""

MAX_TAG_CHARACTERS = 22
TAG_HEIGHT_PX = 20
CHARACTER_PX, CAPITAL_PX, FOREIGN_PX, FULL_PX, BROAD_PX, EMOJI_PX = 7.6, 9.8, 9.4, 12.5, 13.4, 17.0
"""How wide letters are at most, in the bold 12 px of a tag: nothing measures them where it is written."""
BROAD = frozenset("mwMW@%—…")
LAST_OF_LATIN, FIRST_OF_EMOJI = "\u024f", "\U0001f000"
MAX_TAG_PX = MAX_TAG_CHARACTERS * CHARACTER_PX


@dataclass(frozen=True)
class Mark:
    """A region of the answer with the number that it goes by on the page, from 1.

    `side` is "A" or "B" where two answers are drawn on the same picture.
    """

    number: int
    region: Region
    side: str = ""

    @property
    def name(self) -> str:
        """What is written on it."""
        return f"{self.side}{self.number}"

    @property
    def label(self) -> str:
        """What the model calls it, or what it is."""
        return self.region.name

    @property
    def colours(self) -> tuple[str, str]:
        """The mark's colour, and the ink on it."""
        return SIDES.get(self.side) or PALETTE[(self.number - 1) % len(PALETTE)]


def numbered(regions: Iterable[Region], side: str = "") -> tuple[Mark, ...]:
    """The marks of the places of an answer, or of one of two."""
    return tuple(Mark(number, region, side) for number, region in enumerate(regions, 1))


def data_uri(rgb: NDArray[np.uint8], max_side_px: int = MAX_SIDE_PX) -> str:
    """The picture as a JPEG within the page, reduced to `max_side_px`."""
    picture = Image.fromarray(rgb)
    picture.thumbnail((max_side_px, max_side_px))
    return address_of(picture, "jpeg", quality=88)


def address_of(picture: Image.Image, kind: Literal["png", "jpeg"], **options: int) -> str:
    """The picture as an address within the page; `options` are Pillow's for its kind."""
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"


def figure(
    source: str,
    size: tuple[int, int],
    marks: Sequence[Mark],
    alt: str,
    *,
    caption: str = "",
    is_labelled: bool = True,
    classes: str = "gb-figure",
    time_s: float | None = None,
) -> str:
    """The picture of that address and size [width, height] with its marks, and its caption where it has one."""
    width, height = size
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    time = "" if time_s is None else f' data-time="{exact(time_s)}"'
    return (
        f'<figure class="{classes}"{time}><div class="gb-canvas" style="--ratio:{width / height:.5f}">'
        f'<div class="gb-stage"><img src="{escape(source)}" width="{width}" height="{height}" alt="{escape(alt)}"'
        f' draggable="false">{marks_svg(marks, is_labelled=is_labelled)}</div></div>{below}</figure>'
    )


def marks_svg(marks: Sequence[Mark], *, is_labelled: bool = True) -> str:
    """The marks alone, to lie over a picture of any size."""
    if not marks:
        return ""
    spoken = "; ".join(f"{mark.name}: {mark.label}" for mark in marks)
    has_labels = is_labelled and len(marks) <= MAX_LABELLED
    shapes = "".join(map(_shape_svg, sorted(marks, key=_area, reverse=True)))  # what lies within another is in front
    tags = "".join(_name_svg(mark, has_labels) for mark in marks)  # and no line runs through a name
    return f'<svg class="gb-marks" translate="no" role="img" aria-label="{escape(spoken)}">{shapes}{tags}</svg>'


def _area(mark: Mark) -> float:
    x1, y1, x2, y2 = mark.region.corners
    return (x2 - x1) * (y2 - y1)


def _shape_svg(mark: Mark) -> str:
    shape = _box_svg(mark) if mark.region.box else _point_svg(mark)
    place = " ".join(f"{value:g}" for value in mark.region.numbers)
    classes = f"gb-mark{' gb-dashed' * (mark.side == 'B')}"
    return (
        f'<g class="{classes}" data-marks="{mark.number}" data-place="{place}"><title>{escape(mark.label)}</title>'
        f"{shape}</g>"
    )


def _name_svg(mark: Mark, has_label: bool) -> str:
    text = f"{mark.name} {shortened(mark.label)}" if has_label else mark.name
    return (
        f'<g class="gb-mark gb-name" data-marks="{mark.number}"><title>{escape(mark.label)}</title>'
        f"{_tag_svg(mark, text)}</g>"
    )


def _box_svg(mark: Mark) -> str:
    x1, y1, x2, y2 = mark.region.corners
    place = f'x="{x1 / 10:.2f}%" y="{y1 / 10:.2f}%" width="{(x2 - x1) / 10:.2f}%" height="{(y2 - y1) / 10:.2f}%"'
    return f'<rect class="gb-casing" {place}/><rect class="gb-box" {place} stroke="{mark.colours[0]}"/>'


def _point_svg(mark: Mark) -> str:
    x, y, _, _ = mark.region.corners
    place = f'cx="{x / 10:.2f}%" cy="{y / 10:.2f}%"'
    return f'<circle class="gb-point" {place} r="7" fill="{mark.colours[0]}"/>'


def _tag_svg(mark: Mark, text: str) -> str:
    """The number and label: above the mark where there is room, else below its edge, and never out to the right.

    Of two answers the second has its own at the lower edge, as both mark the same things.
    """
    colour, ink = mark.colours
    x1, y1, x2, y2 = mark.region.corners
    gap_px = 0 if mark.region.box else 11
    width_px = round(_width_px(text) + 12)
    is_right = x1 > 550
    x = x2 if is_right else x1
    left_px = -width_px - gap_px if is_right else gap_px
    top_px = (-TAG_HEIGHT_PX if y1 > 90 else 0) if mark.region.box else -TAG_HEIGHT_PX // 2
    if mark.side == "B" and mark.region.box:
        y1, top_px = y2, (-TAG_HEIGHT_PX if y2 > 930 else 0)
    return (
        f'<svg class="gb-tag" x="{x / 10:.2f}%" y="{y1 / 10:.2f}%">'
        f'<rect x="{left_px}" y="{top_px}" width="{width_px}" height="{TAG_HEIGHT_PX}" rx="3" fill="{colour}"/>'
        f'<text x="{left_px + width_px / 2:g}" y="{top_px + 14}" fill="{ink}">{escape(text)}</text></svg>'
    )


def shortened(label: str) -> str:
    """As much of a label as there is room for in a tag."""
    if len(label) <= MAX_TAG_CHARACTERS and _width_px(label) <= MAX_TAG_PX:
        return label
    short = label[: MAX_TAG_CHARACTERS - 1]
    while _width_px(short) > MAX_TAG_PX - CHARACTER_PX:
        short = short[:-1]
    return short.rstrip() + "…"


def _width_px(text: str) -> float:
    return sum(map(_letter_px, text))


def _letter_px(letter: str) -> float:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0.0
    if letter >= FIRST_OF_EMOJI:
        return EMOJI_PX
    if unicodedata.east_asian_width(letter) in "WF":
        return FULL_PX
    if letter in BROAD:
        return BROAD_PX
    if letter > LAST_OF_LATIN:
        return FOREIGN_PX
    return CAPITAL_PX if letter.isupper() else CHARACTER_PX
