"""What a request took, as rows and figures: the same for the page, the terminal and a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.present.figures.limit import amount
from pipelines.present.figures.rates import (
    DECODING,
    GROUP_OF,
    NAMES,
    STAGES,
    WORKING,
    cost,
    decode_rate,
    in_digits,
    saved_ms,
    stage_rate,
    tokens_per_second,
    tokens_through,
)
from pipelines.types import ClockName, Outcome, Record, Span, Stage, Upload

CLOCKS: dict[ClockName, str] = {"perf_counter": "CPU", "cuda event": "CUDA"}
CLOCKS_IN_WORDS = "CPU: perf_counter of the host. CUDA: events on the GPU's stream."
OUTCOMES: dict[Outcome, str] = {
    "stop": "done",
    "length": "cut off",
    "cancelled": "stopped",
    "refused": "refused",
    "out of memory": "out of memory",
    "failed": "failed",
}
NOTHING = "–"
OTHER = "what no stage measured"
LENT = (
    " Timed by the CPU of the process that holds the GPU: what is launched in one stage may end in the next. "
    "Queue holds the wait for the GPU and the start of that process."
)
UPLOAD = "the files on their way to this server, before anything was asked"
Unit = Literal["tok", "frames", "B"]
UNITS: Mapping[Stage, Unit] = {"frames": "frames", "send": "B"}
"""Units of what goes through a stage, where these are not tokens."""


@dataclass(frozen=True)
class Row:
    """A line of the table: spans of one stage that are about the same.

    What no stage measured has none, and neither has what came before anything was asked: `aside` says so. `load` went
    through it, or came of it: so many of `unit`.
    """

    name: str
    meaning: str
    spans: tuple[Span, ...]
    duration_ms: float
    group: str = "other"
    load: int = 0
    unit: Unit = "tok"
    is_worth_a_rate: bool = True
    clock: str = NOTHING
    aside: str = ""

    @property
    def amount(self) -> str:
        """The load, as `140 tok`, `9 frames` or `1.2 MB`."""
        if not self.load:
            return NOTHING
        if self.unit == "B":
            return f"{amount(self.load)}B"
        return f"{self.load:,} {self.unit.removesuffix('s') if self.load == 1 else self.unit}"

    @property
    def rate(self) -> str:
        """How much of it went through in a second, where that says something."""
        rate = tokens_per_second(self.load, self.duration_ms) if self.is_worth_a_rate else None
        if rate is None:
            return NOTHING
        return f"{amount(rate)}B" if self.unit == "B" else number(rate)


def rows(record: Record) -> list[Row]:
    """The stages as they began: a row for each medium where there are several, and for each number of requests in a
    step. Uploads stand before them, and what no stage measured behind."""
    return [*map(_upload, record.uploads), *_stages(record), Row("Other", OTHER, (), record.timing.other_ms)]


def _upload(upload: Upload) -> Row:
    return Row(
        f"Upload · {upload.name}",
        UPLOAD,
        (),
        upload.duration_ms,
        load=upload.num_bytes,
        unit="B",
        clock=CLOCKS["perf_counter"],
        aside="before it was asked",
    )


def _stages(record: Record) -> list[Row]:
    found: list[Row] = []
    for stage in STAGES:
        spans = [span for span in record.timing.spans if span.stage == stage]
        has_several = len({span.medium for span in spans}) > 1
        for medium, num_rows in dict.fromkeys((span.medium, span.num_rows) for span in spans):
            of_kind = tuple(span for span in spans if (span.medium, span.num_rows) == (medium, num_rows))
            about = f" · {_medium(record, medium)}" if has_several and medium is not None else ""
            shared = f" · shared by {num_rows}" if num_rows > 1 else ""
            pieces = sum(span.num_tokens > 0 for span in of_kind) if stage == "prefill" else 1
            row = _row(stage, of_kind, about + shared + (f" · {pieces} pieces" if pieces > 1 else ""))
            is_told = record.engine.server and stage in DECODING
            found.append(replace(row, load=tokens_through(record, stage)) if is_told else row)
    return sorted(found, key=lambda row: (row.spans[0].stage == "deliver", row.spans[0].start_ms))


def _row(stage: Stage, spans: tuple[Span, ...], about: str) -> Row:
    name, meaning = NAMES[stage]
    unit = UNITS.get(stage, "tok")
    return Row(
        name + about,
        meaning,
        spans,
        sum(span.duration_ms for span in spans),
        GROUP_OF[stage],
        sum(span.num_tokens if unit == "tok" else span.num_units for span in spans),
        unit,
        stage in WORKING or unit != "tok",
        ", ".join(sorted({CLOCKS[span.clock] for span in spans})),
    )


def figures(record: Record, others: Sequence[Record] = ()) -> list[tuple[str, str]]:
    """Names and values of all that is neither a stage nor in the headline; what was not measured is left out.

    `others` may tell how long it would have taken without what was kept.
    """
    tokens, usage = record.tokens, record.usage
    gaps, spent = record.timing.gaps, cost(record)
    found: list[tuple[str, str | None]] = [
        ("ended", OUTCOMES[record.outcome]),
        ("thinking", _rate(stage_rate(record, "think"))),
        ("answering", _rate(stage_rate(record, "answer"))),
        (
            "between tokens",
            f"p50 {ms(gaps.p50_ms)}, p95 {ms(gaps.p95_ms)}, at most {ms(gaps.max_ms)} ms" if gaps else None,
        ),
        ("prompt", _prompt(record)),
        ("reused", _reused(record, others)),
        ("reply", f"{tokens.reasoning:,} thought + {tokens.answer:,} answered tokens"),
        (
            "memory",
            f"{amount(usage.peak_bytes)}B at most, {amount(usage.present_bytes)}B at the end" if usage else None,
        ),
        ("energy", f"{usage.joules:,.1f} J of the whole GPU" if usage and usage.joules is not None else None),
        ("cost", None if spent is None else f"{in_digits(spent)} at {record.price_per_hour:g} an hour"),
    ]
    return [(name, value) for name, value in found if value]


def headline(record: Record) -> list[tuple[str, str]]:
    """The few figures that are read first."""
    timing = record.timing
    return [
        ("in all", seconds(timing.total_ms) or NOTHING),
        ("to the first token", seconds(timing.time_to_first_token_ms) or NOTHING),
        ("to the answer", seconds(timing.time_to_answer_ms) or NOTHING),
        ("tokens a second", number(decode_rate(record))),
    ]


def runs_on(record: Record) -> str:
    """What ran where."""
    engine = record.engine
    kernels = f"; {engine.kernels}" if engine.kernels else ""
    if engine.server:
        return f"{engine.model} on {engine.place}; timed from here: Prefill holds the way there and the server's queue."
    clock = LENT if engine.engine == "lent" else ""
    return f"{engine.model} on {engine.place}, engine {engine.engine}{kernels}.{clock}"


def seconds(duration_ms: float | None) -> str | None:
    """As `1.25 s`."""
    return None if duration_ms is None else f"{duration_ms / 1000:.2f} s"


def ms(duration_ms: float) -> str:
    """Milliseconds, with a decimal where they are few."""
    return f"{duration_ms:,.0f}" if abs(duration_ms) >= 10 else f"{round(duration_ms, 1) + 0.0:.1f}"


def number(value: float | None) -> str:
    """A count or a rate."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _prompt(record: Record) -> str | None:
    if record.engine.server:  # it counts them as one, where it tells
        return f"{record.tokens.text:,} tokens" if record.tokens.text else None
    return f"{record.tokens.text:,} text + {record.tokens.visual:,} visual tokens"


def _reused(record: Record, others: Sequence[Record]) -> str | None:
    """What was kept from before, and about what that saved."""
    tokens, saved = record.tokens, saved_ms(record, others)
    parts = [
        *([f"{tokens.kept:,} of {tokens.text + tokens.visual:,} tokens not prefilled"] if tokens.kept else []),
        *([f"{tokens.kept_visual:,} visual tokens not looked at"] if tokens.kept_visual else []),
        *([f"about {ms(saved)} ms saved, by the longest prompt and picture"] if saved is not None else []),
    ]
    return "; ".join(parts) or None


def _rate(value: float | None) -> str | None:
    return None if value is None else f"{number(value)} tok/s"


def _medium(record: Record, at: int) -> str:
    return record.media[at] if at < len(record.media) else f"item {at + 1}"
