"""Two replies to one question, held against each other."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import hypot

from pipelines.compare.common import MAX_WORDS, in_common
from pipelines.types import Box, Region, Result

Reply = Result | str
"""A result, or the sentence why there is none."""
PIECE = re.compile(r"\s*\S+\s*")
LIKE = 0.5
"""From so near on, two places are the same."""
NEAR = 40.0
"""Thousandths: points so far from each other are still the same place."""
SAME_TIME_S = 0.5
MAX_REGIONS = 300
"""No more of an answer are held against the other's: a model in a loop names thousands."""


@dataclass(frozen=True)
class Part:
    """Some words of an answer; `is_own` says that the other answer has them not."""

    text: str
    is_own: bool


@dataclass(frozen=True, eq=False)
class Pair:
    """What two models said to one question."""

    first: Reply
    second: Reply

    @property
    def is_same(self) -> bool:
        """Whether both answered in the same words, whatever their case and the space between them."""
        return all(isinstance(reply, Result) for reply in (self.first, self.second)) and (
            _words(answer_of(self.first)) == _words(answer_of(self.second))
        )

    @property
    def overlap(self) -> float | None:
        """How well the boxes of both lie on each other, 0 to 1; None where neither names one."""
        return overlap(*(_boxed(reply) for reply in (self.first, self.second)))

    @property
    def parts(self) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """Both answers as they are written, cut where they begin to differ and where they no longer do.

        What lies behind `MAX_WORDS` words is held against nothing.
        """
        first, second = (PIECE.findall(answer_of(reply)) for reply in (self.first, self.second))
        left, right = ([piece.strip().casefold() for piece in pieces] for pieces in (first, second))
        here, there = in_common(left, right)
        return _cut(first, here), _cut(second, there)

    @property
    def differing(self) -> tuple[str, str]:
        """Both answers on a line each, with the words that the other has not in brackets."""
        first, second = (" ".join(filter(None, map(_shown, parts))) for parts in self.parts)
        return first, second

    @property
    def partners(self) -> tuple[dict[int, int], dict[int, int]]:
        """The regions of each that the other has too, by index, with the index of their like there."""
        found = {i: k for i, k, near in _paired(regions_of(self.first), regions_of(self.second)) if near >= LIKE}
        return found, {k: i for i, k in found.items()}


def answer_of(reply: Reply) -> str:
    """The answer, or why there is none."""
    return reply.answer if isinstance(reply, Result) else reply


def regions_of(reply: Reply) -> Sequence[Region]:
    """The places that an answer names, as far as they are held against another's."""
    return reply.grounding.regions[:MAX_REGIONS] if isinstance(reply, Result) else ()


def overlap(first: Sequence[Region], second: Sequence[Region]) -> float | None:
    """The mean intersection over union of places with a box, paired best first; one without its like counts as 0."""
    if not first and not second:
        return None
    return sum(near for _, _, near in _paired(first, second)) / max(len(first), len(second))


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - shared
    return shared / union if union > 0 else float(first == second)


def nearness(first: Region, second: Region) -> float:
    """How alike two places are, 0 to 1: of two boxes by what they share, else by how near their middles are.

    Places in different media or at different times are not alike at all.
    """
    apart_s = abs(first.at_s - second.at_s)
    if first.media_index != second.media_index or apart_s > SAME_TIME_S:
        return 0.0
    if first.box is not None and second.box is not None:
        return iou(first.box, second.box)
    (x1, y1), (x2, y2) = _middle(first), _middle(second)
    return max(0.0, 1.0 - (1.0 - LIKE) * hypot(x1 - x2, y1 - y2) / NEAR)


def _cut(pieces: Sequence[str], shared: Container[int]) -> tuple[Part, ...]:
    """The pieces in parts, each of what the other answer has too or of what it has not."""
    runs = groupby(enumerate(pieces), lambda one: one[0] < MAX_WORDS and one[0] not in shared)
    return tuple(Part("".join(piece for _, piece in run), is_own) for is_own, run in runs)


def _paired(first: Sequence[Region], second: Sequence[Region]) -> list[tuple[int, int, float]]:
    """Pairs by index with their nearness, the nearest first; each region is in one at most."""
    near = ((nearness(a, b), i, k) for i, a in enumerate(first) for k, b in enumerate(second))
    lefts, rights, found = set[int](), set[int](), []
    for value, i, k in sorted(near, key=lambda one: (-one[0], one[1:])):
        if value > 0 and i not in lefts and k not in rights:
            lefts.add(i)
            rights.add(k)
            found.append((i, k, value))
    return found


def _middle(region: Region) -> tuple[float, float]:
    x1, y1, x2, y2 = region.corners
    return (x1 + x2) / 2, (y1 + y2) / 2


def _boxed(reply: Reply) -> list[Region]:
    return [region for region in regions_of(reply) if region.box is not None]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.casefold())


def _shown(part: Part) -> str:
    text = " ".join(part.text.split())
    return f"[{text}]" if part.is_own and text else text
