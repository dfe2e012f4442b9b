"""Questions about pictures and what else is asked: reasoning and answers agree with the scene and with each other."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from pipelines.demo.agreement import agrees_with_list
from pipelines.demo.answering import read_call
from pipelines.demo.cases import TASKS
from pipelines.demo.clip_parts import about_moment, about_span
from pipelines.demo.clip_questions import CLIP_TASKS, ask_clip
from pipelines.demo.clips import draw_clip
from pipelines.demo.examples import FOLDER as EXAMPLES
from pipelines.demo.exchange import AFTER, BEFORE, Exchange, Task, loosely
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import FILM_QUESTIONS, OTHER_WORLD, PHOTO_QUESTIONS, refuse
from pipelines.demo.pairs import ask_change, draw_pair
from pipelines.demo.phrases import plural
from pipelines.demo.questions import ASKERS, ask
from pipelines.demo.regions import about_region, marked_region, pick_region
from pipelines.demo.relation_questions import SIDES, distance
from pipelines.demo.scoring import all_named, read_region
from pipelines.demo.specks import draw_speck
from pipelines.demo.talk import NOUNS, OPENINGS, TALK, UNTAUGHT, WORDS, ask_aside
from pipelines.demo.things import COLOURS, SHAPES, Thing
from pipelines.demo.worldly import UNSEEN_NOUNS, WORLDLY
from pipelines.demo.written import imagined, list_exchanges, small_talk
from pipelines.demo.zoom import ask_zoom
from pipelines.present.pointing import Pointing, point
from pipelines.present.shelf import Shelf
from pipelines.programs import questions

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
    ("where", "Where is the square?", "The square is in the top center."),
    ("where", "Where is the circle?",
     "There are 2 circles: a red circle in the top left and a red circle in the bottom left."),
    ("where", "Where are the blue shapes?", "There is 1 blue object: a blue square in the top center."),
    ("where", "Where is the star?", "There is no star."),
    ("box", "Find the blue square.", BLUE_BOX),
    ("box", "Find all red shapes.", RED_BOXES),
    ("box", "Show me the square.", BLUE_BOX.replace("blue square", "square")),
    ("colour", "What color is the circle?", "There are 2 circles: a red circle and a red circle."),
    ("shape", "What is blue?", "The blue object is a square."),
    ("shape", "Which shapes are red?", "There are 2 red objects: a red circle and a red circle."),
    ("exists", "Is there anything red?", "Yes, there is a red object."),
    ("exists", "Are there any stars?", "No, there is no star."),
    ("is_colour", "Is the square green?", "No, the square is blue."),
    ("is_colour", "Is the square blue?", "Yes, the square is blue."),
    ("colours", "What colors are there?", "There are 3 colors: red, blue and yellow."),
    ("what_at", "What is on the left?", "There is a red circle and a red circle on the left."),
    ("what_at", "What is in the middle?", "There is nothing in the center."),
    ("side", "Is the square above the triangle?", "Yes, the square is above the triangle."),
    ("aside", "Is there a dog?", "I am a small demo model and only know drawn scenes."),
    ("aside", "Thanks!", "You are welcome!"),
    ("text", "What is written?", "There is no text."),
    ("describe", "What is this?",
     "The picture shows 4 objects: a red circle in the top left, a blue square in the top center, a red circle in the "
     "bottom left and a yellow triangle in the bottom center."),
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


@pytest.mark.parametrize("seed", range(30))
def test_behind_each_thing_that_is_written_stands_its_line_of_the_answer(seed: int) -> None:
    rng = random.Random(seed)
    exchange = next(e for e in (ask(rng, imagined(rng, 6), "text") for _ in range(100)) if e)
    numbered = re.findall(r", text: yes (\d)\. (\w+)$", exchange.reasoning, re.MULTILINE)
    assert [text for _, text in numbered] == exchange.answer.replace("There is no text.", "").split()
    assert [int(line) for line, _ in numbered] == list(range(1, len(numbered) + 1))


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
        "outside_clip": lambda: refuse(rng.choice(FILM_QUESTIONS), has_picture=True),
        "marked": lambda: about_region(rng, things, pick_region(rng, things)),
        "moment": lambda: about_moment(rng, rng.choice(clips)).exchange,
        "span": lambda: about_span(rng, rng.choice(clips)).exchange,
        **{task: lambda task=task: ask(rng, things, task) for task in ASKERS},  # type: ignore[misc]
        **{task: lambda task=task: ask_clip(rng, rng.choice(clips), task) for task in CLIP_TASKS},  # type: ignore[misc]
    }
    questions = [exchange.question for exchange in (askers[task]() for _ in range(300)) if exchange]
    assert len({NUMBERED.sub("#", NAMED.sub("@", question)) for question in questions}) >= 6


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


def test_what_the_page_and_the_tools_ask_is_among_what_is_taught(tmp_path: Path) -> None:
    """What was worded like nothing in training, the model once refused as if it were no question about a drawing."""
    shelf = Shelf(tmp_path)
    picture, clip = EXAMPLES / "shapes.png", EXAMPLES / "newcomer.mp4"
    region = point(Pointing(0, (100.0, 200.0, 500.0, 700.0)), [picture], shelf)
    assert f"{region.words}: " == marked_region((100, 200, 500, 700))
    asked: dict[str, set[str]] = {"moment": set(), "span": set(), "picture": set(), "clip": set()}
    rng = random.Random(0)
    for _ in range(3000):
        drawn = draw_clip(rng, (64, 64), TIMES)
        asked["moment"].add(about_moment(rng, drawn).exchange.question.partition(": ")[0])
        asked["span"].add(about_span(rng, drawn).exchange.question.partition(": ")[0])
        exchanges = (ask_clip(rng, drawn, task) for task in ("happens", "visible", "in_clip"))
        asked["clip"] |= {exchange.question for exchange in exchanges if exchange}
        pictured = (ask(rng, THINGS, task) for task in ("boxes", "point", "describe", "text"))
        asked["picture"] |= {exchange.question for exchange in pictured if exchange}
    for part, pointing in (
        ("moment", Pointing(0, (100.0, 200.0, 500.0, 700.0), 1.0)),
        ("span", Pointing(0, None, 1.0, 3.0)),
    ):
        words = point(pointing, [clip], shelf).words
        assert NUMBERED.sub("#", words) in {NUMBERED.sub("#", question) for question in asked[part]}
    assert asked["picture"] >= {
        questions.detecting("red circle"), questions.pointing("triangle"), questions.describing("picture"),
        questions.reading("picture"),
    }  # fmt: skip
    assert asked["clip"] >= {
        questions.spotting(""), questions.spotting("red star"), questions.describing("clip"),
        questions.reading("clip"),
    }  # fmt: skip


def test_the_nearest_is_nearest() -> None:
    for seed in range(40):
        things = imagined(random.Random(seed), 6)
        exchange = ask(random.Random(seed), things, "nearest")
        if exchange:
            said, target = re.findall(r"the (.+?)(?: is nearest|\.)", exchange.answer.lower())
            centre = next(t for t in things if target in (t.name.lower(), t.kind.lower()))
            others = [t for t in things if t is not centre]
            assert min(others, key=lambda t: distance(t, centre)).name.lower() == said


def test_what_is_beside_a_thing_is_on_that_side_of_it() -> None:
    told = 0
    for seed in range(60):
        things = imagined(random.Random(seed), 5)
        exchange = ask(random.Random(seed), things, "beside")
        if exchange:
            told += 1
            relation = exchange.reasoning.partition("\n")[0].removeprefix("Asked: ")
            axis, sign = SIDES[relation]
            target = exchange.answer.partition(f"{relation} the ")[2].rstrip(".")
            there = next(thing for thing in things if target in (thing.name, thing.kind))
            far = [thing for thing in things if (thing.centre[axis] - there.centre[axis]) * sign > 0]
            said = exchange.answer.partition(f" {relation} ")[0]
            assert all_named(said, " ".join(thing.name for thing in far)), exchange
    assert told > 20


def test_what_is_asked_beside_a_drawing_has_one_answer_whatever_is_drawn() -> None:
    rng = random.Random(5)
    assert {ask_aside(rng).answer for _ in range(200)} == {*(answer for _, answer in TALK), OTHER_WORLD}
    assert not {*NOUNS} & {*SHAPES, *COLOURS}


def test_what_is_measured_beside_a_drawing_is_in_no_question_that_is_taught() -> None:
    """A car, a person and a cat were among the nouns that no question of the training was said to be about."""
    openers = [wording for wordings, _ in TALK for wording in wordings]
    asked = " ".join((*NOUNS, *WORDS, *OPENINGS, *UNTAUGHT, *FILM_QUESTIONS, *PHOTO_QUESTIONS, *openers)).lower()
    taught = set(re.findall(r"\w+", asked))
    assert not taught & {form for noun in UNSEEN_NOUNS for form in (noun, plural(noun))}


def test_a_question_may_be_typed_loosely_and_is_the_same() -> None:
    rng = random.Random(6)
    asked = Exchange("count", "Count the stars.", "", "")
    loose = {loosely(rng, asked).question for _ in range(2000)}
    assert loose >= {"Count the stars.", "count the stars.", "Count the stars", "Please count the stars."}
    assert loose >= {"Look carefully. Count the stars.", "Count the stars. Answer briefly."}
    around = "|".join(map(re.escape, (*BEFORE, *AFTER)))
    assert {re.sub(r"^please |\W", "", re.sub(around, "", text).lower()) for text in loose} == {"countthestars"}


def test_a_follow_up_needs_the_first_question_and_its_answer_is_that_of_the_whole_question() -> None:
    for seed in range(60):
        both = follow_up(random.Random(seed), THINGS)
        assert both.second.question.lower() != both.plain.question.lower()
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
