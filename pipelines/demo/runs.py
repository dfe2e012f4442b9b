"""A training run: it goes through its plan step by step, and can be gone on with from its saved state."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import torch
from tqdm import tqdm

from pipelines.demo.course import STAGES, Course, Stage
from pipelines.demo.curve import Mark, draw_curve
from pipelines.demo.drawers import Drawers
from pipelines.demo.learner import Learner, Standing
from pipelines.demo.model import take_weights
from pipelines.demo.plan import Plan
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
