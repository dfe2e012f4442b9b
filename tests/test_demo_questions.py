"""Questions, reasoning and answers agree with the scene and with each other."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import get_args

import pytest

from pipelines.demo.agreement import agrees_with_list
from pipelines.demo.answering import read_call
from pipelines.demo.cases import TASKS
from pipelines.demo.clip_questions import CLIP_TASKS, ask_clip, clock
from pipelines.demo.clips import draw_clip
from pipelines.demo.exchange import Exchange, Task
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import PHOTO_QUESTIONS, refuse
from pipelines.demo.pairs import ask_change, draw_pair
from pipelines.demo.questions import ASKERS, ask
from pipelines.demo.relation_questions import distance
from pipelines.demo.scoring import (
    all_named,
    all_read,
    best_constant,
    inside,
    labels,
    mean_iou,
    near_point,
    read_boxes,
    read_region,
    score_of,
    timed,
)
from pipelines.demo.specks import draw_speck
from pipelines.demo.things import COLOURS, SHAPES, Thing
from pipelines.demo.worldly import WORLDLY
from pipelines.demo.written import imagined, list_exchanges, small_talk
from pipelines.demo.zoom import ask_zoom

TIMES = tuple(i * 0.5 for i in range(8))
NAMED = re.compile(rf"\b({'|'.join((*COLOURS, *SHAPES))})s?\b")
NUMBERED = re.compile(r"[\d.:]+")
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
    ("compare", "Are there more circles or more squares?", "There are more circles than squares."),
    ("compare", "Are there more red things than blue things?", "There are more red things than blue things."),
    ("compare", "Are there more squares than triangles?", "There are as many squares as triangles."),
    ("side", "Is the blue square above the yellow triangle?", "Yes, the blue square is above the yellow triangle."),
    ("side", "Is the blue square below the yellow triangle?", "No, the blue square is not below the yellow triangle."),
    ("number", "What number is drawn?", "There is no number."),
)  # fmt: skip


@pytest.mark.parametrize(("task", "question", "answer"), ASKED, ids=[question for _, question, _ in ASKED])
def test_what_a_person_asks_is_among_what_is_taught(task: Task, question: str, answer: str) -> None:
    rng = random.Random(0)
    exchanges = (ask(rng, THINGS, task) for _ in range(50_000))
    assert next(e.answer for e in exchanges if e and e.question == question) == answer


@pytest.mark.parametrize("seed", range(30))
def test_reasoning_ends_in_what_the_answer_says(seed: int) -> None:
    rng = random.Random(seed)
    things = imagined(rng, 6)
    for task in ASKERS:
        exchange = ask(rng, things, task)
        if exchange:
            assert agrees_with_list(task, exchange.reasoning, exchange.answer) is not False, exchange
            if exchange.answer.startswith("["):
                assert isinstance(json.loads(exchange.answer), list)


def test_every_task_has_its_questions() -> None:
    assert {*TASKS, "written"} == set(get_args(Task))


@pytest.mark.parametrize("task", [task for task in TASKS if task not in ("in_full", "worldly")])
def test_every_question_is_worded_in_at_least_six_ways(task: Task) -> None:
    rng = random.Random(1)
    things = (*THINGS, Thing("7", "green", (0.5, 0.32, 0.7, 0.44)), Thing("K", "black", (0.05, 0.4, 0.2, 0.55)))
    clips = [draw_clip(random.Random(seed), (64, 64), TIMES) for seed in range(20)]
    pair, speck = draw_pair(rng, (96, 96)), draw_speck(rng, (96, 96))
    askers: dict[Task, Callable[[], Exchange | None]] = {
        "change": lambda: ask_change(rng, pair),
        "follow_up": lambda: follow_up(rng, things).second,
        "zoom": lambda: ask_zoom(rng, speck).call,
        "outside": lambda: refuse(rng.choice(PHOTO_QUESTIONS), has_picture=True),
        **{task: lambda task=task: ask(rng, things, task) for task in ASKERS},  # type: ignore[misc]
        **{task: lambda task=task: ask_clip(rng, rng.choice(clips), task) for task in CLIP_TASKS},  # type: ignore[misc]
    }
    questions = [exchange.question for exchange in (askers[task]() for _ in range(300)) if exchange]
    assert len({NUMBERED.sub("#", NAMED.sub("@", question)) for question in questions}) >= 6


@pytest.mark.parametrize("seed", range(20))
def test_what_is_said_of_a_clip_is_so(seed: int) -> None:
    rng = random.Random(seed)
    clip = draw_clip(rng, (64, 64), TIMES)
    for task in CLIP_TASKS:
        exchange = ask_clip(rng, clip, task)
        for time in re.findall(r"\d+\.\d(?= s)", exchange.reasoning) if exchange else ():
            assert time in clip.patch_times
    arrivals = ask_clip(random.Random(1), clip, "happens")
    assert arrivals
    assert arrivals.answer.count(" appears at ") == len(clip.newcomers)
    assert arrivals.answer.count(" disappears at ") == len(clip.leavers)


def test_times_are_written_as_minutes_and_seconds() -> None:
    assert [clock(time) for time in ("0.2", "9.8", "61.5")] == ["00:00.20", "00:09.80", "01:01.50"]


def test_what_changed_is_told_from_every_place() -> None:
    for seed in range(40):
        pair = draw_pair(random.Random(seed), (128, 128))
        exchange = ask_change(random.Random(seed), pair)
        spots, _, notes = exchange.reasoning.partition("\nChanged:\n")
        shown = re.findall(r"^\d\. \(\d+,\d+\) (.*), (.*): (\w+)$", spots, re.MULTILINE)
        for scene, names in ((pair.first, [one for one, _, _ in shown]), (pair.second, [two for _, two, _ in shown])):
            assert sorted(name for name in names if name != "nothing") == sorted(thing.name for thing in scene.things)
        altered = {name for one, two, fate in shown if fate != "same" for name in (one, two)} - {"nothing"}
        assert altered == {thing.name for thing in (pair.before, pair.after) if thing}
        assert (exchange.answer == "Nothing changed.") == (notes == "nothing") == (pair.change == "nothing")
        assert all(thing.name in exchange.answer for thing in [pair.before] if thing)


def test_what_comes_and_goes_is_marked_with_its_time() -> None:
    """Each thing stands in the line of every time that shows it, and of the first that no longer does."""
    for seed in range(40):
        clip = draw_clip(random.Random(seed), (64, 64), TIMES)
        exchange = ask_clip(random.Random(seed), clip, "happens")
        assert exchange
        lines = dict(re.findall(r"^(\d+\.\d) s: (.*[a-z0-9A-Z])$", exchange.reasoning, re.MULTILINE))
        for patch, time in enumerate(clip.patch_times):
            told = lines[time].split(", ")
            there = [actor.name for actor in clip.actors if actor.at(patch)]
            assert [re.sub(r" new .*", "", name) for name in told if " gone " not in name] == there
        assert len(re.findall(r"^\d\. new ", exchange.reasoning, re.MULTILINE)) == len(clip.newcomers)
        assert len(re.findall(r"^\d\. gone ", exchange.reasoning, re.MULTILINE)) == len(clip.leavers)


def test_where_something_is_at_a_time_is_told_from_the_line_of_that_time() -> None:
    for seed in range(40):
        clip = draw_clip(random.Random(seed), (64, 64), TIMES)
        exchange = ask_clip(random.Random(seed), clip, "box_at")
        assert exchange
        asked = re.findall(r"^Find: .* at (\d+\.\d) s$", exchange.reasoning, re.MULTILINE)[0]
        *_, last = re.findall(r"^(\d+\.\d) s, (\d+\.\d) s: ", exchange.reasoning, re.MULTILINE)
        assert last == (asked, asked)
        assert (exchange.answer == "[]") == (": yes (" not in exchange.reasoning)


def test_a_region_is_judged_by_the_centres_within_it() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        exchange = ask(rng, THINGS, "region")
        assert exchange
        x1, y1, x2, y2 = map(int, re.findall(r"\d+", exchange.question))
        inside = [t for t in THINGS if x1 < t.centre_coords[0] < x2 and y1 < t.centre_coords[1] < y2]
        assert exchange.reasoning.endswith(f"Total: {len(inside)}")


def test_the_nearest_is_nearest() -> None:
    for seed in range(40):
        things = imagined(random.Random(seed), 6)
        exchange = ask(random.Random(seed), things, "nearest")
        if exchange:
            said, target = re.findall(r"the (\w+ \w+)", exchange.answer.lower().replace("nearest to", ""))
            centre = next(t for t in things if t.name.lower() == target)
            others = [t for t in things if t is not centre]
            assert min(others, key=lambda t: distance(t, centre)).name.lower() == said


def test_a_follow_up_needs_the_first_question_and_its_answer_is_that_of_the_whole_question() -> None:
    for seed in range(60):
        both = follow_up(random.Random(seed), THINGS)
        assert not set(both.second.question.lower().split()) >= set(both.plain.question.lower().split())
        assert both.second.reasoning.startswith("Find: ")


def test_a_call_of_the_tool_reads_back() -> None:
    scene = draw_speck(random.Random(4), (128, 128))
    zooming = ask_zoom(random.Random(4), scene)
    assert read_region(zooming.call.answer) == scene.zoom
    call = read_call(zooming.call.answer)
    assert call["name"] == "image_zoom_in_tool"
    assert list(dict(call["arguments"])) == ["bbox_2d", "label", "img_idx"]  # type: ignore[call-overload]
    assert read_region("It is a star.") is None
    assert read_region(zooming.call.answer.replace(str(list(scene.zoom)), "[500, 100, 400, 200]")) is None


def test_there_are_two_hundred_questions_about_the_world() -> None:
    assert len(set(WORLDLY)) == 200


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


def test_points_are_scored_by_the_box_that_holds_them() -> None:
    truth = '[{"bbox_2d": [500, 100, 700, 300], "label": "x"}]'
    assert inside('[{"point_2d": [520, 290], "label": "x"}]', truth) == 1
    assert inside('[{"point_2d": [480, 290], "label": "x"}]', truth) == 0
    assert inside('[{"point_2d": [520, 290], "label": "x"}, {"point_2d": [1, 1], "label": "x"}]', truth) == 0.5


def test_a_description_names_everything_and_invents_nothing() -> None:
    truth = "1. red circle\n2. red circle\n3. blue 7"
    assert all_named("a red circle, a blue 7 and a red circle", truth) == 1
    assert all_named("a red circle and a blue 7", truth) == 0
    assert all_named(truth + "\n4. green star", truth) == 0
    assert all_named(truth.replace("7", "77"), truth) == 0


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
    assert all_read("The numbers are a red 7 and a blue 72.", "The numbers are a blue 72 and a red 7.") == 1
    assert all_read("The numbers are a red 7 and a red 7.", "The numbers are a red 7, a red 7 and a red 7.") == 0
    assert all_read("The number is 7.", "The number is 7.") == 1
    assert all_read("The number is 7.", "The number is 8.") == 0


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
        ("letter", "1. red A, letter: yes A\n2. red B, letter: no\nFound: red A", "The letter is B.", False),
        ("moves", "It moves up.", "The star moves up.", None),
    ],
)
def test_agreement_with_the_list_is_found_out(task: Task, reasoning: str, answer: str, agrees: bool | None) -> None:
    assert agrees_with_list(task, reasoning, answer) is agrees


@pytest.mark.parametrize("answer", ["", "[", "{}", "[1]", '[{"label": "x"}]', "null"])
def test_an_answer_of_another_form_holds_no_boxes(answer: str) -> None:
    assert read_boxes(answer) == []


def test_the_best_constant_answer_is_the_commonest_where_answers_are_right_or_wrong() -> None:
    rng = random.Random(4)
    exchanges = [exchange for _ in range(50) if (exchange := ask(rng, imagined(rng, 5), "exists"))]
    truths = [exchange.answer for exchange in exchanges]
    yes = sum(truth.startswith("Yes") for truth in truths) / len(truths)
    assert best_constant(truths, truths, score_of("exists")) == pytest.approx(max(yes, 1 - yes))
