"""What a request took, as rows and figures: the same for the page, the terminal and a file."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.present.limit import amount
from pipelines.present.rates import NAMES, STAGES, WORKING, cost, decode_rate, stage_rate, tokens_per_second
from pipelines.types import ClockName, Outcome, Record, Span

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


@dataclass(frozen=True)
class Row:
    """A line of the table: spans of one stage that are about the same, or what no stage measured, without any."""

    name: str
    meaning: str
    spans: tuple[Span, ...]
    duration_ms: float

    @property
    def num_tokens(self) -> int | None:
        """What went through it or came of it."""
        return sum(span.num_tokens for span in self.spans) or None

    @property
    def rate(self) -> float | None:
        """Tokens a second, where that says something."""
        if not self.spans or self.spans[0].stage not in WORKING:
            return None
        return tokens_per_second(self.num_tokens or 0, self.duration_ms)

    @property
    def clock(self) -> str:
        """What measured it, in a word."""
        return ", ".join(sorted({CLOCKS[span.clock] for span in self.spans})) or NOTHING


def rows(record: Record) -> list[Row]:
    """The stages in order: a row for each medium where there are several, and for each number of requests in a step."""
    timing = record.timing
    found: list[Row] = []
    for stage in STAGES:
        spans = [span for span in timing.spans if span.stage == stage]
        name, meaning = NAMES[stage]
        has_several = len({span.medium for span in spans}) > 1
        for kind in dict.fromkeys((span.medium, span.num_rows) for span in spans):
            of_kind = tuple(span for span in spans if (span.medium, span.num_rows) == kind)
            medium, num_rows = kind
            about = f" · {_medium(record, medium)}" if has_several and medium is not None else ""
            shared = f" · shared by {num_rows}" if num_rows > 1 else ""
            found.append(Row(name + about + shared, meaning, of_kind, sum(span.duration_ms for span in of_kind)))
    found.append(Row("Other", "what no stage measured", (), timing.other_ms))
    return found


def figures(record: Record) -> list[tuple[str, str]]:
    """Names and values of all that is neither a stage nor in the headline; what was not measured is left out."""
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
        ("of it kept", f"{tokens.kept:,} tokens" if tokens.kept else None),
        ("not looked at again", f"{tokens.kept_visual:,} visual tokens" if tokens.kept_visual else None),
        ("reply", f"{tokens.reasoning:,} thought + {tokens.answer:,} answered tokens"),
        (
            "memory",
            f"{amount(usage.peak_bytes)}B at most, {amount(usage.present_bytes)}B at the end" if usage else None,
        ),
        ("energy", f"{usage.joules:,.1f} J of the whole GPU" if usage and usage.joules is not None else None),
        ("cost", None if spent is None else f"{spent:.2g} at {record.price_per_hour:g} an hour"),
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
    return f"{engine.model} on {engine.place}, engine {engine.engine}{kernels}."


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


def _prompt(record: Record) -> str:
    if record.engine.server:  # it counts them as one
        return f"{record.tokens.text:,} tokens"
    return f"{record.tokens.text:,} text + {record.tokens.visual:,} visual tokens"


def _rate(value: float | None) -> str | None:
    return None if value is None else f"{number(value)} tok/s"


def _medium(record: Record, at: int) -> str:
    return record.media[at] if at < len(record.media) else f"item {at + 1}"
