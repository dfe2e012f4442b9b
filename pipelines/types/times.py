"""Where the time of a request goes, and the best that the device could do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Stage = Literal[
    "queue", "open", "frames", "fuse", "restore", "send", "vision", "prefill",
    "think", "tool", "look", "answer", "others", "deliver",
]  # fmt: skip
"""Where the time of a request goes; what each is, in words, stands in `pipelines.present.figures.rates`."""
Task = Literal[
    "queue", "open", "frames", "fuse", "restore", "send", "vision", "prefill",
    "decode", "look", "others", "deliver",
]  # fmt: skip
"""Stages as an engine tells of them: it does not know whether a token belongs to a thought or to an answer."""
ClockName = Literal["perf_counter", "cuda event"]


@dataclass(frozen=True)
class Work:
    """A piece of work that begins, and lasts until the next one does.

    `num_tokens` of the prompt go through it, `medium` is the number of the picture or clip that it is about. A decode
    step is shared by `num_rows` requests, and the reply to this one holds `num_before` tokens before it. `num_units`
    are frames that are decoded, or bytes that are sent. `at_s` is when it began, by `time.perf_counter`, where whoever
    does it told later; None is now. It `cuts` what it follows, if that was broken off: no token has gone through it.
    """

    task: Task
    num_tokens: int = 0
    medium: int | None = None
    num_rows: int = 1
    num_before: int = 0
    num_units: int = 0
    at_s: float | None = None
    cuts: bool = False


@dataclass(frozen=True)
class Span:
    """A stretch of one stage: when it began after the question was asked, and how long it took, in ms, by `clock`.

    `num_tokens` went through it or came out of it, shared in each step with `num_rows` - 1 other requests; `medium` is
    the number of the picture or clip that it was about. `num_units` are frames of "frames" and bytes of "send".
    """

    stage: Stage
    start_ms: float
    duration_ms: float
    clock: ClockName = "perf_counter"
    num_tokens: int = 0
    num_rows: int = 1
    medium: int | None = None
    num_units: int = 0

    @property
    def end_ms(self) -> float:
        return self.start_ms + self.duration_ms


@dataclass(frozen=True)
class Upload:
    """Files on their way to this server, before anything was asked about them.

    `duration_ms` is the time from the first byte of the request that brought them until they were kept.
    """

    name: str
    num_bytes: int
    duration_ms: float


@dataclass(frozen=True)
class Gaps:
    """How long one waits for the next token, in ms."""

    p50_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True)
class Timing:
    """Where the time of a request went, from asked to done. `clock` names what measured the engine's stages."""

    spans: tuple[Span, ...]
    total_ms: float
    time_to_first_token_ms: float | None
    clock: ClockName
    time_to_answer_ms: float | None = None
    """To the first word of the answer."""
    gaps: Gaps | None = None
    """None where fewer than two steps brought tokens."""

    @property
    def other_ms(self) -> float:
        """What no stage measured."""
        return self.total_ms - sum(span.duration_ms for span in self.spans)

    @property
    def stage_ms(self) -> Mapping[Stage, float]:
        """Milliseconds by stage, a stage entered more than once summed."""
        summed: dict[Stage, float] = {}
        for span in self.spans:
            summed[span.stage] = summed.get(span.stage, 0.0) + span.duration_ms
        return summed

    @property
    def stage_tokens(self) -> Mapping[Stage, int]:
        """Tokens that passed through each stage."""
        summed: dict[Stage, int] = {}
        for span in self.spans:
            summed[span.stage] = summed.get(span.stage, 0) + span.num_tokens
        return summed


@dataclass(frozen=True)
class Usage:
    """What the model's device held and drew while a request ran, for this request and those beside it.

    `peak_bytes` and `present_bytes` are memory, at the most and at the end; `joules` is None where nothing counts them.
    """

    peak_bytes: int
    present_bytes: int
    joules: float | None = None

    def behind(self, before: Usage | None) -> Usage:
        """The usage of a whole request whose model was asked several times; `before` is what it used up to here."""
        if before is None:
            return self
        drawn = None if self.joules is None or before.joules is None else self.joules + before.joules
        return Usage(max(self.peak_bytes, before.peak_bytes), self.present_bytes, drawn)


@dataclass(frozen=True)
class Roofline:
    """The best that a device does with a model: bytes read a second, and operations a second of matrix products.

    A decode step reads `weight_bytes` once for all rows, and for each row `state_bytes`, and `token_bytes` for each
    token that it holds. A token of a prompt takes `token_flops`.
    """

    bytes_per_s: float
    flops_per_s: float
    weight_bytes: int
    state_bytes: int
    token_bytes: int
    token_flops: int

    def step_ms(self, num_rows: int, num_tokens: float) -> float:
        """The least time of a decode step of rows that hold `num_tokens` each."""
        of_rows = num_rows * (self.state_bytes + num_tokens * self.token_bytes)
        return (self.weight_bytes + of_rows) / self.bytes_per_s * 1000

    def prefill_ms(self, num_tokens: int) -> float:
        """The least time of so many tokens of a prompt."""
        return num_tokens * self.token_flops / self.flops_per_s * 1000


@dataclass(frozen=True)
class Progress:
    """How far a stage is: `done` of `total` frames read, or `done` tokens written, where `total` is not known and 0.

    In the queue, `done` is the place, from 1.
    """

    stage: Stage
    done: int = 0
    total: int = 0
