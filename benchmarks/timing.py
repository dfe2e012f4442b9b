"""The timing itself, held against others: `make bench-timing`.

What measuring costs; real requests of every kind beside a stopwatch around them; the engine's own tokens a second
beside a stopwatch around the command line, which knows nothing but when text comes out of it; and on a GPU the time by
CUDA events beside that of torch.profiler, from the first kernel of a request to the end of the last. It exits with 1
where one of them is beyond its bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks import kinds, measuring
from benchmarks.measuring import answered
from benchmarks.pair import pair_of
from benchmarks.shapes import random_model
from pipelines.engine import LocalEngine
from pipelines.fusion import fuse, look_of
from pipelines.inputs import ModelInputs
from pipelines.media import open_media
from pipelines.models import load_engine
from pipelines.timing import Stopwatch
from pipelines.types import Message, Sampling, Settings, Timing

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "assets" / "examples" / "shapes.png"
QUESTION = "List all objects in the picture."
SETTINGS = Settings(sampling=Sampling(), max_new_tokens=256)
MAX_COST, MAX_APART, MAX_LEFT = 0.01, 0.03, 0.02
RUNS = 7
SMALLEST, SIDE_PX = "0.8B", 256
ENDED = re.compile(rf"\n+  {re.escape(PICTURE.name)}: ")
"""What is said of the picture, right behind the reply, when all of its times were read."""
REPLY = re.compile(r"reply +([\d,]+) thought \+ ([\d,]+) answered")


@dataclass(frozen=True)
class Finding:
    """A figure beside the one that it is held against, how far apart they are, and how far they may be, if there is a
    bound.
    """

    what: str
    ours: str
    theirs: str
    apart: float
    bound: float | None

    @property
    def is_kept(self) -> bool:
        """Whether it holds."""
        return self.bound is None or self.apart <= self.bound

    def __str__(self) -> str:
        verdict = "" if self.bound is None else "holds" if self.is_kept else "does not hold"
        bound = "" if self.bound is None else f"{self.bound:.0%}"
        return f"| {self.what} | {self.ours} | {self.theirs} | {self.apart:.2%} | {bound} | {verdict} |"


def shaped(size: str) -> LocalEngine:
    """An engine of that size on the GPU, whose replies have no end of their own."""
    device = torch.device("cuda")
    model = random_model(size, None, device, torch.bfloat16)
    return pair_of(f"{size}, random", model, model, SIDE_PX**2).ours


def prompt(engine: LocalEngine) -> ModelInputs:
    """The question about the picture; nothing of it is kept between two requests."""
    media = open_media(PICTURE, look_of(SETTINGS, engine.checkpoint))
    message: Message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
    return fuse([message], [media], engine.checkpoint, True)


def cost_of_marks(engine: LocalEngine) -> Finding:
    """What the marks of a request take by themselves, beside all of the request.

    On a GPU the host takes them while that works: there is no bound but that of the steps.
    """
    found = measuring.marks_of(engine, prompt(engine), SETTINGS)
    told = f"{found.num_marks} marks of a request, {found.mark_ms * 1000:.2f} µs each"
    if found.num_looks:
        told += f", and {found.num_looks} looks at memory, {found.look_ms * 1000:.0f} µs each"
    bound = None if engine.model.device.type == "cuda" else MAX_COST
    share = found.spent_ms / found.whole_ms
    return Finding(f"{told}: ms", f"{found.spent_ms:.3f}", f"{found.whole_ms:.1f}", share, bound)


def cost_of_measuring(engine: LocalEngine) -> Finding:
    """Steps with and without measuring in turn: it holds where all of the interval lies below the bound."""
    found = measuring.turned_on_and_off(engine, prompt(engine), SETTINGS)
    told = f"a step measured, or not, ms: {found}"
    return Finding(told, f"{found.on_ms:.3f}", f"{found.off_ms:.3f}", found.high, MAX_COST)


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
    end = ENDED.search(text)
    counts, rates = REPLY.search(text), _decoding(text)
    if end is None or counts is None or rates is None:
        raise RuntimeError(f"the command line gave no table:\n{text}")
    shown, times = 0, []
    for moment_s, piece in pieces:
        if shown < end.start():  # of what follows the reply, nothing counts
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
    answered(engine, inputs, SETTINGS, None)
    watch = Stopwatch(engine.clock)
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        answered(engine, inputs, SETTINGS, watch)
    ours, what = _on_device_ms(watch.stop()), f"a request on the GPU, {engine.info.model}, ms, by torch.profiler"
    kernels = [event for event in profiler.events() or () if event.device_type == DeviceType.CUDA]
    if not kernels:  # where the driver lets nobody count
        return Finding(what, f"{ours:.1f}", "nothing seen", 1.0, MAX_APART)
    first, last = min(one.time_range.start for one in kernels), max(one.time_range.end for one in kernels)
    busy: Any = sum(one.time_range.elapsed_us() for one in kernels)
    theirs = (last - first) / 1000
    told = f"{theirs:.1f} ({busy / (last - first):.0%} of it in kernels)"
    return Finding(what, f"{ours:.1f}", told, abs(ours / theirs - 1), MAX_APART)


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
    are_kept = []
    for finding in findings(engine, options.model):
        print(finding, flush=True)
        are_kept.append(finding.is_kept)
    print("\n| kind of request | stages, ms | stopwatch, ms | other, ms | apart |\n|---|---|---|---|---|")
    for whole in kinds.wholes(engine):
        print(whole, flush=True)
        are_kept.append(whole.apart <= MAX_LEFT)
    return 0 if all(are_kept) else 1


def findings(engine: LocalEngine, model: str) -> Iterator[Finding]:
    """All that is held against something else.

    A step of the shipped model is over before a GPU's host has begun the next, so there the cost of measuring is that
    of a step of the 0.8B, with weights that mean nothing.
    """
    measured = shaped(SMALLEST) if torch.cuda.is_available() else engine
    yield cost_of_marks(measured)
    yield cost_of_measuring(measured)
    yield outside(model)
    if torch.cuda.is_available():
        yield by_profiler(engine)
        yield by_profiler(measured)


if __name__ == "__main__":
    sys.exit(main())
