"""What the keys of a record mean: places, labels, times and the picture they belong to."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from pipelines.grounding import places, times
from pipelines.grounding.naming import Naming
from pipelines.grounding.salvage import Listing, Node, Record
from pipelines.types import Event, Region

MAX_LABEL = 200
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_BOX_KEYS = frozenset({"bbox_2d", "bbox", "box", "box_2d", "bounding_box", "bboxes", "boxes", "bbox_2ds"})
_POINT_KEYS = frozenset({"point_2d", "point", "points", "points_2d"})
_OUTLINE_KEYS = frozenset({"polygon", "quad", "outline", "contour", "segmentation", "vertices"})
_LABEL_KEYS = (
    *("label", "object_name", "name", "event", "description", "caption"),
    *("object", "category", "class", "class_name", "labels", "activity", "action"),
)
_WEAK_LABEL_KEYS = ("text", "text_content", "content", "type")
_UNITS = ("time", "s", "sec", "second", "seconds", "timestamp")
_START_KEYS = frozenset({"start", "begin", "from", "starttime", "begin_time", "time_start", "timestamp_start"}) | {
    f"start_{unit}" for unit in _UNITS
}
_END_KEYS = frozenset({"end", "stop", "to", "endtime", "finish_time", "time_end", "timestamp_end"}) | {
    f"end_{unit}" for unit in _UNITS
}
_TIME_KEYS = frozenset({"time", "timestamp", "time_s", "t", "second", "seconds"})
_SPAN_KEYS = frozenset({"time_range", "interval", "segment", "span", "range", "timestamps"}) | {
    *("time_span", "timespan", "time_interval", "time_period", "timestamp_range")
}
_MEDIA_KEYS = frozenset(
    {"image_index", "image_idx", "img_index", "img_idx", "media_index", "image", "picture"}
    | {"video_index", "video_idx", "clip_index", "video", "clip"}
)

Bare = Literal["any", "one box", "none", "data"]
"""What a list of numbers under no known key may be: "any" place if it stands alone, "one box" in prose or under an
unknown key, "none" beside a known place. In "data", such as the values of a chart, even `x` and `y` are no place.
"""


@dataclass(frozen=True, slots=True)
class Context:
    """What a node inherits from those around it.

    `media_index` is None until the answer names a medium, `is_by_name` says that it did so in words, and `source` is
    where the outermost node stands in the text.
    """

    bare: Bare
    label: str = ""
    time_s: float | None = None
    media_index: int | None = None
    is_by_name: bool = False
    naming: Naming = field(default_factory=Naming)
    source: tuple[int, int] | None = None

    def region(self, values: list[float], label: str) -> Region:
        """Four numbers as a box, or two as a point, with the time and the medium that apply here."""
        box = places.box(values) if len(values) == 4 else None
        point = None if box else places.point(values)
        time_s = self.time_s if self.naming.has_time else None
        media_index = self.naming.unnamed(time_s) if self.media_index is None else self.media_index
        time_s = time_s if time_s is not None and self.naming.holds(media_index, time_s) else None
        return Region(clean_label(label), box, point, media_index, time_s, self.source)

    def may_be_span(self, values: list[float]) -> bool:
        """Whether two numbers that nothing calls a point may be times: within the length of a clip."""
        medium = self.naming.current if self.media_index is None else self.media_index
        return bool(self.naming.kinds) and self.naming.holds(medium, max(values))

    def event(self, one_s: float, other_s: float, label: str) -> Event:
        """A span with its ends in order and its label cleaned."""
        start_s, end_s = sorted((one_s, other_s))
        medium = self.naming.clip(self.media_index, end_s, is_by_name=self.is_by_name)
        return Event(start_s, end_s, clean_label(label), medium, self.source)


class Fields:
    """The pairs of one record, sorted by what their keys mean."""

    def __init__(self, record: Record, context: Context) -> None:
        self.others: list[tuple[str, Node]] = []
        self._context = context
        self._groups: list[list[float]] = []
        self._outlines: list[list[float]] = []
        self._starts: list[Node] = []
        self._ends: list[Node] = []
        self._times: list[Node] = []
        self._media_index, self._is_by_name = context.media_index, context.is_by_name
        self._own_labels = _labels(record, _LABEL_KEYS)
        inherited = [context.label] if context.label else []
        self._labels = self._own_labels or inherited or _labels(record, _WEAK_LABEL_KEYS)
        for key, value in record.pairs:
            self._sort(key.strip().casefold(), key, value)
        corners = places.corners(record) if context.bare != "data" else None
        self._groups = self._groups or self._outlines or ([corners] if corners else [])

    def regions(self) -> Iterator[Region]:
        """A region for each group of numbers, with a label of its own if there are as many labels as groups."""
        labels = self._labels or [""]
        is_one_each = len(labels) == len(self._groups)
        context = self.inner()
        for at, group in enumerate(self._groups):
            if not places.is_seen(group):
                continue
            yield context.region(group, labels[at if is_one_each else 0])

    def events(self) -> Iterator[Event]:
        """The spans of the record; a single moment counts if it has a label and no place."""
        label, context = next(iter(self._labels), ""), self.inner()
        starts, ends = _moments(self._starts), _moments(self._ends)
        for start, end in zip(starts, ends, strict=False):
            yield context.event(start, end, label)
        spans = [found for node in self._times if (found := _span(node))]
        yield from (context.event(start, end, label) for start, end in spans)
        has_nested = any(not isinstance(value, str) for _, value in self.others)
        if self._own_labels and not (ends or spans or self._groups or has_nested):
            yield from (context.event(at, at, label) for at in [*starts, *_moments(self._times)])

    def inner(self) -> Context:
        """What the nodes inside this record inherit from it."""
        spans = [found[0] for node in self._times if (found := _span(node))]
        moments = [*_moments(self._times), *_moments(self._starts), *spans]
        return replace(
            self._context,
            bare=self._bare(),
            label=next(iter(self._own_labels), self._context.label),
            time_s=moments[0] if moments else self._context.time_s,
            media_index=self._media_index,
            is_by_name=self._is_by_name,
        )

    def _bare(self) -> Bare:
        if self._context.bare in ("none", "data"):
            return self._context.bare
        return "none" if self._groups else "one box"

    def _sort(self, name: str, key: str, value: Node) -> None:
        if name in _BOX_KEYS or name in _POINT_KEYS:
            groups = places.coordinates(value, 4 if name in _BOX_KEYS else 2)
            self._groups.extend(groups)
            if not groups and not isinstance(value, str):
                self.others.append(("", value))
        elif name in _OUTLINE_KEYS and (outline := places.outline(value)):
            self._outlines.append(outline)
        elif name in _START_KEYS:
            self._starts.append(value)
        elif name in _END_KEYS:
            self._ends.append(value)
        elif name in _TIME_KEYS or name in _SPAN_KEYS:
            self._times.append(_listed(value, name in _SPAN_KEYS) if isinstance(value, str) else value)
        elif name in _MEDIA_KEYS:
            found = self._context.naming.of_key(name, value) if isinstance(value, str) else None
            if found is not None:
                self._media_index, self._is_by_name = found, not str(value).strip().isdigit()
        elif name not in _LABEL_KEYS:
            self.others.append((key, value))
        elif not isinstance(value, str):
            self.others.append(("", value))


def clean_label(text: str) -> str:
    """Untrusted text on one line: no control, surrogate or direction characters, at most `MAX_LABEL` long.

    Characters that only join others stay, as emoji are made with them; a text of nothing else is no label.
    """
    line = " ".join(text[: 10 * MAX_LABEL].split())
    kept = (one for one in line if one not in _BIDI and unicodedata.category(one) not in ("Cc", "Cs"))
    label = "".join(kept)[:MAX_LABEL].strip()
    return label if _is_visible(label) else ""


def _is_visible(text: str) -> bool:
    """Whether there is a letter, a number, a sign or a mark of punctuation in it."""
    return any(unicodedata.category(one)[0] in "LNPS" for one in text[: 10 * MAX_LABEL])


def _labels(record: Record, keys: tuple[str, ...]) -> list[str]:
    """The texts of the first of `keys` that has any."""
    named: dict[str, list[Node]] = {}
    for key, value in record.pairs:
        named.setdefault(key.strip().casefold(), []).append(value)
    for wanted in keys:
        texts = [text for value in named.get(wanted, ()) for text in label_texts(value) if _is_visible(text)]
        if texts:
            return texts
    return []


def label_texts(node: Node) -> Iterator[str]:
    """The texts of a label: itself, those of a list, or the first that a nested record gives."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Listing):
        yield from (item for item in node.items if isinstance(item, str))
    else:
        plain = [(key.strip().casefold(), value) for key, value in node.pairs if isinstance(value, str)]
        named = [value for key, value in plain if key in _LABEL_KEYS or key in _WEAK_LABEL_KEYS]
        words = [value for _, value in plain if not places.numbers([value])]
        yield from [*named, *words][:1]


def _moments(nodes: list[Node]) -> list[float]:
    found = (times.seconds(node) for node in nodes if isinstance(node, str))
    return [moment for moment in found if moment is not None]


def _listed(text: str, is_span: bool) -> Node:
    """A text that writes out a list of two times, as that list: `[5, 8]`, and `5,8` where only a span can be meant."""
    bare = text.strip().strip("[]()")
    ends = bare.split(",")
    is_list = len(ends) == 2 and (is_span or bare != text.strip()) and times.seconds(bare) is None
    return Listing(items=[*ends]) if is_list else text


def _span(node: Node) -> tuple[float, float] | None:
    if isinstance(node, str):
        return times.span(node)
    moments = _moments(node.items) if isinstance(node, Listing) else []
    return (moments[0], moments[1]) if len(moments) == 2 else None
