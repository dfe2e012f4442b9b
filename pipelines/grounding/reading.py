"""Walks the nodes, in order, and gathers regions and events; a nested node inherits from the one around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from pipelines.grounding import places, times
from pipelines.grounding.fields import Bare, Context, Fields, clean_label, label_texts
from pipelines.grounding.naming import Naming
from pipelines.grounding.salvage import Listing, Node, Record, Salvage
from pipelines.types import Event, Grounding, Region

_GENERIC_KEYS = frozenset(
    {"", "objects", "detections", "regions", "results", "items", "instances", "annotations", "elements", "data"}
    | {"events", "track", "tracks", "frames", "children", "answer", "output", "bbox_list"}
    | {"coordinates", "coords", "position", "location", "bounds", "rect", "rectangle", "region", "area"}
)
_DATA_KEYS = frozenset(
    {"values", "value", "scores", "rows", "row", "columns", "cells", "table", "series", "numbers", "counts", "prices"}
    | {"amounts", "totals", "sales", "percentages", "years", "sizes", "ratings", "histogram", "matrix", "array"}
    | {"vector", "x", "y", "xs", "ys", "x_values", "y_values", "rgb", "rgba", "color", "colour", "colors", "colours"}
)
"""Keys of the numbers in charts, tables and forms."""
_OF_DATA = re.compile(
    r"\b(?:pages?|arrays?|sequence|vector|matrix|rgba?|colou?rs?|as in|see|years?|scores?|prices?)"
    r"(?:\s(?:is|are|was|were|of|in))?[\s:=(`*]{0,8}\Z",
    re.IGNORECASE,
)
"""Words right before numbers that are therefore no place."""
_TAG_SIZES = {"</box>": 4, "</point>": 2}
_REACH = 40
_LETTER = re.compile(r"[^\W\d_]")


def read(salvaged: Salvage, naming: Naming) -> Grounding:
    """The regions and events of the nodes; if those hold no event, the spans that the prose tells.

    Pictures have no events: a timetable is what a picture shows, not when something happens in it. Nor has a clip any
    event far past its end.
    """
    reader = _Reader()
    bare: Bare = "one box" if any(map(_LETTER.search, salvaged.passages)) else "any"
    named: int | None = None
    is_by_name = True
    for root in salvaged.roots:
        heading = naming.before(root.before)
        if heading is not None or _LETTER.search(root.before):
            named, is_by_name = heading, not naming.tells_of_clips(root.before)
        source = (root.start, root.end)
        may_be = "none" if _OF_DATA.search(root.before[-_REACH:]) else bare
        context = Context(may_be, root.label, media_index=named, is_by_name=is_by_name, naming=naming, source=source)
        reader.read(root.node, context)
    spans = reader.events or _told(salvaged, naming)
    events = (event for event in spans if naming.holds(event.media_index, event.end_s))
    return Grounding(tuple(places.without_repeats(reader.regions)), tuple(dict.fromkeys(events)))


def _told(salvaged: Salvage, naming: Naming) -> Iterator[Event]:
    """The spans that the prose tells."""
    lines = (line for passage in salvaged.passages for line in passage.splitlines())
    for line, heading in naming.of_lines(lines):
        for sentence, (start_s, end_s, label) in times.told_spans(line):
            named = naming.of_sentence(sentence, heading)
            yield Event(start_s, end_s, clean_label(label), naming.clip(named, end_s, is_by_name=True))


class _Reader:
    """Walks the nodes in order on an explicit stack, so that no depth of nesting is too much."""

    def __init__(self) -> None:
        self.regions: list[Region] = []
        self.events: list[Event] = []

    def read(self, root: Node, context: Context) -> None:
        work: list[tuple[Node, Context]] = [(root, context)]
        while work:
            node, context = work.pop()
            if isinstance(node, str):
                self.events.extend(context.event(*span) for _, span in times.told_spans(node))
            elif isinstance(node, Record):
                work.extend(reversed(self._record(node, context)))
            else:
                work.extend(reversed(self._listing(node, context)))

    def _listing(self, node: Listing, context: Context) -> list[tuple[Node, Context]]:
        groups = _groups(node, context) if node.is_closed else []
        self.regions.extend(context.region(group, context.label) for group in groups if places.is_seen(group))
        inner = _in_listing(node, context)
        return [] if groups else [(item, inner) for item in node.items]

    def _record(self, node: Record, context: Context) -> list[tuple[Node, Context]]:
        fields = Fields(node, context)
        if node.is_closed:
            self.regions.extend(fields.regions())
            self.events.extend(fields.events())
        inner = fields.inner()
        nested: list[tuple[Node, Context]] = []
        for key, value in fields.others:
            if isinstance(value, str):
                self.events.extend(_keyed_event(key, value, inner))
            else:
                told = next(label_texts(value), "")
                self.events.extend(_keyed_event(key, told, inner) if value.is_closed else ())
                nested.append((value, _under_key(key, inner)))
        return nested


def _groups(node: Listing, context: Context) -> list[list[float]]:
    """The places that a list is by itself."""
    if node.closer in _TAG_SIZES:
        return places.coordinates(node, _TAG_SIZES[node.closer])
    values = places.numbers(node.texts)
    if not values or context.bare in ("none", "data"):
        return []
    if context.bare == "any":
        pairs = (pair for pair in places.chunks(values, 2) if not context.may_be_span(pair))
        return places.chunks(values, 4) or [*pairs]
    return [values] if len(values) == 4 and places.is_plausible_box(values) else []


def _in_listing(node: Listing, context: Context) -> Context:
    """Numbers inside a tag that gave no place are none, and a list with words in it is prose."""
    if node.closer in _TAG_SIZES:
        return replace(context, bare="none")
    has_words = any(isinstance(item, str) for item in node.items)
    return replace(context, bare="one box") if has_words and context.bare == "any" else context


def _under_key(key: str, context: Context) -> Context:
    """What the value of an unknown key takes over: the key is its time, its picture or its label."""
    name = key.strip()
    moment = times.seconds(name) if times.is_clear_moment(name) else None
    if (index := context.naming.of_name(name)) is not None:
        return replace(context, media_index=index, is_by_name=True)
    if found := times.span(name):
        return replace(context, time_s=found[0])
    if moment is not None:
        return replace(context, time_s=moment)
    if name.casefold() in _DATA_KEYS:
        return replace(context, bare="data", label=name)
    return context if name.casefold() in _GENERIC_KEYS else replace(context, label=name)


def _keyed_event(key: str, text: str, context: Context) -> Iterator[Event]:
    if found := times.span(key):
        yield context.event(*found, text)
