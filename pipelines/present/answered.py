"""The last answer, as far as later questions about it need it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from pipelines.types import Clip, Gaze, Request, Result


@dataclass
class Answered:
    """A request and its result without the frames of its media; `times_s` are those of its clips, by medium.

    `gaze` is where the model looked, once somebody has asked.
    """

    request: Request
    result: Result
    times_s: dict[int, tuple[float, ...]]
    gaze: Gaze | None = None

    @classmethod
    def of(cls, request: Request, result: Result) -> Self:
        """What is kept of a result."""
        times_s = {number: item.times_s for number, item in enumerate(result.media) if isinstance(item, Clip)}
        return cls(request, replace(result, media=(), sights=()), times_s)
