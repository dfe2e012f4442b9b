"""Real requests of every kind: their stages, added up, beside a stopwatch around all of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from pipelines.engine import LocalEngine
from pipelines.run import answer
from pipelines.types import Progress, Record, Request, Result, Sampling, Settings, UserError

EXAMPLES = Path(__file__).resolve().parent.parent / "assets" / "examples"
PICTURE, CLIP = EXAMPLES / "shapes.png", EXAMPLES / "moving-circle.mp4"
SETTINGS = Settings(sampling=Sampling(), max_new_tokens=256)
ABOUT_PICTURE = Request("List all objects in the picture.", (PICTURE,), SETTINGS)
MAX_ZOOMS = 12


@dataclass(frozen=True)
class Whole:
    """A request's stages in all, beside the time around it, in ms; `other_ms` is what no stage measured."""

    kind: str
    stages_ms: float
    wall_ms: float
    other_ms: float

    @property
    def apart(self) -> float:
        """How far both are apart, as a share of the time around it."""
        return abs(self.stages_ms / self.wall_ms - 1)

    def __str__(self) -> str:
        return (
            f"| {self.kind} | {self.stages_ms:.2f} | {self.wall_ms:.2f} | {abs(self.other_ms):.2f} | {self.apart:.2%} |"
        )


def wholes(engine: LocalEngine) -> Iterator[Whole]:
    """One of each kind."""
    yield _answered(engine, "picture", ABOUT_PICTURE)
    if find_spec("av"):  # a machine that is lent for its GPU may have nothing to read clips with
        yield _answered(engine, "clip", Request("Which way does the circle move?", (CLIP,), SETTINGS))
    if find_spec("cv2"):  # nor to draw with
        yield _looked_closer(engine)
    yield _queued(engine)
    yield _answered(engine, "stopped", ABOUT_PICTURE, is_stopped=True)
    with _failing(engine, RuntimeError):
        yield _answered(engine, "failed", ABOUT_PICTURE)
    with _failing(engine, torch.OutOfMemoryError):
        yield _answered(engine, "out of memory", ABOUT_PICTURE)
    short = replace(ABOUT_PICTURE, settings=replace(SETTINGS, max_new_tokens=8), conversation="continued")
    *_, cut_off = answer(short, engine)
    assert isinstance(cut_off, Result)
    yield _answered(engine, "continued", replace(short, settings=SETTINGS, resumed=cut_off))


def _answered(engine: LocalEngine, kind: str, request: Request, *, is_stopped: bool = False) -> Whole:
    records: list[Record] = []

    def hear(told: Progress | Record) -> None:
        if isinstance(told, Record):
            records.append(told)

    stop, began_s = threading.Event(), time.perf_counter()
    steps = answer(replace(request, asked_s=began_s), engine, stop, hear)
    with suppress(UserError, RuntimeError):
        for step in steps:
            if isinstance(step, Result):
                break  # it is done; what it held is given back behind it
            if is_stopped:
                stop.set()
    wall_ms = (time.perf_counter() - began_s) * 1000
    timing = records[0].timing
    return Whole(kind, sum(span.duration_ms for span in timing.spans), wall_ms, timing.other_ms)


def _looked_closer(engine: LocalEngine) -> Whole:
    """The first of some questions at which the model calls."""
    from pipelines.demo.cases import make_cases

    settings = replace(SETTINGS, look_closer=True, max_new_tokens=400)
    with TemporaryDirectory() as folder:
        for number, case in enumerate(make_cases("zoom", MAX_ZOOMS)):
            [picture] = case.query.media
            path = Path(folder) / f"{number}.png"
            Image.fromarray(picture.rgb).save(path)
            request = Request(case.query.question, (path,), settings)
            *_, result = answer(request, engine)
            if isinstance(result, Result) and result.looks:
                return _answered(engine, "look closer", request)
    raise RuntimeError("the model called no tool")


def _queued(engine: LocalEngine) -> Whole:
    """The last of one more than can run at once; none of them begins before the others have come."""
    num_rows = engine.scheduler.stack.slots.rows - 1
    others = [threading.Thread(target=_drain, args=(engine,)) for _ in range(num_rows)]
    for thread in others:
        thread.start()

    def hold() -> None:
        while engine.scheduler.num_busy < num_rows and any(thread.is_alive() for thread in others):
            time.sleep(0.001)

    engine.scheduler.between(hold)
    whole = _answered(engine, "queued behind others", ABOUT_PICTURE)
    for thread in others:
        thread.join()
    return whole


def _drain(engine: LocalEngine) -> Sequence[object]:
    return list(answer(ABOUT_PICTURE, engine))


@contextmanager
def _failing(engine: LocalEngine, error: type[Exception]) -> Iterator[None]:
    stack = engine.scheduler.stack
    decode = stack.decode

    def fail(*_: object) -> torch.Tensor:
        raise error

    stack.decode = fail  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        stack.decode = decode  # type: ignore[method-assign]
