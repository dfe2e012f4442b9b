"""How fast requests went here, to foretell the next one: medians of the last ones, else the best of the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from pipelines.present.figures.rates import DECODING
from pipelines.types import Record, Roofline, Stage

MAX_RECORDS = 30
USUAL_TEXT = 40
"""Tokens of a question with what the template writes around it, as long as none was counted."""


@dataclass(frozen=True)
class Pace:
    """What things take in ms; None where it is not known.

    `frame_ms` is for reading a picture or a frame, `visual_ms` for a visual token of the tower, `prompt_ms` for a token
    of the prompt and `reply_ms` for one of the reply. `thought`, `answer` and `text` are usual numbers of tokens: of a
    thought, of an answer, and of the words of a prompt. It comes of `num_requests`, and where that is 0 of the device.
    """

    frame_ms: float | None = None
    visual_ms: float | None = None
    prompt_ms: float | None = None
    reply_ms: float | None = None
    thought: int | None = None
    answer: int | None = None
    text: int = USUAL_TEXT
    num_requests: int = 0

    @classmethod
    def at_best(cls, roofline: Roofline | None) -> Pace:
        """What the device could do at best."""
        if roofline is None:
            return cls()
        return cls(prompt_ms=roofline.prefill_ms(1), reply_ms=roofline.step_ms(1, 0))

    @classmethod
    def of(cls, records: Sequence[Record]) -> Pace:
        """The medians of requests. A rate that none of them tells is not known."""
        return cls(
            frame_ms=_rate((_ms(one, "open", "frames", "fuse"), one.num_frames) for one in records),
            visual_ms=_rate((_ms(one, "send", "vision"), _tokens(one, "vision")) for one in records),
            prompt_ms=_rate((_ms(one, "prefill"), _tokens(one, "prefill")) for one in records),
            reply_ms=_rate((_ms(one, *DECODING), _tokens(one, *DECODING)) for one in records),
            thought=_whole(one.tokens.reasoning for one in records if one.tokens.reasoning),
            answer=_whole(one.tokens.answer for one in records if one.tokens.answer),
            text=_whole(one.tokens.text for one in records if one.tokens.text) or USUAL_TEXT,
            num_requests=len(records),
        )


class Paces:
    """The last requests of each model, from any thread."""

    def __init__(self) -> None:
        self._records: dict[str, deque[Record]] = {}

    def note(self, record: Record) -> None:
        """Take in a request that wrote a reply."""
        if record.timing.time_to_first_token_ms is not None:
            self._records.setdefault(record.engine.model, deque(maxlen=MAX_RECORDS)).append(record)

    def of(self, model: str) -> Pace | None:
        """The pace of a model; None where nobody asked it yet."""
        records = self._records.get(model)
        return Pace.of(list(records)) if records else None


def _ms(record: Record, *stages: Stage) -> float:
    return sum(record.timing.stage_ms.get(stage, 0.0) for stage in stages)


def _tokens(record: Record, *stages: Stage) -> int:
    return sum(record.timing.stage_tokens.get(stage, 0) for stage in stages)


def _rate(parts: Iterable[tuple[float, int]]) -> float | None:
    """The median of ms a piece, from (ms, pieces) of each request, by pieces: a few of them tell what begins them."""
    rates = sorted((spent_ms / number, number) for spent_ms, number in parts if number)
    half = sum(number for _, number in rates) / 2
    reached = accumulate(number for _, number in rates)
    return next((rate for (rate, _), number in zip(rates, reached, strict=True) if number >= half), None)


def _whole(values: Iterable[int]) -> int | None:
    known = list(values)
    return round(median(known)) if known else None
