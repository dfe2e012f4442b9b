"""Reads the places and the spans of time out of an answer.

Contract: `parse_grounding` takes any text and never raises. It salvages item by item: what is complete is kept and
what is cut off is passed over, so an answer that breaks off gives the first of its items. Boxes come clamped to 0 to
1000 with their corners in order, events with their ends in order. The work is linear in the text, and at most
`MAX_TOKENS` brackets, words and numbers are looked at.

`salvage` turns the text into nodes, `reading` walks them, and `fields`, `places` and `times` say what they mean.
`naming` says which medium is meant. A time a little past the end of the clip stays as it is. A bare list of four
numbers in running prose is taken for a box when it could be one, and nothing smaller is.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.grounding.naming import Naming
from pipelines.grounding.reading import read
from pipelines.grounding.salvage import MAX_TOKENS, salvage
from pipelines.grounding.times import UNSPACED, ToldTime, is_within, told_times
from pipelines.types import Grounding, MediaKind

__all__ = ["MAX_TOKENS", "UNSPACED", "ToldTime", "is_within", "parse_grounding", "told_times"]


def parse_grounding(
    answer: str, media: Sequence[MediaKind] = (), current: int = 0, ends_s: Sequence[float] = ()
) -> Grounding:
    """All places and spans of `answer`, in its order.

    `media` are the kinds of the media of the conversation, and `current` the first that the question is about: it has
    the places that name no medium. Where none of them is a clip there are no spans, and no place has a time.
    `ends_s` are their lengths in seconds, 0 of a picture: what is far behind the end of a clip is none of its times.
    """
    return read(salvage(answer), Naming(tuple(media), current, tuple(ends_s)))
