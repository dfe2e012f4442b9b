"""Questions, reasoning and answers agree with the scene and with each other."""

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
from pipelines.demo.clip_reasoning import BOTH, clock, happenings
from pipelines.demo.clips import draw_clip
from pipelines.demo.examples import FOLDER as EXAMPLES
from pipelines.demo.exchange import AFTER, BEFORE, Exchange, Task, loosely
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import FILM_QUESTIONS, OTHER_WORLD, PHOTO_QUESTIONS, refuse
from pipelines.demo.pairs import ask_change, draw_pair
from pipelines.demo.questions import ASKERS, ask
from pipelines.demo.regions import about_region, marked_region, pick_region
from pipelines.demo.relation_questions import SIDES, distance
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
from pipelines.demo.talk import NOUNS, TALK, ask_aside
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


@pytest.mark.parametrize("seed", range(20))
def test_what_is_said_of_a_clip_is_so(seed: int) -> None:
    rng = random.Random(seed)
    clip = draw_clip(rng, (64, 64), TIMES)
    for task in CLIP_TASKS:
        exchange = ask_clip(rng, clip, task)
        for time in re.findall(r"\d+\.\d(?= s)", exchange.reasoning) if exchange else ():
            assert time in clip.patch_times
    told = [exchange.answer for exchange in (ask_clip(rng, clip, "happens") for _ in range(60)) if exchange]
    for answer in told:
        assert answer.count(" appears") == len(clip.newcomers)
        assert answer.count(" disappears") == len(clip.leavers)
    spans = json.loads(next(answer for answer in told if answer.startswith("[")))
    assert [span["start"] for span in spans[1:]] == sorted(span["end"] for span in spans[1:])
    assert spans[0]["description"] == f"The {clip.actors[0].name} moves {clip.direction}."


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
        inside = [thing for thing in THINGS if holds(exchange.question, thing)]
        assert f"\nTotal: {len(inside)}" in exchange.reasoning
        if exchange.answer.startswith("It is "):
            (only,) = inside
            assert exchange.answer.rstrip(".").split()[-1] in only.name.split()
        elif exchange.answer.startswith("There is a ") or exchange.answer == "There is nothing.":
            assert all_named(exchange.answer, " ".join(thing.name for thing in inside))


def holds(question: str, thing: Thing) -> bool:
    """Whether the centre of a thing lies in the region that a question gives."""
    x1, y1, x2, y2 = map(int, re.findall(r"\[(\d+), (\d+), (\d+), (\d+)\]", question)[0])
    x, y = thing.centre_coords
    return x1 < x < x2 and y1 < y < y2


def test_a_region_at_a_time_is_judged_by_what_is_there_then() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        clip = draw_clip(rng, (64, 64), TIMES)
        part = about_moment(rng, clip)
        (frame,) = part.frames
        assert part.exchange.question.startswith(f"At {TIMES[frame]:.1f} seconds, in this region {list(part.region)}: ")
        there = [thing for actor in clip.actors if (thing := actor.at(frame // 2))]
        inside = [thing for thing in there if holds(part.exchange.question, thing)]
        assert f"\nTotal: {len(inside)}" in part.exchange.reasoning


def test_a_span_is_judged_by_what_happens_within_it() -> None:
    told = 0
    for seed in range(100):
        rng = random.Random(seed)
        clip = draw_clip(rng, (64, 64), TIMES)
        part = about_span(rng, clip)
        start_s, end_s, *shown = map(float, re.findall(r"\d+\.\d", part.exchange.question))
        assert all(start_s <= time_s <= end_s for time_s in shown)
        assert [TIMES[frame] <= time_s + 0.05 for frame, time_s in zip(part.frames, shown, strict=True)] == [True] * 4
        events = [event for event in happenings(clip, BOTH) if start_s < float(clip.patch_times[event.patch]) < end_s]
        if " moves " in part.exchange.answer:
            told += len(events)
            mover = f"The {clip.actors[0].name} moves {clip.direction}."
            assert part.exchange.answer == " ".join([mover, *(event.told(clip) for event in events)])
        if part.exchange.answer.startswith("Nothing "):
            assert not [event for event in events if event.verb in part.exchange.answer]
    assert told > 10


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
        questions.detecting("red circle"), questions.pointing("triangle"), questions.describing(is_clip=False),
        questions.reading(is_clip=False),
    }  # fmt: skip
    assert asked["clip"] >= {
        questions.spotting(""), questions.spotting("red star"), questions.describing(is_clip=True),
        questions.reading(is_clip=True),
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
    assert not {word for noun in NOUNS for word in noun.split()} & {*SHAPES, *COLOURS, *UNSEEN_NOUNS}


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
