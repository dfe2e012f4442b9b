"""The timing itself, held against others: `make bench-timing`.

What measuring costs, on and off in turn; the engine's own tokens a second against a stopwatch around the command line,
which knows nothing but when text comes out of it; and on a GPU the time by CUDA events against that of torch.profiler,
from the first kernel of a request to the end of the last. It exits with 1 where one of them is beyond its bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from pipelines.engine import LocalEngine
from pipelines.fusion import fuse, look_of
from pipelines.inputs import ModelInputs
from pipelines.media import open_media
from pipelines.models import load_engine
from pipelines.present.rates import DECODING
from pipelines.timing import Stopwatch
from pipelines.types import Message, Sampling, Settings, Timing, Token, Work

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "assets" / "examples" / "shapes.png"
QUESTION = "List all objects in the picture."
SETTINGS = Settings(sampling=Sampling(), max_new_tokens=256)
MAX_COST, MAX_APART = 0.01, 0.03
TURNS, RUNS, MARKS = 40, 5, 2000
TABLE = re.compile(r"\n  stage ")
REPLY = re.compile(r"reply +([\d,]+) thought \+ ([\d,]+) answered")


@dataclass(frozen=True)
class Finding:
    """A figure beside the one that it is held against, how far apart they are, and how far they may be."""

    what: str
    ours: str
    theirs: str
    apart: float
    bound: float

    @property
    def is_kept(self) -> bool:
        """Whether it holds."""
        return self.apart <= self.bound

    def __str__(self) -> str:
        verdict = "holds" if self.is_kept else "does not hold"
        return f"| {self.what} | {self.ours} | {self.theirs} | {self.apart:.2%} | {self.bound:.0%} | {verdict} |"


def prompt(engine: LocalEngine) -> ModelInputs:
    """The question about the picture; nothing of it is kept between two requests."""
    media = open_media(PICTURE, look_of(SETTINGS, engine.checkpoint))
    message: Message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
    return fuse([message], [media], engine.checkpoint, True)


def answered(engine: LocalEngine, inputs: ModelInputs, watch: Stopwatch | None) -> float:
    """Seconds of one request, timed by `watch` or by nobody: of the processor, where that does the work.

    Other programs make a request last longer, and its own work hardly.
    """
    seconds = time.process_time if engine.clock.name == "perf_counter" else time.perf_counter
    enter: Callable[[Work], None] = watch.enter if watch else lambda _work: None
    began_s = seconds()
    for step in engine.generate(inputs, SETTINGS, enter, threading.Event()):
        if watch and isinstance(step, Token):
            watch.note_token("answer")
    engine.scheduler.wait_idle()
    return seconds() - began_s


def cost_of_measuring(engine: LocalEngine) -> Finding:
    """Requests with and without a stopwatch in turn; what is left of others' work is in both."""
    inputs = prompt(engine)
    answered(engine, inputs, None)
    ratios, spent = [], []
    for turn in range(TURNS):
        order = [Stopwatch(engine.clock), None] if turn % 2 else [None, Stopwatch(engine.clock)]
        timed = {watch is not None: answered(engine, inputs, watch) for watch in order}
        ratios.append(timed[True] / timed[False])
        spent.append((timed[True], timed[False]))
    ours, theirs = (median(pair[side] for pair in spent) * 1000 for side in (0, 1))
    return Finding("a request, measured or not, ms", f"{ours:.1f}", f"{theirs:.1f}", median(ratios) - 1, MAX_COST)


def cost_of_a_step(engine: LocalEngine) -> Finding:
    """What a stopwatch does at each token, by itself, beside a request's time for each of its tokens."""
    inputs = prompt(engine)
    answered(engine, inputs, None)
    watch = Stopwatch(engine.clock)
    token_ms = (
        answered(engine, inputs, watch) / sum(watch.stop().stage_tokens.get(stage, 0) for stage in DECODING) * 1000
    )
    alone = Stopwatch(engine.clock)
    began_s = time.thread_time()
    for number in range(MARKS):
        alone.enter(Work("decode", num_before=number))
        alone.note_token("answer")
    spent_ms = (time.thread_time() - began_s) / MARKS * 1000
    return Finding(
        "the marks of a token, ms, in the time of one",
        f"{spent_ms:.4f}",
        f"{token_ms:.2f}",
        spent_ms / token_ms,
        MAX_COST,
    )


