"""How answers are scored, and where the scores are written."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from pipelines.demo.agreement import agrees_with_list
from pipelines.demo.card import BEGIN, CARD, END, Evaluation, Row, read_evaluation, write_evaluation
from pipelines.demo.exchange import Task
from pipelines.demo.questions import ask
from pipelines.demo.scoring import (
    SCORES,
    all_named,
    best_constant,
    exact,
    in_any_order,
    inside,
    labels,
    mean_iou,
    mean_iou_unlabelled,
    near_point,
    read_boxes,
    read_points,
    score_of,
    timed,
)
from pipelines.demo.written import imagined

BLUE_BOX = '[{"bbox_2d": [500, 100, 700, 300], "label": "blue square"}]'
RED_BOXES = (
    '[{"bbox_2d": [100, 100, 300, 300], "label": "red circle"}, '
    '{"bbox_2d": [100, 600, 300, 800], "label": "red circle"}]'
)


BLUE_POINT = '[{"point_2d": [600, 200], "label": "blue square"}]'
OTHER_FORMS = (
    "", "[", "[" * 100_000, "{}", '""', "[1]", "null", '[{"label": "x"}]', '[{"bbox_2d": [1, 2, 3], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, NaN], "label": "x"}]', f'[{{"bbox_2d": [1, 2, 3, {"9" * 400}], "label": "x"}}]',
    '[{"point_2d": [], "label": "x"}]', '[{"point_2d": [1, 2, 3], "label": "x"}]',
)  # fmt: skip
SCORERS = {*SCORES.values(), labels, near_point, exact}


def test_boxes_are_scored_by_overlap_and_label() -> None:
    assert mean_iou(BLUE_BOX, BLUE_BOX) == 1
    assert mean_iou(BLUE_BOX.replace("blue", "red"), BLUE_BOX) == 0
    assert mean_iou(BLUE_BOX.replace("700", "600"), BLUE_BOX) == pytest.approx(0.5)
    assert mean_iou(RED_BOXES, RED_BOXES.partition("}")[0] + "}]") == pytest.approx(0.5)
    assert {score("[]", "[]") for score in (mean_iou, mean_iou_unlabelled, inside, near_point, labels)} == {1}
    assert mean_iou("no boxes", BLUE_BOX) == 0


def test_a_box_that_is_missed_takes_no_hit_from_another() -> None:
    """The first of two true boxes once took the answer's only one, which lay on the second."""
    elsewhere = {"bbox_2d": [700, 700, 800, 800], "label": "red circle"}
    for hit in json.loads(RED_BOXES):
        assert mean_iou(json.dumps([hit]), RED_BOXES) == 0.5
        assert mean_iou(json.dumps([elsewhere, hit]), RED_BOXES) == 0.5


def test_points_are_scored_by_nearness() -> None:
    truth = '[{"point_2d": [600, 200], "label": "x"}]'
    assert near_point(truth.replace("600", "630"), truth) == 1
    assert near_point(truth.replace("600", "700"), truth) == 0


def test_points_are_scored_by_the_box_that_holds_them() -> None:
    truth = '[{"bbox_2d": [500, 100, 700, 300], "label": "x"}]'
    assert inside('[{"point_2d": [520, 290], "label": "x"}]', truth) == 1
    assert inside('[{"point_2d": [480, 290], "label": "x"}]', truth) == 0
    assert inside('[{"point_2d": [520, 290], "label": "x"}, {"point_2d": [1, 1], "label": "x"}]', truth) == 0.5


def test_a_list_names_everything_and_invents_nothing() -> None:
    truth = "1. red circle\n2. red circle\n3. blue 7"
    assert all_named("a red circle, a blue 7 and a red circle", truth) == 1
    assert all_named("a red circle and a blue 7", truth) == 0
    assert all_named(truth + "\n4. green star", truth) == 0
    assert all_named(truth.replace("7", "77"), truth) == 0


