"""Two replies to one question, held against each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pipelines.batch.items import Item
from pipelines.types import Box, Region, Result

Reply = Result | str
"""A result, or the sentence why there is none."""


@dataclass(frozen=True, eq=False)
class Pair:
    """What two models said to one item."""

    item: Item
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
        return overlap(*(_boxes(reply) for reply in (self.first, self.second)))

    @property
    def differing(self) -> tuple[str, str]:
        """Both answers, with the words that the other has not in brackets."""
        first, second = answer_of(self.first).split(), answer_of(self.second).split()
        steps = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
        return (
            " ".join(_shown(first[i:j], kind) for kind, i, j, _, _ in steps if i < j),
            " ".join(_shown(second[k:m], kind) for kind, _, _, k, m in steps if k < m),
        )


def answer_of(reply: Reply) -> str:
    """The answer, or why there is none."""
    return reply.answer if isinstance(reply, Result) else reply


def overlap(first: Sequence[Box], second: Sequence[Box]) -> float | None:
    """The mean intersection over union of boxes paired best first; one without its like counts as 0."""
    if not first and not second:
        return None
    ranked = sorted(((iou(a, b), i, k) for i, a in enumerate(first) for k, b in enumerate(second)), reverse=True)
    lefts, rights, total = set[int](), set[int](), 0.0
    for value, i, k in ranked:
        if i not in lefts and k not in rights:
            lefts.add(i)
            rights.add(k)
            total += value
    return total / max(len(first), len(second))


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - shared
    return shared / union if union > 0 else float(first == second)


def _boxes(reply: Reply) -> list[Box]:
    regions: Sequence[Region] = reply.grounding.regions if isinstance(reply, Result) else ()
    return [region.box for region in regions if region.box is not None]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.casefold())


def _shown(words: Sequence[str], kind: str) -> str:
    text = " ".join(words)
    return text if kind == "equal" else f"[{text}]"
