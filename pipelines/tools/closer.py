"""What a call asks to see: a region of a picture, or frames of a span of a clip. Bad ones are refused in a sentence.

The sentence goes to the model, so that it can put the call right, and to the person who watches.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.types import Box, Picture

MAX_LOOKS = 6
MAX_FRAMES = 32
WHOLE: Box = (0.0, 0.0, 1000.0, 1000.0)
LEAST_PX = 2
"""A side of a region that shows anything."""
MAX_RATIO = 200
"""Between the sides of what the model can see."""


class Refused(Exception):
    """A call that cannot be followed: the message is one sentence for the model."""


@dataclass(frozen=True)
class Zoom:
    """A region of one of the pictures that were given."""

    number: int
    box: Box

    def crop(self, picture: Picture) -> Picture:
        """The region of the original at full resolution. Raises Refused where it is too thin to be seen."""
        x1, y1, x2, y2 = self.box
        left, right = math.floor(x1 / 1000 * picture.width), math.ceil(x2 / 1000 * picture.width)
        top, bottom = math.floor(y1 / 1000 * picture.height), math.ceil(y2 / 1000 * picture.height)
        width, height = right - left, bottom - top
        if min(width, height) < LEAST_PX or max(width, height) > MAX_RATIO * min(width, height):
            raise Refused("The box is too thin to show anything: give a larger one.")
        rgb = np.ascontiguousarray(picture.rgb[top:bottom, left:right])
        content = picture.content and f"{picture.content} {left} {top} {right} {bottom}"
        return Picture(f"part of {picture.name}", rgb, content)


def wanted_zoom(arguments: Mapping[str, str], seen: Sequence[tuple[int, Box]]) -> Zoom:
    """The region that a call names, on the picture that was given.

    `seen` are the pictures that the model has seen in order, those that it looked at more closely too: the number of
    the original and the region of it. Raises Refused.
    """
    index = _number(arguments, "img_idx")
    if index != int(index) or not 0 <= index < len(seen):
        those = "the only picture is 0" if len(seen) == 1 else f"the pictures are 0 to {len(seen) - 1}"
        raise Refused(f"There is no picture {index:g}: {those}.")
    number, within = seen[int(index)]
    x1, y1, x2, y2 = _corners(arguments)
    if x1 >= x2 or y1 >= y2:
        raise Refused("The box is empty: give x1 < x2 and y1 < y2, from 0 to 1000.")
    width, height = within[2] - within[0], within[3] - within[1]
    box = (
        within[0] + x1 * width / 1000,
        within[1] + y1 * height / 1000,
        within[0] + x2 * width / 1000,
        within[1] + y2 * height / 1000,
    )
    return Zoom(number, box)


def wanted_frames(arguments: Mapping[str, str], duration_s: float) -> tuple[float, float, int]:
    """The span in seconds and the number of frames that a call names. Raises Refused."""
    start_s, end_s = max(_number(arguments, "start_s"), 0.0), min(_number(arguments, "end_s"), duration_s)
    num_frames = _number(arguments, "num_frames")
    if not start_s < end_s:
        raise Refused(f"The span is empty: give start_s < end_s, from 0 to {duration_s:.1f} seconds.")
    if num_frames != int(num_frames) or not 1 <= num_frames <= MAX_FRAMES:
        raise Refused(f"num_frames has to be a whole number from 1 to {MAX_FRAMES}.")
    return start_s, end_s, int(num_frames)


def _corners(arguments: Mapping[str, str]) -> Box:
    corners = _value(arguments, "bbox_2d")
    if not isinstance(corners, list) or len(corners) != 4 or not all(_is_number(corner) for corner in corners):
        raise Refused("bbox_2d has to be four numbers: [x1, y1, x2, y2], from 0 to 1000.")
    x1, y1, x2, y2 = (min(max(float(corner), 0.0), 1000.0) for corner in corners)
    return x1, y1, x2, y2


def _number(arguments: Mapping[str, str], name: str) -> float:
    value = _value(arguments, name)
    if not _is_number(value):
        raise Refused(f"{name} has to be a number.")
    assert isinstance(value, int | float)
    return float(value)


def _value(arguments: Mapping[str, str], name: str) -> object:
    if name not in arguments:
        raise Refused(f"{name} is missing: give every parameter of the tool.")
    try:
        return json.loads(arguments[name])
    except (ValueError, RecursionError):
        return None


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
