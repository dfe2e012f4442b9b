"""The times that an answer tells in prose, and the clip in which something happens."""

from __future__ import annotations

import pytest

from pipelines.grounding import parse_grounding, told_times
from pipelines.types import Event, Grounding, MediaKind
from tests.grounding_cases import CAT_A

TIMES = {
    "a moment": ("At 0:07 it turns.", [("0:07", 7, 7)]),
    "seconds": ("It appears at 1.4 seconds.", [("1.4 seconds", 1.4, 1.4)]),
    "a range": ("From 3.2 s to 5 s, it runs", [("3.2 s to 5 s", 3.2, 5)]),
    "in angles": ("at <28.2 seconds>.", [("<28.2 seconds>", 28.2, 28.2)]),
    "in brackets": ("[00:01 - 00:05] runs", [("00:01 - 00:05", 1, 5)]),
    "hundredths": ("00:23.00 - 00:48.50: runs", [("00:23.00 - 00:48.50", 23, 48.5)]),
    "one unit for both": ("1 to 2.5 seconds", [("1 to 2.5 seconds", 1, 2.5)]),
    "two moments": ("at 2 s and 3 s", [("2 s", 2, 2), ("3 s", 3, 3)]),
    "between": ("between 2 s and 3 s", [("2 s and 3 s", 2, 3)]),
    "the end of a sentence": ("It is at 0:07.", [("0:07", 7, 7)]),
    "the last of a text": ("at 7s", [("7s", 7, 7)]),
    "a moment a line": ("It bounces:\n- 0:05\n- 0:09\n\n0:12", [("0:05", 5, 5), ("0:09", 9, 9), ("0:12", 12, 12)]),
    "a unit before a line": ("for 3\ns and 0:05 -\n0:07", [("0:05", 5, 5), ("0:07", 7, 7)]),
    "a count behind a dash": ("0:05 - 3 people, 00:09 — 1 woman", [("0:05", 5, 5), ("00:09", 9, 9)]),
    "a number before a dash": ("Scene 2 - 0:05", [("0:05", 5, 5)]),
    "a dash and a unit": ("0:05 - 8 s, 5-8 s", [("0:05 - 8 s", 5, 8), ("5-8 s", 5, 8)]),
    "a comma behind the seconds": (
        "00:01,5: 0:07,0:09, 0:11",
        [("00:01,5", 1.5, 1.5), ("0:07", 7, 7), ("0:09", 9, 9), ("0:11", 11, 11)],
    ),
    "a comma in a number": ("1,200 seconds, 1,5 s, 3, 4 s", [("4 s", 4, 4)]),
    "scores and ratios": ("3:2, 16:9 and 4:3, John 3:6", []),
    "decades": ("the 1990s, '90s and 90 s", [("90 s", 90, 90)]),
    "a length": ("for 3 to 5 seconds, from 3 to 5 seconds", [("3 to 5 seconds", 3, 5)]),
    "minutes": ("at 1 min 5 s and 2分3秒", [("1 min 5 s", 65, 65), ("2分3秒", 123, 123)]),
    "minutes alone": ("after 3 minutes, 5 m, 2分", []),
    "Chinese": ("在第3.5秒，他在0:05时坐下", [("3.5秒", 3.5, 3.5), ("0:05", 5, 5)]),
    "hours of a day": ("at 9:00 am, 17:30 Uhr", []),
    "plain numbers": ("2 - 3 boxes, 1.5 metres, 7 sides, 1/2 s", []),
    "a date and an address": ("2024-05-01, 127.0.0.1:80, v1.2.3:4", []),
}


@pytest.mark.parametrize(("prose", "expected"), TIMES.values(), ids=TIMES.keys())
def test_times_in_prose(prose: str, expected: list[tuple[str, float, float]]) -> None:
    assert [(prose[told.start : told.end], told.start_s, told.end_s) for told in told_times(prose)] == expected


@pytest.mark.parametrize(
    "answer",
    [
        '[{"name": "Math", "start": "9:00", "end": "10:00"}]',
        '[{"name": "Temperature", "range": [0, 100]}]',
        '{"9:00 - 10:00": "Math"}',
        "The shop is open 9:00-17:00.",
    ],
)
def test_pictures_have_no_events(answer: str) -> None:
    """A timetable that a picture shows was taken for what happens in a clip."""
    assert parse_grounding(answer, ["picture", "picture"]) == Grounding()
    assert parse_grounding(answer, ["picture", "clip"]).events


