"""Measure the demo model on scenes it has never seen: `python -m pipelines.demo.evaluate`.

Pictures and clips come at the sizes of real files and go through the program's own early fusion. Greedy; beside each
score stands that of the best constant answer, which never looks. The result is written beside the weights, with their
hash, and into the table of their card.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import torch
from tqdm import tqdm

from pipelines.demo.agreement import agrees_with_list
from pipelines.demo.answering import Answerer, Query, Reply
from pipelines.demo.card import Evaluation, Row, hash_of, write_evaluation
from pipelines.demo.cases import TASKS, Case, make_cases
from pipelines.demo.exchange import Task
from pipelines.demo.export import FOLDER
from pipelines.demo.scoring import Score, best_constant, labels, read_region, score_of

LABELLED: tuple[Task, ...] = ("boxes", "all_boxes")


def measure(answerer: Answerer, task: Task, count: int) -> list[Row]:
    """The rows of one task: one, or two where labels are scored apart from boxes."""
    cases = make_cases(task, count)
    thought, quick = (reply_to(answerer, cases, thinking) for thinking in (True, False))
    agreements = [agrees_with_list(task, reply.reasoning, reply.answer) for reply in thought]
    judged = [agreement for agreement in agreements if agreement is not None]
    endless = sum(not reply.ended for reply in (*thought, *quick))
    scored = _scored(cases, thought, quick, score_of(task))
    rows = [Row(task, count, *scored, sum(judged), len(judged), 2 * count, endless)]
    if task in LABELLED:
        rows.append(Row(f"{task}, labels", count, *_scored(cases, thought, quick, labels), 0, 0, 0, 0))
    return rows


def _scored(
    cases: Sequence[Case], thought: Sequence[Reply], quick: Sequence[Reply], score: Score
) -> tuple[float, float, float]:
    """The mean scores of the best constant answer and of the two kinds of replies."""
    truths = [case.truth for case in cases]
    constant = best_constant([*truths, *(case.exchange.answer for case in cases)], truths, score)
    with_reasoning, without = (
        _mean([score(reply.answer, truth) for reply, truth in zip(replies, truths, strict=True)])
        for replies in (thought, quick)
    )
    return constant, with_reasoning, without


def reply_to(answerer: Answerer, cases: Sequence[Case], thinking: bool) -> list[Reply]:
    """The last reply to each case: where the model calls the zoom tool, the one after the closer look."""
    replies = answerer.reply_all([case.query for case in cases], thinking)
    looks = {i: look for i, case in enumerate(cases) if (look := _closer(case, replies[i]))}
    answered = answerer.reply_all(list(looks.values()), thinking)
    second = dict(zip(looks, answered, strict=True))
    return [second.get(i, _unanswered(case, reply)) for i, (case, reply) in enumerate(zip(cases, replies, strict=True))]


def _closer(case: Case, reply: Reply) -> Query | None:
    region = read_region(reply.answer) if case.speck else None
    if region is None:
        return None
    return Query(case.query.question, case.query.media, zooms=True, looked=(reply, case.closer(region)))


def _unanswered(case: Case, reply: Reply) -> Reply:
    """A speck that was named without a closer look is a guess, and counts as none."""
    return Reply(reply.reasoning, "", reply.ended) if case.speck else reply


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)


@lru_cache(maxsize=1)
def _answerer(folder: Path) -> Answerer:
    torch.set_num_threads(1)
    return Answerer(folder)


def _measure_in(folder: Path, count: int, task: Task) -> list[Row]:
    return measure(_answerer(folder), task, count)


def main() -> None:
    """Read the options, measure, print and write the table."""
    parser = argparse.ArgumentParser(description="Measure the demo model on fresh scenes.")
    parser.add_argument("--model", type=Path, default=FOLDER)
    parser.add_argument("--count", type=int, default=200, help="scenes for each task")
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        measured = pool.map(partial(_measure_in, options.model, options.count), options.tasks)
        rows = [row for some in tqdm(measured, total=len(options.tasks), file=sys.stderr) for row in some]
    evaluation = Evaluation(hash_of(options.model), tuple(rows))
    print(evaluation.table())
    if tuple(options.tasks) == TASKS:
        write_evaluation(options.model, evaluation)


if __name__ == "__main__":
    main()
