"""Reads the places and the spans of time out of an answer.

Contract: `parse_grounding` takes any text and never raises. It salvages item by item: what is complete is kept and
what is cut off is passed over, so an answer that breaks off gives the first of its items. Boxes come clamped to 0 to
1000 with their corners in order, events with their ends in order. The work is linear in the text, and at most
`MAX_TOKENS` brackets, words and numbers are looked at.

`salvage` turns the text into nodes, `reading` walks them, and `fields`, `places` and `times` say what they mean.
Neither knows the media: a time past the end of the clip or an index of a picture that was not sent stays as it is.
A bare list of four numbers in running prose is taken for a box when it could be one, and nothing smaller is.
"""

from __future__ import annotations

from pipelines.grounding.reading import read
from pipelines.grounding.salvage import MAX_TOKENS, salvage
from pipelines.types import Grounding

__all__ = ["MAX_TOKENS", "parse_grounding"]


def parse_grounding(answer: str) -> Grounding:
    """All places and spans of `answer`, in its order."""
    return read(salvage(answer))
