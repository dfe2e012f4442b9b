"""The replies that are being written: a row for each, and one token for all of them at every step.

Their rows are always the first ones: where one ends, the last takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from pipelines.engine.job import Job
from pipelines.engine.sampler import AHEAD, Chosen
from pipelines.engine.sending import sent
from pipelines.engine.snapshots import Snapshots
from pipelines.engine.stack import Stack
from pipelines.types import FinishReason, Work


@dataclass(frozen=True, eq=False)
class _Pending:
    """A step that the device works on: its jobs, and what was chosen for each."""

    jobs: list[Job]
    chosen: Chosen


class Running:
    """The jobs that run, in the order of their rows. `end` is called with one that is over, and why.

    What the device raises is raised to whoever has them step; `free` then takes off those that it met.
    """

    def __init__(self, stack: Stack, snapshots: Snapshots, end: Callable[[Job, FinishReason], None]) -> None:
        self.jobs: list[Job] = []
        self.runs_ahead = stack.device.type == "cuda"
        self._stack, self._slots, self._snapshots, self._end = stack, stack.slots, snapshots, end
        self._pending: _Pending | None = None

    def join(self, job: Job, slot: int, hidden: torch.Tensor, keep: Callable[[], None]) -> None:
        """Take on a job whose prompt is in a slot; of its last state `hidden` [1, hidden] comes the first token.

        What is kept of the prompt is copied out of the slot by `keep`.
        """
        chosen = self._stack.first(hidden, job.choice, len(self.jobs))
        # while a GPU chooses, the host keeps the prompt, and brings the row to its place
        keep()
        self._slots.move(slot, len(self.jobs))
        self.jobs.append(job)
        [(token_id, logprob)] = chosen.read()
        self._deliver(job, token_id, logprob)

    def wait(self) -> None:
        """Let the jobs know that somebody else has the device."""
        for job in self.jobs:
            job.enter(Work("others"))

    def reserve(self) -> None:
        """Have the slots hold one more token of every row, where a step is about to begin."""
        if self._may_begin:
            self._slots.reserve(max(self._slots.lengths[: len(self.jobs)]) + 1)

    @property
    def without_room(self) -> list[Job]:
        """Those whose rows are full."""
        return [job for row, job in enumerate(self.jobs) if self._slots.lengths[row] >= self._slots.capacity]

    def step(self) -> None:
        """One token for every row.

        A GPU gets the next step before the tokens of this one are read, so that it never waits for what is done with
        them. It was in vain for a row that ends with its token: nothing of it is kept.
        """
        may_begin = self._may_begin
        pending, self._pending = self._pending, None
        if may_begin:
            self._pending = self._launched(pending)
        if pending is None and not self.runs_ahead:
            pending, self._pending = self._pending, None
        if pending is not None:
            self._read(pending)

    def leave(self, job: Job, reason: FinishReason) -> None:
        """End a job; of one that was cut off, the state is kept, so that it can go on."""
        if reason == "length" and job.can_be_kept:
            job.leave_behind(self._snapshots, partial(self._slots.copy_out, self.jobs.index(job)))
        self.free(job)
        self._end(job, reason)

    def free(self, job: Job) -> None:
        """Take a job off those that run; the last row takes its place."""
        row, last = self.jobs.index(job), len(self.jobs) - 1
        if row != last:
            self._slots.move(last, row)
            self.jobs[row] = self.jobs[last]
        self._slots.free(last)
        self.jobs.pop()
        if not self.jobs:
            self._pending = None

    @property
    def _may_begin(self) -> bool:
        """Whether no reply is at its last token, which is never fed: a state behind it could not be gone on from."""
        pending = self._pending.jobs if self._pending else []
        return bool(self.jobs) and not any(job.is_last for job in pending if job in self.jobs)

    def _launched(self, pending: _Pending | None) -> _Pending:
        """Begin a step for all rows, behind a step whose tokens are still to be read."""
        jobs = list(self.jobs)
        before = pending.jobs if pending else []
        is_before = [job in before for job in jobs]
        for job, ahead in zip(jobs, is_before, strict=True):
            job.enter(Work("decode", num_rows=len(jobs), num_before=job.num_new_tokens + ahead))
        tokens = [_next(job, is_ahead=ahead) for job, ahead in zip(jobs, is_before, strict=True)]
        chosen = None
        if pending is not None and AHEAD in tokens:
            order = [before.index(job) if job in before else 0 for job in jobs]
            chosen = pending.chosen.ids
            if order != list(range(len(before))):
                chosen = chosen.index_select(0, sent(torch.tensor(order), chosen.device))
        stepped = self._stack.decode(tokens, [job.next_position for job in jobs], chosen)
        picked = self._stack.next(stepped, [job.choice for job in jobs])
        for job in jobs:
            job.next_position += 1
        return _Pending(jobs, picked)

    def _read(self, pending: _Pending) -> None:
        """Wait for the tokens of a step, and hand them out."""
        for job, (token_id, logprob) in zip(pending.jobs, pending.chosen.read(), strict=True):
            if job in self.jobs:
                self._deliver(job, token_id, logprob)

    def _deliver(self, job: Job, token_id: int, logprob: float) -> None:
        reason = job.take(token_id, logprob)
        if reason is not None:
            self.leave(job, reason)


def _next(job: Job, *, is_ahead: bool) -> int:
    """What a job is fed: its last token, or what comes behind it, where that was not read yet."""
    if not is_ahead:
        return job.ids[-1]
    return AHEAD if job.forced is None else job.forced
