"""The plan of a training run: how many steps of what, at which learning rate, and where its state is kept."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.demo.course import STAGES, Amounts, Stage

SEED = 2026
STEPS = (1500, 600, 3500)
"""Of two processes on a CPU."""
SHARES = 4
"""How many shares of a step a GPU works on at once."""
GPU_STEPS = (750, 400, 2881)
"""Of such steps: those that the shipped weights had."""
RATES: dict[Stage, float] = {"see": 3e-3, "read": 2e-3, "answer": 2.5e-3}
WARM_UP_STEPS = 15
SETTLING_STEPS = 50
OUT = Path("build/demo-training")


@dataclass(frozen=True)
class Plan:
    """A run: the steps of each stage, the seed, the folder of its state, and what a step holds."""

    steps: tuple[int, int, int] = STEPS
    seed: int = SEED
    out: Path = OUT
    amounts: Amounts = field(default_factory=Amounts)
    save_every_s: float = 60.0
    start: Path | None = None
    """A checkpoint whose weights the run begins with; without one it begins from nothing."""
    answer_rate: float = RATES["answer"]
    """The highest learning rate of the last stage."""
    shares: int = 1
    """How many shares of a step, each as large as `amounts` say, one process works on."""
    minutes: float | None = None
    """By the clock, the end of the run: of the last stage it has as many steps as fit, whatever `steps` says."""

    @property
    def state_file(self) -> Path:
        """Where the run is kept while it goes on, and when it has ended."""
        return self.out / "state.pt"

    @property
    def beginnings(self) -> list[tuple[Stage, int]]:
        """The first step of each stage that has any."""
        firsts = (sum(self.steps[:i]) for i in range(len(STAGES)))
        return [(stage, first) for stage, first, n in zip(STAGES, firsts, self.steps, strict=True) if n]

    @property
    def end(self) -> int:
        """How many steps there are, at most."""
        return sys.maxsize if self.minutes else sum(self.steps)

    def stage_of(self, step: int) -> tuple[Stage, int]:
        """The stage that a step of the whole run belongs to, and its number within it."""
        for stage, length in zip(STAGES, self.steps, strict=True):
            if step < length or (self.minutes and stage == STAGES[-1]):
                return stage, step
            step -= length
        raise ValueError("the run is over")

    def is_settling(self, step: int) -> bool:
        """Whether the heads are still new beside weights that are not."""
        return self.start is not None and step < SETTLING_STEPS

    def progress(self, step: int, answering: float = 0.0) -> float:
        """How much of its stage is done at a step; `answering` is that of the last stage of a run by the clock."""
        stage, own = self.stage_of(step)
        return answering if self.minutes and stage == STAGES[-1] else own / self.steps[STAGES.index(stage)]

    def rate(self, step: int, answering: float = 0.0) -> float:
        """The learning rate of a step of the whole run."""
        stage, own = self.stage_of(step)
        progress = self.progress(step, answering)
        warm = min(1.0, (own + 1) / WARM_UP_STEPS)
        if stage == "answer":
            return self.answer_rate * warm * min(1.0, max(0.02, 1 - (progress - 0.35) / 0.65))
        return RATES[stage] * warm * (1 - 0.6 * progress)
