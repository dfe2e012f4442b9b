"""A request as a Chrome trace: its stages, and below them what torch ran, for chrome://tracing or ui.perfetto.dev.

torch.profiler records the kernels of a GPU, and on a CPU the operations. It slows the request down: a trace tells where
the time goes, and not how long a request takes. The format is the JSON object of the Trace Event Format, in
microseconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.disk import try_whole, write_whole
from pipelines.types import Record, Span, UserError

STAGES_PID = 1
"""torch names its own rows by the numbers of processes and devices; no process of a user has this one."""
NO_ROOM = "What torch recorded cannot be written to the temporary folder: make room there, or set TMPDIR to another."
Event = Mapping[str, object]


def check_trace(path: Path | None) -> None:
    """Raise UserError for a trace that could not be written."""
    if path is not None:
        with _writing(path):
            try_whole(path)


@contextmanager
def traced(path: Path | None, record: Callable[[], Record | None]) -> Iterator[None]:
    """Record what torch runs meanwhile, in all threads, and write it with the stages of the request of `record`.

    Without a path nothing is recorded. Raises UserError where the trace cannot be written.
    """
    if path is None:
        yield
        return
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # up to 5 it tells of its start and its end
    import torch
    from torch._C._profiler import _ExperimentalConfig
    from torch.profiler import ProfilerActivity, profile

    activity = ProfilerActivity.CUDA if torch.cuda.is_available() else ProfilerActivity.CPU
    profiler = profile(activities=[activity], experimental_config=_ExperimentalConfig(profile_all_threads=True))
    profiler.start()
    try:
        yield
    finally:
        profiler.stop()
        base_ns, recorded = _recorded(profiler)
        done = record()
        stages = [] if done is None else _stages(done, base_ns)
        with _writing(path):
            content = {"baseTimeNanoseconds": base_ns, "traceEvents": [*stages, *recorded]}
            write_whole(path, json.dumps(content))


def _stages(record: Record, base_ns: int) -> list[Event]:
    start_us = (record.asked_at * 1e9 - base_ns) / 1000
    names = [_name("process_name", 0, "Glassbox"), _name("thread_name", 1, "stages")]
    return [*names, *(_event(span, record, start_us) for span in record.timing.spans)]


def _recorded(profiler: Any) -> tuple[int, list[Event]]:
    try:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "torch.json"
            profiler.export_chrome_trace(str(file))
            content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # torch says nothing of a disk that is full: the file is cut off, or missing
        raise UserError(NO_ROOM) from error
    return int(content.get("baseTimeNanoseconds", 0)), content["traceEvents"]


def _event(span: Span, record: Record, start_us: float) -> Event:
    about = record.media[span.medium] if span.medium is not None and span.medium < len(record.media) else None
    told = {"clock": span.clock, "tokens": span.num_tokens, "rows": span.num_rows, "medium": about}
    return {
        "ph": "X",
        "name": span.stage,
        "cat": "stage",
        "pid": STAGES_PID,
        "tid": 1,
        "ts": start_us + span.start_ms * 1000,
        "dur": span.duration_ms * 1000,
        "args": {name: value for name, value in told.items() if value},
    }


def _name(kind: str, tid: int, name: str) -> Event:
    return {"ph": "M", "name": kind, "pid": STAGES_PID, "tid": tid, "args": {"name": name}}


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f'The trace cannot be written to "{path}": name a file in a folder that you may write to, and see whether '
            "the disk is full."
        ) from error
