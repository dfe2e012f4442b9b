"""Processes that draw the lessons of the steps to come, for a GPU that would wait for one that draws and learns.

They hand each step over as a file of bytes in the order of the steps, some of them ahead. What is drawn depends on the
step alone, and not on who draws it.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from queue import Queue

import cv2
import torch

from pipelines.demo.course import Course, Lesson
from pipelines.demo.plan import Plan
from pipelines.demo.sheets import Layout, Sheet, lay_out
from pipelines.demo.tokenizer import Encoder, build_tokenizer

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 1024**3
AHEAD = 5
"""How many steps each process is ahead, at most."""
WAITING = 3
"""How many steps lie read and ready."""

Drawn = tuple[Path, Layout, int]


class Drawers:
    """`count` processes that draw the steps of a plan from `first` on, for a device.

    `answering` is how much of the last stage is done, for the steps that are drawn from then on.
    """

    def __init__(self, plan: Plan, count: int, device: torch.device, first: int = 0) -> None:
        self.plan, self.device, self.answering = plan, device, 0.0
        self._folder = tempfile.TemporaryDirectory(dir=_place(), ignore_cleanup_errors=True)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._pool = ProcessPoolExecutor(count, context, _begin)
        self._steps = iter(range(first, plan.end))
        self._coming: deque[Future[Drawn]] = deque()
        for _ in range(AHEAD * count):
            self._assign()
        self._ready: Queue[tuple[torch.Tensor, Layout] | BaseException | None] = Queue(WAITING)
        threading.Thread(target=self._fetch, daemon=True).start()

    def sheets(self) -> Iterator[Sheet]:
        """The steps in order, on the device."""
        while (ready := self._ready.get()) is not None:
            if isinstance(ready, BaseException):
                raise ready
            piece, layout = ready
            yield Sheet.unpack(piece.to(self.device, non_blocking=True), layout)

    def close(self) -> None:
        """Send the processes home."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._folder.cleanup()

    def _assign(self) -> None:
        step = next(self._steps, None)
        if step is not None:
            progress = self.plan.progress(step, self.answering)
            self._coming.append(self._pool.submit(_draw, self.plan, step, progress, Path(self._folder.name)))

    def _fetch(self) -> None:
        try:
            while self._coming:
                file, layout, size = self._coming.popleft().result()
                self._assign()
                piece = torch.empty(size, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
                with file.open("rb", buffering=0) as source:
                    source.readinto(memoryview(piece.numpy()))  # type: ignore[arg-type]
                file.unlink()
                self._ready.put((piece, layout))
            self._ready.put(None)
        except BaseException as error:
            self._ready.put(error)


def _place() -> Path | None:
    """Where files are memory, if there is room."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES else None


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _draw(plan: Plan, step: int, progress: float, folder: Path) -> Drawn:
    course = course_of(plan)
    piece, layout = lay_out(course.encoder, lessons_of(course, plan, step, progress)).pack()
    file = folder / str(step)
    piece.numpy().tofile(file)
    return file, layout, len(piece)


def lessons_of(course: Course, plan: Plan, step: int, progress: float) -> list[Lesson]:
    """The lessons of all shares of a step that one process works on."""
    stage, own = plan.stage_of(step)
    return [lesson for share in range(plan.shares) for lesson in course.lessons(stage, own, progress, share)]


@lru_cache(maxsize=1)
def course_of(plan: Plan) -> Course:
    """The course for drawers: each draws other steps, so that none draws lists for several at once."""
    return Course(Encoder(build_tokenizer()), plan.seed, plan.amounts, plan.start is None, pool_steps=1)
