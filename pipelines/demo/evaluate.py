"""Measure the demo model on scenes it has never seen: `python -m pipelines.demo.evaluate`.

Pictures and clips come at the sizes of real files and go through the program's own early fusion. Greedy; beside each
score stands that of the best constant answer, which never looks.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from pipelines.demo.answering import Answerer, Query
from pipelines.demo.clip_questions import CLIP_TASKS, ask_clip
from pipelines.demo.clips import draw_clip
from pipelines.demo.exchange import Exchange, Task
from pipelines.demo.export import FOLDER
from pipelines.demo.questions import PICTURE_WEIGHTS, ask
from pipelines.demo.scenes import draw_scene
from pipelines.demo.scoring import best_constant, score_of
from pipelines.types import Clip, Picture

SEED = "evaluation"
PICTURE_SIZES = ((160, 160), (192, 192), (160, 224), (256, 256), (300, 400), (384, 512), (512, 384), (480, 640))
CLIP_SIZES = ((128, 128), (180, 240), (240, 320))
NOTHING = ("[]", "There is no number.")
MEASURES: dict[Task, str] = {
    "box": "mean IoU", "boxes": "mean IoU", "all_boxes": "mean IoU", "point": "within 5%", "list": "recall",
    "describe": "recall",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """A query and the exchange that it should lead to."""

    query: Query
    exchange: Exchange


@dataclass(frozen=True)
class Row:
    """One line of the table: mean scores, 0 to 1, of the best constant answer and of the model in its two modes."""

    task: Task
    constant: float
    thinking: float
    quick: float

    def __str__(self) -> str:
        numbers = " | ".join(f"{number:.2f}" for number in (self.constant, self.thinking, self.quick))
        return f"| {self.task.replace('_', ' ')} | {MEASURES.get(self.task, 'right')} | {numbers} |"


HEADER = "| task | measure | best constant | thinking | not thinking |\n|---|---|---|---|---|"


def make_cases(task: Task, count: int) -> list[Case]:
    """`count` questions of a task, each about a fresh scene; a box or a digit is only asked for where there is one."""
    rng = random.Random(f"{SEED} {task}")
    cases: list[Case] = []
    while len(cases) < count:
        case = _clip_case(rng, task) if task in CLIP_TASKS else _picture_case(rng, task)
        if case and case.exchange.answer not in NOTHING:
            cases.append(case)
    return cases


def measure(answerer: Answerer, task: Task, count: int) -> Row:
    """The row of one task."""
    cases = make_cases(task, count)
    constant = best_constant([case.exchange for case in cases], score_of(task))
    return Row(task, constant, mean_score(answerer, cases, True), mean_score(answerer, cases, False))


def mean_score(answerer: Answerer, cases: Sequence[Case], thinking: bool) -> float:
    """How right the model is about the cases, 0 to 1."""
    replies = answerer.reply_all([case.query for case in cases], thinking)
    exchanges = [case.exchange for case in cases]
    scores = [score_of(e.task)(reply.answer, e.answer) for reply, e in zip(replies, exchanges, strict=True)]
    return sum(scores) / len(scores)


def _picture_case(rng: random.Random, task: Task) -> Case | None:
    scene = draw_scene(rng, rng.choice(PICTURE_SIZES))
    exchange = ask(rng, scene.things, task)
    return Case(Query(exchange.question, Picture("scene", scene.rgb)), exchange) if exchange else None


def _clip_case(rng: random.Random, task: Task) -> Case | None:
    num_frames = rng.choice((4, 6, 8))
    step_s = rng.choice((0.5, 0.55))
    times_s = tuple(i * step_s for i in range(num_frames))
    moving = draw_clip(rng, rng.choice(CLIP_SIZES), times_s)
    if task == "appears" and not moving.newcomer:
        return None
    exchange = ask_clip(rng, moving, task)
    clip = Clip("scene", np.ascontiguousarray(moving.rgb), moving.times_s, tuple(range(num_frames)), times_s[-1])
    return Case(Query(exchange.question, clip), exchange)


def main() -> None:
    """Read the options, measure, print the table."""
    parser = argparse.ArgumentParser(description="Measure the demo model on fresh scenes.")
    parser.add_argument("--model", type=Path, default=FOLDER)
    parser.add_argument("--count", type=int, default=200, help="scenes for each task")
    parser.add_argument("--tasks", nargs="*", default=[*PICTURE_WEIGHTS, *CLIP_TASKS])
    options = parser.parse_args()
    torch.set_num_threads(1)
    answerer = Answerer(options.model)
    print(HEADER)
    for task in tqdm(options.tasks, file=sys.stderr):
        print(measure(answerer, task, options.count), flush=True)


if __name__ == "__main__":
    main()
