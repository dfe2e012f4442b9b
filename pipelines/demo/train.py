"""Train the demo model from nothing: `python -m pipelines.demo.train`.

On a GPU one process learns, and others draw its lessons ahead of it. Without one there are two processes of one thread
each, which draw and learn. The state is saved now and then in `--out`; the same command goes on from there after an
interruption, and on a CPU ends at the same weights as a run that was never stopped. When the last step is done, or a
GPU's run is interrupted, the checkpoint is written to `--to`. `--from` begins with the weights of a checkpoint instead
of with nothing, the optimiser afresh: so more steps can be added later to what was shipped.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from statistics import median

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm

from pipelines.demo.course import STAGES, Course, Stage
from pipelines.demo.curve import Mark, draw_curve
from pipelines.demo.drawers import Drawers
from pipelines.demo.export import FOLDER, export
from pipelines.demo.learner import Learner, Standing
from pipelines.demo.model import take_weights
from pipelines.demo.plan import OUT, SEED, SHARES, STEPS, Plan
from pipelines.demo.sheets import Sheet, lay_out
from pipelines.demo.tokenizer import Encoder, build_tokenizer

CURVE = "curve.png"
CPU = torch.device("cpu")
READ_EVERY = 20
"""How seldom the losses are read: to read one is to wait for the GPU."""


@dataclass(frozen=True)
class Way:
    """Which process of a run this is, where its model is, what draws for it (None: it does so itself), since when."""

    rank: int = 0
    device: torch.device = CPU
    drawers: Drawers | None = None
    began_at: float = field(default_factory=time.monotonic)


class Run:
    """One process of a run: it goes through the plan step by step, from wherever the saved state stands."""

    def __init__(self, plan: Plan, way: Way | None = None) -> None:
        torch.set_num_threads(1)
        self.plan, self.way = plan, way or Way()
        self.encoder = Encoder(build_tokenizer())
        self.course = Course(self.encoder, plan.seed, plan.amounts, begins=plan.start is None)
        self.learner = Learner(self.encoder, plan.seed, self.way.device)
        self.step = 0
        self.seconds = 0.0
        self.answering_since_s = 0.0
        self.marks: list[Mark] = []
        self.paces: dict[Stage, list[tuple[float, float]]] = {stage: [] for stage in STAGES}
        self._unread: list[tuple[int, Standing]] = []
        if plan.state_file.exists():
            self._load()
        elif plan.start:
            take_weights(self.learner.model, self.encoder, plan.start)

    def go(self) -> None:
        """Train to the end of the plan, saving on the way."""
        saved_at = read_at = time.monotonic()
        before, waited = self.seconds, 0.0
        drawn = self.way.drawers.sheets() if self.way.drawers else None
        with tqdm(initial=self.step, disable=self.way.rank > 0, mininterval=5.0, file=sys.stderr) as bar:
            bar.total = None if self.plan.minutes else self.plan.end
            while self.step < self.plan.end and (answering := self._answering()) < 1:
                asked_at = time.monotonic()
                sheets = [next(drawn)] if drawn else self._own_sheets()
                waited += time.monotonic() - asked_at
                rate, is_settling = self.plan.rate(self.step, answering), self.plan.is_settling(self.step)
                self._unread.append((self.step, self.learner.learn(sheets, rate, is_settling)))
                self.step += 1
                bar.update()
                if len(self._unread) == READ_EVERY:
                    stage = self.plan.stage_of(self.step - 1)[0]
                    bar.set_description(f"{stage}: {self._read()}", refresh=False)
                    now = time.monotonic()
                    self.paces[stage].append(((now - read_at) / READ_EVERY, waited / READ_EVERY))
                    read_at, waited = now, 0.0
                self.seconds = before + time.monotonic() - self.way.began_at
                if time.monotonic() - saved_at > self.plan.save_every_s:
                    saved_at = time.monotonic()
                    self.save()
        self.save()

    def told(self) -> str:
        """How far it came, and how long a step of each stage took in the median, and waited for its lessons."""
        paces = [(stage, *map(median, zip(*paces, strict=True))) for stage, paces in self.paces.items() if paces]
        steps = "".join(
            f", {stage} {1000 * step_s:.0f} ms a step ({1000 * wait_s:.0f} waiting)" for stage, step_s, wait_s in paces
        )
        return f"{self.step} steps in {self.seconds / 60:.1f} minutes{steps}: {self.plan.state_file}"

    def save(self) -> None:
        """Keep the state, whole or not at all; the first process does it."""
        self._read()
        if self.way.rank:
            return
        learner = self.learner
        state = {
            "model": learner.model.state_dict(),
            "heads": learner.heads.state_dict(),
            "muon": learner.muon.state(),
            "adam": learner.adam.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "answering_since_s": self.answering_since_s,
            "marks": [(mark.step, mark.loss, mark.words_right) for mark in self.marks],
        }
        self.plan.out.mkdir(parents=True, exist_ok=True)
        partial = self.plan.state_file.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.plan.state_file)
        draw_curve(self.marks, self.plan.beginnings, self.plan.out / CURVE)

    def _load(self) -> None:
        state = torch.load(self.plan.state_file, weights_only=True, map_location="cpu")
        self.learner.model.load_state_dict(state["model"])
        self.learner.heads.load_state_dict(state["heads"])
        self.learner.muon.load(state["muon"])
        self.learner.adam.load_state_dict(state["adam"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.answering_since_s = state["answering_since_s"]
        self.marks = [Mark(*mark) for mark in state["marks"]]

    def _own_sheets(self) -> Iterator[Sheet]:
        """The lessons of this step, each drawn when the one before is learned."""
        stage, own = self.plan.stage_of(self.step)
        for lesson in self.course.lessons(stage, own, self.plan.progress(self.step), self.way.rank):
            yield lay_out(self.encoder, [lesson])

    def _answering(self) -> float:
        """By the clock, how much of the last stage is done."""
        if not self.plan.minutes:
            return 0.0
        stage, own = self.plan.stage_of(self.step)
        if stage != STAGES[-1]:
            return 0.0
        if own == 0:
            self.answering_since_s = self.seconds
        done, room = self.seconds - self.answering_since_s, 60 * self.plan.minutes - self.answering_since_s
        answering = done / room if room > 0 else 1.0
        if self.way.drawers:
            self.way.drawers.answering = answering
        return answering

    def _read(self) -> str:
        """Take down how the last steps went, and say so."""
        if not self._unread:
            return ""
        losses = torch.stack([standing.loss for _, standing in self._unread]).tolist()
        rights = [s.words_right for _, s in self._unread if s.words_right is not None]
        shares = iter(torch.stack(rights).tolist() if rights else [])
        for (step, standing), loss in zip(self._unread, losses, strict=True):
            self.marks.append(Mark(step, loss, None if standing.words_right is None else next(shares)))
        self._unread.clear()
        if not math.isfinite(losses[-1]):
            raise ArithmeticError(f"the loss is {losses[-1]} at step {self.step}")
        right = self.marks[-1].words_right
        return f"loss {losses[-1]:.3f}" + ("" if right is None else f", words {right:.0%}")


def estimate_s(plan: Plan, rank: int) -> dict[Stage, float]:
    """Seconds that each stage will take on this machine, from a few steps of each on a model that is thrown away."""
    encoder = Encoder(build_tokenizer())
    course, learner = Course(encoder, plan.seed, plan.amounts, plan.start is None), Learner(encoder, plan.seed)
    estimates: dict[Stage, float] = {}
    started = time.monotonic()
    for stage, length in zip(STAGES, plan.steps, strict=True):
        if not length:
            continue
        middle = length // 2 // 6 * 6
        for step in range(middle - 1, middle + 6):
            started = started if step > middle else time.monotonic()
            lessons = course.lessons(stage, max(0, step), step / length, rank)
            learner.learn((lay_out(encoder, [lesson]) for lesson in lessons), 0.0)
        estimates[stage] = (time.monotonic() - started) / 6 * length
    return estimates


def main() -> None:
    """Read the options and start the processes."""
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("--steps", type=int, nargs=3, default=STEPS, metavar=("SEE", "READ", "ANSWER"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the run's state")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder of the checkpoint, written at the end")
    parser.add_argument("--processes", type=int, default=2, help="how many learn, on a CPU")
    parser.add_argument("--from", dest="start", type=Path, help="a checkpoint to go on from instead of from nothing")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:0")
    parser.add_argument("--shares", type=int, default=SHARES, help="how many shares a step has, on a GPU")
    parser.add_argument("--drawers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="on a GPU, who draw")
    parser.add_argument("--minutes", type=float, help="on a GPU, when to end: as many ANSWER steps as fit")
    options = parser.parse_args()
    see, read, answer = options.steps
    plan = Plan((see, read, answer), options.seed, options.out, start=options.start)
    device = torch.device(options.device)
    if device.type == "cuda":
        _learn_on_gpu(replace(plan, shares=options.shares, minutes=options.minutes), device, options.drawers)
    else:
        _learn_on_cpu(plan, options.processes)
    export(plan.state_file, options.to)
    print(f"The checkpoint is in {options.to}.", file=sys.stderr)


def _learn_on_gpu(plan: Plan, device: torch.device, num_drawers: int) -> None:
    """Learn in this process, while others draw; an interruption is an early end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_float32_matmul_precision("high")
    began_at = time.monotonic()
    drawers = Drawers(plan, num_drawers, device, _steps_done(plan))
    run = Run(plan, Way(device=device, drawers=drawers, began_at=began_at))
    with suppress(KeyboardInterrupt):
        run.go()
    drawers.close()
    run.save()
    print(f"Trained {run.told()}", file=sys.stderr)


def _steps_done(plan: Plan) -> int:
    return (
        int(torch.load(plan.state_file, weights_only=True, map_location="cpu")["step"])
        if plan.state_file.exists()
        else 0
    )


def _learn_on_cpu(plan: Plan, processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OMP_NUM_THREADS"] = "1"
        arguments = (processes, plan, Path(folder) / "rendezvous")
        spawn(_work, arguments, nprocs=processes)  # type: ignore[no-untyped-call]


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
    run = Run(plan, Way(rank))
    run.go()
    if rank == 0:
        print(f"Trained {run.told()}", file=sys.stderr)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
