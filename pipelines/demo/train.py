"""Train the demo model from nothing: `python -m pipelines.demo.train`.

Two processes of one thread each, started by the command itself. The state is saved about once a minute in `--out`; the
same command goes on from there after an interruption, and ends at the same weights as a run that was never stopped.
When the last step is done the checkpoint is written to `--to`. `--from` begins with the weights of a checkpoint instead
of with nothing, the optimiser afresh: so more steps can be added later to what was shipped.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm

from pipelines.demo.course import STAGES, Course, Stage
from pipelines.demo.curve import Mark, draw_curve
from pipelines.demo.export import FOLDER, export
from pipelines.demo.learner import Learner
from pipelines.demo.model import take_weights
from pipelines.demo.plan import OUT, SEED, STEPS, Plan
from pipelines.demo.tokenizer import Encoder, build_tokenizer

CURVE = "curve.png"


class Run:
    """One process of a run: it goes through the plan step by step, from wherever the saved state stands."""

    def __init__(self, plan: Plan, rank: int = 0) -> None:
        torch.set_num_threads(1)
        self.plan, self.rank = plan, rank
        self.encoder = Encoder(build_tokenizer())
        self.course = Course(self.encoder, plan.steps, plan.seed, plan.amounts, begins=plan.start is None)
        self.learner = Learner(self.encoder, plan.seed)
        self.step = 0
        self.seconds = 0.0
        self.marks: list[Mark] = []
        if plan.state_file.exists():
            self._load()
        elif plan.start:
            take_weights(self.learner.model, self.encoder, plan.start)

    def go(self) -> None:
        """Train to the end of the plan, saving on the way."""
        end = sum(self.plan.steps)
        saved_at = started = time.monotonic()
        before = self.seconds
        with tqdm(total=end, initial=self.step, disable=self.rank > 0, mininterval=5.0, file=sys.stderr) as bar:
            while self.step < end:
                stage, own = self.plan.stage_of(self.step)
                lessons = self.course.lessons(stage, own, self.rank)
                standing = self.learner.learn(lessons, self.plan.rate(self.step), self.plan.is_settling(self.step))
                self.marks.append(Mark(self.step, standing.loss, standing.words_right))
                self.step += 1
                self.seconds = before + time.monotonic() - started
                right = "" if standing.words_right is None else f", words {standing.words_right:.0%}"
                bar.set_description(f"{stage}: loss {standing.loss:.3f}{right}", refresh=False)
                bar.update()
                if time.monotonic() - saved_at > self.plan.save_every_s:
                    saved_at = time.monotonic()
                    self.save()
        self.save()

    def save(self) -> None:
        """Keep the state, whole or not at all; the first process does it."""
        if self.rank:
            return
        learner = self.learner
        state = {
            "model": learner.model.state_dict(),
            "heads": learner.heads.state_dict(),
            "muon": learner.muon.state(),
            "adam": learner.adam.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "marks": [(mark.step, mark.loss, mark.words_right) for mark in self.marks],
        }
        self.plan.out.mkdir(parents=True, exist_ok=True)
        partial = self.plan.state_file.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.plan.state_file)
        draw_curve(self.marks, self.plan.beginnings, self.plan.out / CURVE)

    def _load(self) -> None:
        state = torch.load(self.plan.state_file, weights_only=True)
        self.learner.model.load_state_dict(state["model"])
        self.learner.heads.load_state_dict(state["heads"])
        self.learner.muon.load(state["muon"])
        self.learner.adam.load_state_dict(state["adam"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.marks = [Mark(*mark) for mark in state["marks"]]


def estimate_s(plan: Plan, rank: int) -> dict[Stage, float]:
    """Seconds that each stage will take on this machine, from a few steps of each on a model that is thrown away."""
    encoder = Encoder(build_tokenizer())
    course, learner = (
        Course(encoder, plan.steps, plan.seed, plan.amounts, plan.start is None),
        Learner(encoder, plan.seed),
    )
    estimates: dict[Stage, float] = {}
    for stage, length in zip(STAGES, plan.steps, strict=True):
        if not length:
            continue
        middle = length // 2 // 6 * 6
        learner.learn(course.lessons(stage, middle, rank), 0.0)
        started = time.monotonic()
        for step in range(middle, middle + 6):
            learner.learn(course.lessons(stage, step, rank), 0.0)
        estimates[stage] = (time.monotonic() - started) / 6 * length
    return estimates


def main() -> None:
    """Read the options and start the processes."""
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("--steps", type=int, nargs=3, default=STEPS, metavar=("SEE", "READ", "ANSWER"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the run's state")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder of the checkpoint, written at the end")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--from", dest="start", type=Path, help="a checkpoint to go on from instead of from nothing")
    options = parser.parse_args()
    see, read, answer = options.steps
    plan = Plan((see, read, answer), options.seed, options.out, start=options.start)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OMP_NUM_THREADS"] = "1"
        arguments = (options.processes, plan, Path(folder) / "rendezvous")
        spawn(_work, arguments, nprocs=options.processes)  # type: ignore[no-untyped-call]
    export(plan.state_file, options.to)
    print(f"The checkpoint is in {options.to}.", file=sys.stderr)


def _work(rank: int, processes: int, plan: Plan, rendezvous: Path) -> None:
    # A worker is told by SIGINT that the command was killed, and a background job starts out deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=rendezvous.absolute().as_uri(), rank=rank, world_size=processes, timeout=timedelta(hours=2)
    )
    estimates = estimate_s(plan, rank)
    if rank == 0:
        parts = ", ".join(f"{stage} {seconds / 60:.0f}" for stage, seconds in estimates.items())
        print(f"A whole run takes about {sum(estimates.values()) / 60:.0f} minutes here ({parts}).", file=sys.stderr)
    run = Run(plan, rank)
    run.go()
    if rank == 0:
        print(f"Trained {run.step} steps in {run.seconds / 60:.1f} minutes: {plan.state_file}", file=sys.stderr)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
