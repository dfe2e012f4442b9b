"""What requests took, as files: JSON for a program, CSV for a spreadsheet, with the same names in both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pipelines.present.figures.rates import STAGES, WORKING, cost, stage_rate, tokens_per_second
from pipelines.spreadsheet import as_table
from pipelines.types import Record, Stage

Value = str | float | int | None


def as_values(record: Record) -> dict[str, Value]:
    """One flat row: times in ms, memory in bytes, energy in joules; None for what was not measured."""
    engine, timing, tokens = record.engine, record.timing, record.tokens
    gaps, usage = timing.gaps, record.usage
    values: dict[str, Value] = {
        "asked_at": datetime.fromtimestamp(record.asked_at, UTC).isoformat(timespec="milliseconds"),
        "question": record.question,
        "media": " ".join(record.media),
        "frames": record.num_frames,
        "ended": record.outcome,
        "model": engine.model,
        "device": engine.device,
        "dtype": engine.dtype,
        "kernels": engine.kernels,
        "engine": engine.engine,
        "total_ms": timing.total_ms,
        "time_to_first_token_ms": timing.time_to_first_token_ms,
        "time_to_answer_ms": timing.time_to_answer_ms,
        **{f"{stage}_ms": timing.stage_ms.get(stage, 0.0) for stage in STAGES},
        "other_ms": timing.other_ms,
        "upload_ms": sum(upload.duration_ms for upload in record.uploads),
        "upload_bytes": sum(upload.num_bytes for upload in record.uploads),
        "frames_per_s": _units_per_s(record, "frames"),
        "sent_bytes_per_s": _units_per_s(record, "send"),
        **{f"{stage}_tokens_per_s": stage_rate(record, stage) for stage in WORKING},
        "gap_p50_ms": gaps.p50_ms if gaps else None,
        "gap_p95_ms": gaps.p95_ms if gaps else None,
        "gap_max_ms": gaps.max_ms if gaps else None,
        "rows_at_most": max((span.num_rows for span in timing.spans), default=1),
        "clock": timing.clock,
        "text_tokens": tokens.text,
        "visual_tokens": tokens.visual,
        "reasoning_tokens": tokens.reasoning,
        "answer_tokens": tokens.answer,
        "kept_tokens": tokens.kept,
        "kept_visual_tokens": tokens.kept_visual,
        "peak_memory_bytes": usage.peak_bytes if usage else None,
        "present_memory_bytes": usage.present_bytes if usage else None,
        "joules": usage.joules if usage else None,
        "cost": cost(record),
    }
    return {name: float(f"{value:.9g}") if isinstance(value, float) else value for name, value in values.items()}


def _units_per_s(record: Record, stage: Stage) -> float | None:
    num_units = sum(span.num_units for span in record.timing.spans if span.stage == stage)
    return tokens_per_second(num_units, record.timing.stage_ms.get(stage, 0.0))


def as_json_file(records: Sequence[Record]) -> str:
    """A JSON array, one object a request, oldest first."""
    return json.dumps([as_values(record) for record in records], ensure_ascii=False, indent=1)


def as_csv_file(records: Sequence[Record]) -> str:
    """A line of names, then one a request."""
    return as_csv([as_values(record) for record in records])


def as_csv(lines: Sequence[Mapping[str, Value]]) -> str:
    """A line of names, then the lines, which have the same ones."""
    columns = list(lines[0]) if lines else []
    return as_table(columns, ([line[name] for name in columns] for line in lines))
