"""What an answer names: places and spans of time.

Coordinates are 0 to 1000 on each axis of the upright original (x / 1000 * width, y / 1000 * height); times are seconds
from the start of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in 0 to 1000, with x1 <= x2 and y1 <= y2."""
Point = tuple[float, float]
"""x, y in 0 to 1000."""


@dataclass(frozen=True)
class Region:
    """A place that the answer names: exactly one of `box` and `point`, in 0 to 1000 on the upright original.

    `media_index` counts the media of the request from 0, and `time_s` is set for a place in a clip. `source` is where
    the answer holds it as data: its first character and the one behind; it does not tell regions apart.
    """

    label: str
    box: Box | None = None
    point: Point | None = None
    media_index: int = 0
    time_s: float | None = None
    source: tuple[int, int] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if (self.box is None) == (self.point is None):
            raise ValueError("a region is either a box or a point")

    @property
    def kind(self) -> Literal["box", "point"]:
        return "box" if self.box else "point"

    @property
    def name(self) -> str:
        """Its label in one line, or what it is."""
        return " ".join(self.label.split()) or self.kind

    @property
    def at_s(self) -> float:
        """When it is in a clip; without a time it is where the clip begins."""
        return self.time_s or 0.0

    @property
    def numbers(self) -> tuple[float, ...]:
        """Four of a box, two of a point."""
        return self.box or self.point or ()

    @property
    def place(self) -> str:
        return ", ".join(f"{number:g}" for number in self.numbers)

    @property
    def corners(self) -> Box:
        """Those of the box; of a point both are the point."""
        return self.box or (*(self.point or (0.0, 0.0)),) * 2  # one of both is there


@dataclass(frozen=True)
class Event:
    """A span of a clip that the answer names, in seconds from its start, `start_s` <= `end_s`.

    `media_index` counts the media of the request from 0. `source` is where the answer holds it as data, as in `Region`;
    None where its prose says it.
    """

    start_s: float
    end_s: float
    label: str
    media_index: int = 0
    source: tuple[int, int] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Grounding:
    """All places and spans of one answer."""

    regions: tuple[Region, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def media_indices(self) -> set[int]:
        """The media in which something is named."""
        return {region.media_index for region in self.regions} | {event.media_index for event in self.events}