@pytest.mark.parametrize(
    ("answer", "current", "medium"),
    [
        ('{"0:01 - 0:02": "it turns"}', 0, 1),
        ('{"0:01 - 0:02": "it turns"}', 2, 2),
        ("It turns 0:01 - 0:02.", 1, 1),
        ("Video 2: it turns 0:01 - 0:02.", 0, 2),
        ('[{"video": 2, "start": 1, "end": 2, "label": "it turns"}]', 0, 2),
        ('[{"img_idx": 0, "start": 1, "end": 2, "label": "it turns"}]', 0, 1),
    ],
    ids=["of the first", "that is asked about", "in prose", "named in prose", "named as data", "no picture has times"],
)
def test_an_event_belongs_to_a_clip(answer: str, current: int, medium: int) -> None:
    (event,) = parse_grounding(answer, ["picture", "clip", "clip"], current).events
    assert event.media_index == medium


@pytest.mark.parametrize(
    "answer",
    [
        "**Picture 1** (the timetable):\n\n- 9:00-10:00 Math\n- 10:00-11:00 Art\n\n",
        "Picture 1:\n9:00 - 10:00 Math\n10:00 - 11:00 Art\n\n",
        "According to Picture 1, the shop is open from 9:00 to 17:00. ",
        "- Picture 1: the shop is open 9:00-17:00.\n",
    ],
    ids=["a heading in bold", "a heading", "a sentence", "an item"],
)
def test_what_a_picture_says_does_not_happen_in_the_clip_beside_it(answer: str) -> None:
    happens = "In the clip of Picture 1's shop, a man enters from 0:02 to 0:05."
    found = parse_grounding(answer + happens, ["picture", "clip"]).events
    assert [(one.start_s, one.end_s, one.media_index) for one in found] == [(2, 5, 1)]
    assert parse_grounding(f"{answer}\n\nA man enters from 0:02 to 0:05.", ["picture", "clip"]).events == (
        Event(2, 5, "A man enters", 1),
    )


def test_data_under_the_name_of_a_picture_does_not_happen_in_the_clip_beside_it() -> None:
    row = '[{"start": "9:00", "end": "10:00", "name": "Math"}]'
    for answer in (f"Picture 1:\n{row}", f'{{"Picture 1": {row}}}', f'{{"image": "Picture 1", "rows": {row}}}'):
        assert parse_grounding(answer, ["picture", "clip"]).events == ()
    for answer in (f"Picture 1 and the clip:\n{row}", f'{{"Video 1": {row}}}', row):
        assert parse_grounding(answer, ["picture", "clip"]).events == (Event(540, 600, "Math", 1),)


def test_what_is_far_behind_the_end_of_a_clip_is_none_of_its_times() -> None:
    """The hours of a shop, read from a picture or in the clip itself, made its timeline an hour long."""
    row = '{"start": "9:00", "end": "10:00", "name": "Math"}'
    place = '{"time": "9:00", "bbox_2d": [100, 200, 300, 400], "label": "cat"}'
    kinds: list[MediaKind] = ["picture", "clip"]
    for answer in (f"[{row}]", "Open 9:00 - 17:00."):
        assert parse_grounding(answer, kinds, 0, [0.0, 12.0]) == Grounding()
        assert parse_grounding(answer, kinds, 0, [0.0, 0.0]).events
        assert parse_grounding(answer, ["clip", "clip"], 0, [12.0, 900.0]).events[0].media_index == 1
    for answer in ("Between 0:01 and 5:00 it counts down.", '[{"start": 1, "end": 300, "label": "it counts down"}]'):
        assert parse_grounding(answer, kinds, 0, [0.0, 12.0]) == Grounding()
        assert parse_grounding(answer, ["clip", "clip"], 0, [12.0, 900.0]).events[0].media_index == 1
    assert parse_grounding(place, kinds, 0, [0.0, 12.0]) == CAT_A
    assert parse_grounding("It turns 0:13 - 0:15.", kinds, 0, [0.0, 12.0]).events == (Event(13, 15, "It turns", 1),)
