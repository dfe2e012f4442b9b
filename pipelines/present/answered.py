"""The last answer, as far as later questions about it need it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from pipelines.types import Clip, Gaze, Grounding, Request, Result


@dataclass
class Answered:
    """A request and what its answer names; `times_s` are those of the frames of its clips, by medium.

    `result` is there without the frames of its media while the program runs, and None once it is opened again. `gaze`
    is where the model looked, once somebody has asked.
    """

    request: Request
    grounding: Grounding
    times_s: dict[int, tuple[float, ...]]
    result: Result | None = None
    gaze: Gaze | None = None

    @classmethod
    def of(cls, request: Request, result: Result) -> Self:
        """What is kept of a result."""
        times_s = {number: item.times_s for number, item in enumerate(result.media) if isinstance(item, Clip)}
        return cls(request, result.grounding, times_s, replace(result, media=(), sights=()))
