"""Nodes to boxes and points: which numbers belong together, their scale, their order and their repeats."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from pipelines.grounding.salvage import Listing, Node, Record
from pipelines.types import Box, Point, Region

_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?(?![\w.])")
_CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
_SIZES = (("x", "y", "width", "height"), ("x", "y", "w", "h"))
_POINT = ("x", "y")
_NEAR = 3.0
_LEAST_SIDE = 10.0
_MARGIN = 20.0
_WINDOW = 32


def numbers(texts: Iterable[str] | None) -> list[float] | None:
    """The numbers that `texts` are, None unless every one is."""
    found = [_NUMBER.fullmatch(text.strip()) for text in texts or ()]
    values = [float(one[0]) for one in found if one]
    return values if values and len(values) == len(found) else None


def coordinates(node: Node, size: int) -> list[list[float]]:
    """The groups of `size` numbers (4 a box, 2 a point) that `node` holds; a list of another length gives none.

    As a box, a list of points is what they span: its corners, or an outline.
    """
    return [group for one in _number_lists(node, size) for group in chunks(one, size)]


def outline(node: Node) -> list[float] | None:
    """The box around the outline that `node` is: a list of points, of their numbers, or some of either."""
    lists = [] if isinstance(node, str) else list(_number_lists(node, 2))
    points = [point for one in lists for point in chunks(one, 2)]
    return _around(points) if all(len(one) % 2 == 0 for one in lists) and len(points) > 1 else None


def chunks(values: list[float], size: int) -> list[list[float]]:
    """`values` in groups of `size`, none unless they come out even."""
    if len(values) % size:
        return []
    return [values[at : at + size] for at in range(0, len(values), size)]


def corners(record: Record) -> list[float] | None:
    """The four numbers of a box, or the two of a point, that `record` gives by name."""
    named = {key.strip().casefold(): value for key, value in record.pairs if isinstance(value, str)}
    for names in (*_CORNERS, *_SIZES, _POINT):
        if named.keys() >= set(names) and (values := numbers([named[name] for name in names])):
            return [*values[:2], values[0] + values[2], values[1] + values[3]] if names in _SIZES else values
    return None


def box(values: list[float]) -> Box:
    """Four numbers as a box in 0 to 1000."""
    x1, y1, x2, y2 = _on_scale(values)
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def point(values: list[float]) -> Point:
    """Two numbers as a point in 0 to 1000."""
    x, y = _on_scale(values)
    return (x, y)


def is_plausible_box(values: list[float]) -> bool:
    """Whether four numbers that nothing calls a box may be one: on the scale, large enough, its corners in order."""
    x1, y1, x2, y2 = values
    return 0 <= x1 <= x2 - _LEAST_SIDE <= x2 <= 1000 and 0 <= y1 <= y2 - _LEAST_SIDE <= y2 <= 1000


def is_seen(values: list[float]) -> bool:
    """Whether a box or a point lies on the picture, or on its edge: one in pixels is often far outside."""
    return all(min(axis) <= 1000 + _MARGIN and max(axis) >= -_MARGIN for axis in (values[::2], values[1::2]))


def without_repeats(regions: Iterable[Region]) -> Iterator[Region]:
    """The regions, less those that nearly repeat one of the last of their label, picture and time."""
    recent: defaultdict[tuple[str, int, float | None, bool], deque[Region]] = defaultdict(lambda: deque(maxlen=_WINDOW))
    for region in regions:
        before = recent[region.label, region.media_index, region.time_s, region.box is None]
        if not any(_is_near(region, other) for other in before):
            before.append(region)
            yield region


def _number_lists(node: Node, size: int) -> Iterator[list[float]]:
    work: list[Node] = [node]
    while work:
        node = work.pop()
        values = _numbers_of(node)
        if not values and isinstance(node, Listing):
            values = _spanned(node) if size == 4 else None
            work.extend(item for item in reversed(node.items) if not (values or isinstance(item, str)))
        if values:
            yield values


def _numbers_of(node: Node) -> list[float] | None:
    """The numbers that a node gives by itself."""
    if isinstance(node, str):
        return [float(one[0]) for one in _NUMBER.finditer(node)]
    return corners(node) if isinstance(node, Record) else numbers(node.texts)


def _spanned(listing: Listing) -> list[float] | None:
    """The box around the points that `listing` is a list of, None where it is one of anything else."""
    lists = [_numbers_of(item) for item in listing.items]
    points = [one for one in lists if one and len(one) == 2]
    return _around(points) if len(points) == len(lists) > 1 else None


def _around(points: Iterable[list[float]]) -> list[float]:
    xs, ys = zip(*points, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def _on_scale(values: list[float]) -> list[float]:
    slack = _MARGIN / 1000
    is_fraction = all(-slack <= value <= 1 + slack for value in values) and any(value % 1 for value in values)
    return [min(1000.0, max(0.0, value * 1000 if is_fraction else value)) for value in values]


def _is_near(one: Region, other: Region) -> bool:
    pairs = zip(one.numbers, other.numbers, strict=True)
    return all(abs(a - b) <= _NEAR for a, b in pairs)
