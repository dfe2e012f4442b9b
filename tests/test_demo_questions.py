"""Questions, reasoning and answers agree with the scene and with each other."""

from __future__ import annotations

import json
import random
import re
from typing import get_args

import pytest

from pipelines.demo.clip_questions import CLIP_TASKS, ask_clip
from pipelines.demo.clips import draw_clip
from pipelines.demo.exchange import Task
from pipelines.demo.questions import ASKERS, ask
from pipelines.demo.scoring import best_constant, mean_iou, near_point, number, read_boxes, recall, score_of
from pipelines.demo.things import Thing
from pipelines.demo.written import imagined, list_exchanges, small_talk

THINGS = (
    Thing("circle", "red", (0.1, 0.1, 0.3, 0.3)),
    Thing("square", "blue", (0.5, 0.1, 0.7, 0.3)),
    Thing("circle", "red", (0.1, 0.6, 0.3, 0.8)),
    Thing("triangle", "yellow", (0.5, 0.6, 0.7, 0.8)),
)
JSON_BOXES = " Report bbox coordinates in JSON format."
LOCATE = "Locate every instance that belongs to the following categories: {}." + JSON_BOXES
BLUE_BOX = '[{"bbox_2d": [500, 100, 700, 300], "label": "blue square"}]'
RED_BOXES = (
    '[{"bbox_2d": [100, 100, 300, 300], "label": "red circle"}, '
    '{"bbox_2d": [100, 600, 300, 800], "label": "red circle"}]'
)
ASKED: tuple[tuple[Task, str, str], ...] = (
    ("count_colour", "How many red shapes are there?", "There are 2 red shapes."),
    ("count", "How many objects are there?", "There are 4 objects."),
    ("count", "How many things are there?", "There are 4 things."),
    ("box", "Where is the blue square?" + JSON_BOXES, BLUE_BOX),
    ("boxes", LOCATE.format("'red circle'"), RED_BOXES),
    ("boxes", LOCATE.format("'green star'"), "[]"),
    ("boxes", LOCATE.format("'blue square', 'red circle'"), BLUE_BOX[:-1] + ", " + RED_BOXES[1:]),
    ("boxes", LOCATE.format("'square'"), BLUE_BOX.replace("blue square", "square")),
    ("point", "Point to the blue square. Report point coordinates in JSON format.",
     '[{"point_2d": [600, 200], "label": "blue square"}]'),
    ("exists", "Is there a green star?", "No, there is no green star."),
    ("colour", "What colour is the triangle?", "The triangle is yellow."),
    ("where", "Where is the blue square?", "The blue square is in the top center."),
)  # fmt: skip


@pytest.mark.parametrize(("task", "question", "answer"), ASKED, ids=[question for _, question, _ in ASKED])
def test_what_a_person_asks_is_among_what_is_taught(task: Task, question: str, answer: str) -> None:
    rng = random.Random(0)
    exchanges = (ask(rng, THINGS, task) for _ in range(50_000))
    assert next(e.answer for e in exchanges if e and e.question == question) == answer


@pytest.mark.parametrize("seed", range(30))
def test_reasoning_ends_in_what_the_answer_says(seed: int) -> None:
    rng = random.Random(seed)
    things = imagined(rng, 5)
    for task in ASKERS:
        exchange = ask(rng, things, task)
        if exchange and task.startswith("count"):
            assert number(exchange.answer, exchange.reasoning.rsplit("Total: ")[-1]) == 1
        if exchange and "Find: " in exchange.reasoning and "Total" in exchange.reasoning:
            totals = sum(map(int, re.findall(r"Total: (\d)", exchange.reasoning)))
            assert exchange.reasoning.count(": yes") == totals
        if exchange and exchange.answer.startswith("["):
            assert isinstance(json.loads(exchange.answer), list)


def test_every_task_has_its_questions() -> None:
    assert {*ASKERS, *CLIP_TASKS, "written"} == set(get_args(Task))
    rng = random.Random(1)
    clip = draw_clip(rng, (96, 96), (0.0, 0.5, 1.0, 1.5))
    assert all(ask_clip(rng, clip, task).answer for task in CLIP_TASKS)


def test_a_written_list_holds_what_its_questions_need() -> None:
    rng = random.Random(2)
    for _ in range(200):
        exchanges = list_exchanges(rng, 5, 3)
        listed = exchanges[0].question
        for exchange in exchanges:
            for coords in re.findall(r"\(([\d,]+)\)", exchange.reasoning):
                assert coords in listed


def test_small_talk_always_has_an_answer() -> None:
    rng = random.Random(3)
    assert all(small_talk(rng).answer for _ in range(50))


def test_boxes_are_scored_by_overlap_and_label() -> None:
    assert mean_iou(BLUE_BOX, BLUE_BOX) == 1
    assert mean_iou(BLUE_BOX.replace("blue", "red"), BLUE_BOX) == 0
    assert mean_iou(BLUE_BOX.replace("700", "600"), BLUE_BOX) == pytest.approx(0.5)
    assert mean_iou(RED_BOXES, RED_BOXES.partition("}")[0] + "}]") == pytest.approx(0.5)
    assert mean_iou("[]", "[]") == 1
    assert mean_iou("no boxes", BLUE_BOX) == 0


def test_points_are_scored_by_nearness() -> None:
    truth = '[{"point_2d": [600, 200], "label": "x"}]'
    assert near_point(truth.replace("600", "630"), truth) == 1
    assert near_point(truth.replace("600", "700"), truth) == 0


def test_lists_are_scored_by_what_they_name() -> None:
    assert recall("1. red circle\n2. blue 7", "1. red circle\n2. red circle\n3. blue 7") == pytest.approx(2 / 3)


@pytest.mark.parametrize("answer", ["", "[", "{}", "[1]", '[{"label": "x"}]', "null"])
def test_an_answer_of_another_form_holds_no_boxes(answer: str) -> None:
    assert read_boxes(answer) == []


def test_the_best_constant_answer_is_the_commonest_where_answers_are_right_or_wrong() -> None:
    rng = random.Random(4)
    exchanges = [exchange for _ in range(50) if (exchange := ask(rng, imagined(rng, 5), "exists"))]
    yes = sum(exchange.answer.startswith("Yes") for exchange in exchanges) / len(exchanges)
    assert best_constant(exchanges, score_of("exists")) == pytest.approx(max(yes, 1 - yes))