def test_a_description_tells_how_many_things_there_are_and_where_each_is() -> None:
    """The same names in other places once counted as right."""
    described = score_of("describe")
    truth = "The picture shows 2 objects: a red 7 in the top left and an orange star in the center."
    assert (
        described("The picture shows 2 objects: an orange star in the center and a red 7 in the top left.", truth) == 1
    )
    for right, wrong in (("2", "3"), ("top left", "top right"), (" in the center", ""), ("red", "blue")):
        assert described(truth.replace(right, wrong), truth) == 0
    assert (
        described("The picture shows 2 objects: an orange star in the top left and a red 7 in the center.", truth) == 0
    )


def test_times_are_scored_within_a_frame_and_in_either_form() -> None:
    truth = "The blue star appears at 1.2 seconds."
    assert timed(truth.replace("1.2", "0.8"), truth) == 1
    assert timed(truth.replace("1.2", "2.2"), truth) == 0
    assert timed(truth.replace("blue", "red"), truth) == 0
    span = '[{"start": "00:01.20", "end": "00:03.20", "description": "blue star"}]'
    assert timed(span.replace("03.20", "03.70"), span) == 1
    assert timed(span.replace("03.20", "05.20"), span) == 0


def test_events_may_be_told_in_any_order() -> None:
    events = ["The red star appears at 1.2 seconds.", "The blue 7 disappears at 1.2 seconds."]
    assert timed(" ".join(events), " ".join(reversed(events))) == 1
    assert timed(events[0], " ".join(events)) == 0
    assert timed(" ".join(events).replace("7", "8"), " ".join(events)) == 0


def test_what_is_read_may_be_told_in_any_order() -> None:
    assert in_any_order("The numbers are a red 7 and a blue 72.", "The numbers are a blue 72 and a red 7.") == 1
    assert in_any_order("The numbers are a red 7 and a red 7.", "The numbers are a red 7, a red 7 and a red 7.") == 0
    assert in_any_order("The number is 7.", "The number is 7.") == 1
    assert in_any_order("The number is 7.", "The number is 8.") == 0


def test_colours_may_be_told_in_any_order() -> None:
    told = score_of("colours")
    truth = "There are 3 colors: red, blue and white."
    assert told("There are 3 colors: white, red and blue.", truth) == 1
    assert told("There are 3 colors: white, red and green.", truth) == 0
    assert told("There are 2 colors: white and red.", truth) == 0


@pytest.mark.parametrize(
    ("task", "truth", "wrong"),
    [
        ("region", "Yes, there is a red star.", "No, there is no red star."),
        ("marked", "No, there is no red star.", "Yes, there is a red star."),
        ("moment", "There are 2 red stars.", "There is 1 red star."),
        ("beside", "There is nothing above the blue star.", "There is nothing left of the blue star."),
        ("what_at", "There is a red 7 on the left.", "There is a red 7 on the right."),
        ("number", "The numbers are a red 7 and a blue 72.", "The number is a red 7 and a blue 72."),
        ("colour", "There are 2 stars: a red star and a red star.", "There are 3 stars: a red star and a red star."),
    ],
)
def test_the_words_around_the_names_count_too(task: Task, truth: str, wrong: str) -> None:
    """A no once counted as right for a yes, as the same star stands in both."""
    assert score_of(task)(truth, truth) == 1
    assert score_of(task)(wrong, truth) == 0


def test_a_set_of_labels_is_right_or_not() -> None:
    assert labels(RED_BOXES, RED_BOXES) == 1
    assert labels(RED_BOXES, RED_BOXES.partition("}")[0] + "}]") == 0


