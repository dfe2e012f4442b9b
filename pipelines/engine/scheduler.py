"""Who is served when: one thread runs the model for all requests, and each step has a row for each one that runs.

First come, first served. A new request is prefilled in pieces, one between every two steps of the running requests,
and then joins them at the next step. A row that ends frees its slot at once. The running rows are always the first.
"""

from __future__ import annotations

import atexit
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from threading import Condition
from typing import TypeVar
from weakref import WeakSet

import torch

from pipelines.engine.anticipated import Anticipated
from pipelines.engine.errands import Errands
from pipelines.engine.gauge import Gauge
from pipelines.engine.job import Job
from pipelines.engine.memory import is_out_of_memory
from pipelines.engine.prefill import prefill
from pipelines.engine.rest import Stopped
from pipelines.engine.running import Running
from pipelines.engine.snapshots import Snapshots
from pipelines.engine.stack import Stack
from pipelines.engine.tower import Tower
from pipelines.engine.worker import LastingThread
from pipelines.inputs import ModelInputs
from pipelines.types import FinishReason, Work

LOGGER = logging.getLogger(__name__)

MAX_IDLE_CAPACITY = 4096
"""The most tokens per row for which the buffers are kept while nothing runs."""

T = TypeVar("T")

_ALIVE: WeakSet[Scheduler] = WeakSet()


@atexit.register
def _close_all() -> None:
    # a thread still inside the model when the interpreter ends would crash the process
    for scheduler in list(_ALIVE):
        scheduler.close()