def outside(model: str) -> Finding:
    """The engine's own rate, and that of the text as it leaves the command line."""
    pairs = [_both(model) for _ in range(RUNS)]
    ours, theirs = (median(pair[side] for pair in pairs) for side in (0, 1))
    apart = abs(median(own / seen for own, seen in pairs) - 1)
    return Finding("command line, tok/s, by a stopwatch", f"{ours:.1f}", f"{theirs:.1f}", apart, MAX_APART)


def _both(model: str) -> tuple[float, float]:
    """Tokens a second of one run: by its own table, and by when its text came."""
    command = [sys.executable, "-m", "pipelines", "ask", str(PICTURE), "-q", QUESTION, "--model", model]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, "--greedy", "--timing"], cwd=ROOT, stdout=pipe, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        pieces = list(_arriving(run.stdout.fileno()))
    text = "".join(piece for _, piece in pieces)
    end = TABLE.search(text)
    counts, rates = REPLY.search(text), _decoding(text)
    if end is None or counts is None or rates is None:
        raise RuntimeError(f"the command line gave no table:\n{text}")
    shown, times = 0, []
    for moment_s, piece in pieces:
        if shown < end.start() - 2:  # of what follows the reply, nothing counts
            times.append(moment_s)
        shown += len(piece)
    num_tokens = sum(int(count.replace(",", "")) for count in counts.groups())
    return rates, (num_tokens - 1) / (times[-1] - times[0])


def _arriving(pipe: int) -> Iterator[tuple[float, str]]:
    while piece := os.read(pipe, 65_536):
        yield time.perf_counter(), piece.decode(errors="replace")


def _decoding(text: str) -> float | None:
    found = re.search(r"tokens a second +([\d.,]+)", text)
    return float(found.group(1).replace(",", "")) if found else None


def by_profiler(engine: LocalEngine) -> Finding:
    """The engine's stages by CUDA events, and from the first kernel to the end of the last by torch.profiler."""
    from torch._C._autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    inputs = prompt(engine)
    answered(engine, inputs, None)
    watch = Stopwatch(engine.clock)
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        answered(engine, inputs, watch)
    ours = _on_device_ms(watch.stop())
    kernels = [event for event in profiler.events() or () if event.device_type == DeviceType.CUDA]
    first, last = min(one.time_range.start for one in kernels), max(one.time_range.end for one in kernels)
    busy: Any = sum(one.time_range.elapsed_us() for one in kernels)
    theirs = (last - first) / 1000
    told = f"{theirs:.1f} ({busy / (last - first):.0%} of it in kernels)"
    return Finding(
        "a request on the GPU, ms, by torch.profiler", f"{ours:.1f}", told, abs(ours / theirs - 1), MAX_APART
    )


def _on_device_ms(timing: Timing) -> float:
    return sum(span.duration_ms for span in timing.spans if span.clock == "cuda event")


def main() -> int:
    """Measure, print a table, and tell whether all of it holds."""
    parser = argparse.ArgumentParser(description="Hold the timing against others.")
    parser.add_argument("--model", default="demo", help="what is asked (default: the shipped model)")
    options = parser.parse_args()
    engine = load_engine(options.model)
    if not isinstance(engine, LocalEngine):
        parser.error("only a model on this machine can be measured")
    print(f"{options.model} on {engine.info.place}, {platform.machine()}, torch {torch.__version__}\n")
    print("| what | ours | beside it | apart | bound | |\n|---|---|---|---|---|---|")
    checks: list[Callable[[], Finding]] = [
        lambda: cost_of_a_step(engine),
        lambda: cost_of_measuring(engine),
        lambda: outside(options.model),
    ]
    if torch.cuda.is_available():
        checks.append(lambda: by_profiler(engine))
    are_kept = []
    for check in checks:
        finding = check()
        print(finding, flush=True)
        are_kept.append(finding.is_kept)
    return 0 if all(are_kept) else 1


if __name__ == "__main__":
    sys.exit(main())
