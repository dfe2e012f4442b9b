"""Reads the places and the spans of time out of an answer.

Contract: `parse_grounding` takes any text and never raises. It salvages item by item: what is complete is kept, and
what is cut off is passed over, so an answer that breaks off gives its first items. Boxes come clamped to 0 to 1000 with
their corners in order, events with their ends in order. The work is linear in the text, and looks at no more than
`MAX_TOKENS` brackets, words and numbers.

`salvage` turns the text into nodes, `reading` walks them, and `fields`, `places` and `times` say what they mean.
`naming` says which medium is meant. A time a little past the end of the clip stays as it is. In running prose, a bare
list of four numbers is taken for a box if it could be one; no shorter list is taken for anything.
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
    """All places and spans in `answer`, in its order.

    `media` are the kinds of the media of the conversation, and `current` is the first one that the question is about:
    places that name no medium are there. If none of them is a clip, there are no spans, and no place has a time.
    `ends_s` are their lengths in seconds, 0 for a picture: what is far past the end of a clip is not a time in it.
    """
    return read(salvage(answer), Naming(tuple(media), current, tuple(ends_s)))