class Scheduler:
    """Runs jobs in the slots of a stack, all but the last, in which prompts are prefilled.

    `refuse` turns an error of the model's device, such as running out of memory, into the one that a person is told;
    `prepare` readies the thread for the model.
    """

    def __init__(
        self,
        stack: Stack,
        tower: Tower,
        snapshots: Snapshots,
        chunk_tokens: int,
        refuse: Callable[[Exception], Exception],
        prepare: Callable[[], None],
    ) -> None:
        self.stack, self.tower, self.snapshots = stack, tower, snapshots
        self.chunk_tokens = chunk_tokens
        self._refuse, self._prepare = refuse, prepare
        self._gauge = Gauge(stack.device)
        self._anticipated = Anticipated(stack, snapshots)
        self._errands = Errands()
        self._max_running = stack.slots.rows - 1
        self._waiting: deque[Job] = deque()
        self._running = Running(stack, snapshots, self._end)
        self._beginning: tuple[Job, Iterator[None]] | None = None
        self._changed = Condition()
        self._worker, self._is_working = LastingThread(self, "engine"), False
        self._is_closing = False
        _ALIVE.add(self)

    def close(self) -> None:
        """Stop everything, and return when the thread is done."""
        self._is_closing = True
        self.wait_idle()

    def submit(self, job: Job) -> None:
        """Queue a job, and start the thread if it is idle."""
        with self._changed:
            self._start()
            self._waiting.append(job)
            if self._beginning or len(self._waiting) > 1 or len(self._running.jobs) >= self._max_running:
                job.wait(len(self._waiting))

    def between(self, work: Callable[[], T]) -> T:
        """Run `work` alone in the engine's thread, between two turns; return or raise what it does."""
        with self._changed:
            self._start()
            future = self._errands.add(work)
        return future.result()

    def anticipate(self, inputs: ModelInputs) -> None:
        """Read the beginning of a conversation's next prompt, once there is nothing else to do."""
        with self._changed:
            self._start()
            self._anticipated.add(inputs)

    def forget(self, conversation: str) -> None:
        """Drop what is kept of a conversation, and read no more of it."""
        self._anticipated.forget(conversation)
        self.snapshots.forget(conversation)

    def _start(self) -> None:
        """Have the thread look for work, which it does once `_changed` is free. Called first, as it may fail."""
        if not self._is_working:
            self._worker.start(self._work)
            self._is_working = True

    @property
    def num_busy(self) -> int:
        """The number of requests that run, begin or wait."""
        with self._changed:
            return len(self._waiting) + len(self._running.jobs) + (self._beginning is not None)

    def wait_idle(self) -> None:
        """Return when nothing is left to do."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_working)

    @torch.inference_mode()
    def _work(self) -> None:
        try:
            self._serve()
        except Exception as error:  # as where the device itself is lost
            with self._changed:  # or whoever asks meanwhile would wait for a thread that is gone
                self._is_working = False
                self._give_up(error)
                self._anticipated.clear()
                self._changed.notify_all()

    def _serve(self) -> None:
        device = self.stack.device
        self._prepare()
        # states fade into denormal numbers, with which a CPU is slow: make them 0
        torch.set_flush_denormal(True)
        # events, graphs and new streams belong to the thread's current GPU, which in a new thread is always the first
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            while self._has_work():
                try:
                    self._turn()
                except Exception as error:
                    self._give_up(error)

    def _turn(self) -> None:
        self._drop_stopped()
        self._run_errand()
        self._begin()
        self._step()
        if not self._is_busy:
            self._unasked(self._anticipated.read)

    def _give_up(self, error: Exception) -> None:
        """After an error where none may happen: tell everyone, and start afresh for whoever asks next."""
        LOGGER.error("the engine gave up all that it was doing", exc_info=error)
        with self._changed:
            jobs = [*self._running.jobs, *([self._beginning[0]] if self._beginning else []), *self._waiting]
            self._waiting.clear()
            self._beginning, self._running = None, Running(self.stack, self.snapshots, self._end)
        for job in jobs:
            self._gauge.drop(job)
            job.end(self._refuse(error))
        self._errands.fail(self._refuse(error))
        _give_back(self._make_room)

    def _has_work(self) -> bool:
        with self._changed:
            if not self._is_closing and (self._is_busy or not self._anticipated.is_empty):
                return True
            self._errands.cancel()
            if self.stack.slots.capacity > MAX_IDLE_CAPACITY:
                _give_back(self.stack.release)
            self._is_working = False
            self._changed.notify_all()
            return False

    @property
    def _is_busy(self) -> bool:
        return bool(self._waiting or self._running.jobs or self._beginning or self._errands)

    def _unasked(self, work: Callable[[], None]) -> None:
        """Work on what is read ahead; if that fails, there is nobody to tell."""
        try:
            work()
        except Exception as error:
            LOGGER.warning("an answer could not be read again", exc_info=error)
            self._anticipated.clear()
            self._recover(error, [])

    def _run_errand(self) -> None:
        """One a turn, as whoever asked may have the next one ready by then, and so may others."""
        if not self._errands:
            return
        self._running.wait()
        if self._beginning:
            self._beginning[0].enter(Work("others"))
        error = self._errands.run(self._refuse)
        if error is not None:
            self._recover(error, [])

    def _drop_stopped(self) -> None:
        with self._changed:
            stopped = [job for job in self._waiting if job.is_stopped]
            for job in stopped:
                self._waiting.remove(job)
            if stopped:
                self._tell_places()
        for job in stopped:
            job.end("cancelled")
        for job in [job for job in self._running.jobs if job.is_stopped]:
            self._running.leave(job, "cancelled")

    def _begin(self) -> None:
        """Do one piece of the next request's prefill, if there is room for it."""
        if self._beginning is None and not self._admit():
            return
        assert self._beginning is not None
        job, pieces = self._beginning
        self._gauge.look()
        try:
            if job.is_stopped:
                raise Stopped
            self._running.wait()
            next(pieces)
        except StopIteration:
            self._beginning = None  # it runs now
        except Stopped:
            self._abandon()
            self._end(job, "cancelled")
        except Exception as error:
            self._abandon()
            self._recover(error, [job])

    def _abandon(self) -> None:
        """Give up the prompt that is being read, and free its slot."""
        self._beginning = None
        self.stack.slots.free(self._max_running)

    def _admit(self) -> bool:
        with self._changed:
            if not self._waiting or len(self._running.jobs) >= self._max_running:
                return False
            job = self._waiting.popleft()
            self._anticipated.drop(job.inputs.conversation)
            self._beginning = job, self._prefill(job)
            self._gauge.begin(job)
            self._tell_places()
        return True

    def _tell_places(self) -> None:
        for place, job in enumerate(self._waiting, 1):
            job.wait(place)

    def _prefill(self, job: Job) -> Iterator[None]:
        """Read a prompt into the last slot, piece by piece, then move its row to the running ones."""
        self._unasked(self._anticipated.leave)
        slot = self._max_running
        hidden, keep = yield from prefill(job, slot, self.stack, self.tower, self.snapshots, self.chunk_tokens)
        job.enter(Work("prefill"))  # others may have had the device meanwhile
        self._running.join(job, slot, hidden, keep)

    def _step(self) -> None:
        """Decode one token for every running row."""
        if self._beginning and self._running.jobs:
            self._beginning[0].enter(Work("others"))
        try:
            self._running.reserve()
        except Exception as error:
            self._recover(error, self._running.without_room)
        try:
            self._running.step()
        except Exception as error:
            self._recover(error, list(self._running.jobs))

    def _end(self, job: Job, reason: FinishReason | Exception) -> None:
        measured = None
        try:
            measured = self._gauge.end(job)
        finally:  # whatever fails, whoever asked is told
            job.end(reason, measured)

    def _recover(self, error: Exception, jobs: list[Job]) -> None:
        """End the jobs that an error hit, free what could be in the way, and go on with the others."""
        for job in jobs:
            if job in self._running.jobs:
                self._running.free(job)
            self._end(job, self._refuse(error))
        if is_out_of_memory(error):
            self._make_room()

    def _make_room(self) -> None:
        """Free the memory of whatever can be made again, and read nothing ahead from what is dropped."""
        self._anticipated.clear()
        self.tower.release()
        self.snapshots.clear()
        self.stack.release_pieces()
        if not (self._running.jobs or self._beginning):
            self.stack.release()
        if self.stack.device.type == "cuda":
            torch.cuda.empty_cache()


def _give_back(release: Callable[[], None]) -> None:
    """Free memory. If that fails it is nobody's error, and the thread goes on."""
    try:
        release()
    except Exception as error:
        LOGGER.warning("what it held could not be given back", exc_info=error)
