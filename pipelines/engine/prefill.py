"""A prompt is read into a slot: what is kept of it, the tower for what it shows, and then piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

import torch

from pipelines.engine.job import Job
from pipelines.engine.positions import position_ids
from pipelines.engine.snapshots import Snapshots
from pipelines.engine.stack import Stack
from pipelines.engine.tower import Tower
from pipelines.types import Work


def prefill(
    job: Job, slot: int, stack: Stack, tower: Tower, snapshots: Snapshots, chunk_tokens: int
) -> Generator[None, None, tuple[torch.Tensor, Callable[[], None]]]:
    """Yield after each piece of the work; the last state [1, hidden], of which comes the first token, and what keeps
    what a further question will begin with, as long as the prompt is in the slot: the first token need not wait for it.

    Raises Stopped between two layers where nobody wants it any more.
    """
    inputs = job.inputs
    stack.slots.free(slot)
    state = snapshots.find(inputs)
    if state is not None:
        job.enter(Work("restore", state.length))
        stack.slots.copy_in(slot, state)
    start = stack.slots.lengths[slot]
    num_seen = inputs.count_visual(0, start)
    num_known = num_seen
    features: torch.Tensor | None = None
    if num_seen < inputs.num_visual_tokens:
        looks = []
        for medium, frames in inputs.unseen(num_seen):
            num_runs = tower.num_runs
            looks.append(tower.see(frames, job.enter, medium, job.rest))
            num_known += len(looks[-1]) if tower.num_runs == num_runs else 0
            yield
        features = torch.cat(looks)
    job.keep(start, num_known)
    job.enter(Work("prefill"))
    positions, keep = position_ids(inputs, start), _keep_nothing
    for begin in range(start, inputs.num_tokens, chunk_tokens):
        end = min(begin + chunk_tokens, inputs.num_tokens)
        job.enter(Work("prefill", end - begin))
        piece = stack.embed(inputs, begin, end, features, num_seen), positions[:, :, begin - start : end - start]
        if begin < inputs.num_lasting <= end and job.can_be_kept:
            hidden, copied = stack.prefill_kept(slot, *piece, inputs.num_lasting - begin, job.rest)
            keep = partial(job.leave_behind, snapshots, copied)
        else:
            hidden = stack.prefill(slot, *piece, rest=job.rest)
        yield
    job.next_position = int(positions[1:].max()) + 1
    return hidden, keep


def _keep_nothing() -> None:
    pass