@pytest.mark.parametrize(
    ("task", "reasoning", "answer", "agrees"),
    [
        ("count_colour", "Find: red\n1. red star, red: yes\nTotal: 1", "There is 1 red shape.", True),
        ("count_colour", "Find: red\n1. red star, red: yes\nTotal: 1", "There are 2 red shapes.", False),
        ("count_colour", "Find: red\n1. red star, red: no\nTotal: 1", "There is 1 red shape.", False),
        ("exists", "Find: red star\n1. red star, red star: yes\nFound.", "No, there is no red star.", False),
        ("list", "1. red star (10,20,30,40)\nTotal: 1", "1. red circle", False),
        ("side", "left of: 120 < 450: yes", "Yes, the red star is left of the blue 7.", True),
        ("side", "left of: 120 > 450: yes", "Yes, the red star is left of the blue 7.", False),
        ("number", "Find: number\n1. red 7, number: yes 7\nFound: red 7", "The number is 7.", True),
        ("number", "1. red 7, number: yes 7\n2. red 8, number: yes 8", "The numbers are a red 7 and a red 8.", True),
        ("text", "1. red A, text: yes 1. A\n2. red 7, text: yes 2. 7\nTotal: 2", "A\n7", True),
        ("text", "1. red A, text: yes 1. A\n2. red A, text: yes 2. A\nTotal: 2", "A", False),
        ("text", "1. red star, text: no\nTotal: 0", "There is no text.", True),
        ("letter", "1. red A, letter: yes A\n2. red B, letter: no\nFound: red A", "The letter is B.", False),
        ("moves", "It moves up.", "The star moves up.", None),
    ],
)
def test_agreement_with_the_list_is_found_out(task: Task, reasoning: str, answer: str, agrees: bool | None) -> None:
    assert agrees_with_list(task, reasoning, answer) is agrees


@pytest.mark.parametrize(
    ("card", "written"),
    [
        ("# Mine\n", "# Mine\n"),
        (f"# Mine\n{BEGIN}\n", f"# Mine\n{BEGIN}\n"),
        (f"# Mine\n{BEGIN}\nold\n{END}\nThe end.\n", f"# Mine\n{BEGIN}\n{{table}}\n{END}\nThe end.\n"),
    ],
    ids=["no place", "half a place", "a place"],
)
def test_the_table_stands_in_the_card_where_that_has_a_place_for_it(tmp_path: Path, card: str, written: str) -> None:
    """A card without one once had the table at its end, and what stood behind half of one was lost."""
    evaluation = Evaluation("hash", (Row("count", 1, 0.1, 1, 0.9, 1, 1, 2, 0),))
    (tmp_path / CARD).write_text(card, encoding="utf-8")
    write_evaluation(tmp_path, evaluation)
    assert (tmp_path / CARD).read_text(encoding="utf-8") == written.format(table=evaluation.table())
    assert read_evaluation(tmp_path) == evaluation


@pytest.mark.parametrize("answer", OTHER_FORMS)
def test_an_answer_of_another_form_is_wrong_even_where_nothing_is_there(answer: str) -> None:
    """No answer at all once counted as right where the true answer was an empty list."""
    assert read_boxes(answer) is None
    assert read_points(answer) is None
    assert {score(answer, "[]") for score in (mean_iou, mean_iou_unlabelled, inside, near_point, labels)} == {0}
    assert agrees_with_list("box", "Find: star\nTotal: 0", answer) is False


@pytest.mark.parametrize("answer", [*OTHER_FORMS, BLUE_BOX, BLUE_POINT, "The star appears at  seconds."])
def test_whatever_the_model_answers_has_a_score(answer: str) -> None:
    """One box of three numbers once ended a whole evaluation."""
    for truth in ("[]", BLUE_BOX, BLUE_POINT, "The star appears at 1.2 seconds."):
        assert all(0 <= score(answer, truth) <= 1 for score in SCORERS)


def test_a_place_of_another_form_in_the_reasoning_is_none() -> None:
    assert agrees_with_list("box", "1. red star, red star: yes (120,,300)", "[]") is True
    assert agrees_with_list("point", "Find: x\n1. x, x: yes (600,200)\nTotal: 1", BLUE_POINT) is True


def test_the_best_constant_answer_is_the_commonest_where_answers_are_right_or_wrong() -> None:
    rng = random.Random(4)
    exchanges = [exchange for _ in range(50) if (exchange := ask(rng, imagined(rng, 5), "exists"))]
    truths = [exchange.answer for exchange in exchanges]
    yes = sum(truth.startswith("Yes") for truth in truths) / len(truths)
    assert best_constant(truths, truths, score_of("exists")) == pytest.approx(max(yes, 1 - yes))
