"""Which picture or clip a place that an answer names is in, and where in the answer it stands."""

from __future__ import annotations

import pytest

from pipelines.grounding import parse_grounding
from pipelines.types import MediaKind
from tests.grounding_cases import ITEM_A, A, boxes

MIXED: tuple[MediaKind, ...] = ("picture", "clip", "picture", "clip")
AMONG = {
    "Picture 2": ('{"bbox_2d": [1, 2, 3, 4], "image": "Picture 2"}', 2),
    "Video 1": ('{"Video 1": {"bbox_2d": [1, 2, 3, 4]}}', 1),
    "Video 2 as a key": ('{"Video 2": [{"time": 1, "bbox_2d": [1, 2, 3, 4]}]}', 3),
    "Clip 2": ('{"bbox_2d": [1, 2, 3, 4], "clip": 2}', 3),
    "index of a picture": ('{"bbox_2d": [1, 2, 3, 4], "img_idx": 1}', 2),
    "index of a clip": ('{"bbox_2d": [1, 2, 3, 4], "video_index": 0}', 1),
    "a heading": ('Picture 1:\n```json\n[{"bbox_2d": [1, 2, 3, 4]}]\n```', 0),
    "the last name of a heading": ('Unlike in Picture 1, in **Video 2**:\n[{"bbox_2d": [1, 2, 3, 4]}]', 3),
    "a name in another paragraph": ('In Picture 1 all is well.\n\nHere:\n[{"bbox_2d": [1, 2, 3, 4]}]', 2),
    "counted over all media": ('{"bbox_2d": [1, 2, 3, 4], "image": "Picture 4"}', 3),
    "more than there are": ('{"bbox_2d": [1, 2, 3, 4], "image": "Picture 9"}', 2),
    "no name": ('{"bbox_2d": [1, 2, 3, 4]}', 2),
    "an ordinal": ('In the second picture:\n[{"bbox_2d": [1, 2, 3, 4]}]', 2),
    "no name and a time": ('{"bbox_2d": [1, 2, 3, 4], "time": 1}', 3),
}
MEDIA = {
    "image_index": ('{"bbox_2d": [1, 2, 3, 4], "image_index": 1}', 1),
    "img_idx": ('{"img_idx": 2, "bbox_2d": [1, 2, 3, 4]}', 2),
    "picture counts from 1": ('{"bbox_2d": [1, 2, 3, 4], "picture": 2}', 1),
    "Picture N": ('{"bbox_2d": [1, 2, 3, 4], "image": "Picture 3"}', 2),
    "Picture N as a key": ('{"Picture 2": [{"bbox_2d": [1, 2, 3, 4]}]}', 1),
    "over a list": ('{"image_index": 1, "objects": [{"bbox_2d": [1, 2, 3, 4]}]}', 1),
    "not a number": ('{"bbox_2d": [1, 2, 3, 4], "image_index": "first"}', 0),
    "below zero": ('{"bbox_2d": [1, 2, 3, 4], "image_index": -1}', 0),
    "endless": (f'{{"bbox_2d": [1, 2, 3, 4], "image_index": {"9" * 9000}}}', 0),
}


@pytest.mark.parametrize(("answer", "media_index"), MEDIA.values(), ids=MEDIA.keys())
def test_reads_the_picture(answer: str, media_index: int) -> None:
    (region,) = parse_grounding(answer).regions
    assert region.media_index == media_index


@pytest.mark.parametrize(("answer", "media_index"), AMONG.values(), ids=AMONG.keys())
def test_a_place_goes_to_its_medium(answer: str, media_index: int) -> None:
    """Pictures and clips are counted apart; what names none belongs to what the question is about."""
    (region,) = parse_grounding(answer, MIXED, current=2).regions
    assert region.media_index == media_index


@pytest.mark.parametrize(
    "name",
    [
        *("Second image", "图2", "图片 2", "第二张图片", "第2张图", "Bild 2", "Im zweiten Bild", "La deuxième image"),
        *("En la segunda imagen", "画像2", "2枚目の画像", "第二张照片中"),
    ],
)
def test_pictures_have_names_in_other_languages(name: str) -> None:
    """What was found in the second picture was drawn on the first."""
    answer = f"{name}: {ITEM_A}"
    assert [region.media_index for region in parse_grounding(answer, ["picture", "picture"]).regions] == [1]
    assert [region.media_index for region in parse_grounding(answer, ["picture"]).regions] == [0]


@pytest.mark.parametrize("clip", ["5 second video", "10-second clip", "five-second clip", "twenty-second video"])
def test_a_clip_of_some_seconds_is_not_the_second_one(clip: str) -> None:
    """Its span was drawn on another clip."""
    answer = f"In this {clip} the ball falls from 1.0 to 3.0 seconds."
    assert [one.media_index for one in parse_grounding(answer, ["clip", "clip"], ends_s=[5.0, 5.0]).events] == [0]


def test_an_ordinal_may_count_those_that_came_last() -> None:
    assert [one.media_index for one in parse_grounding(f"Second image: {ITEM_A}", ["picture", "clip"]).regions] == [0]
    kinds: list[MediaKind] = ["picture"] * 4
    assert [one.media_index for one in parse_grounding(f"First image: {ITEM_A}", kinds, current=2).regions] == [2]


def test_a_place_in_a_picture_has_no_time() -> None:
    answer = '[{"time": "9:00", "bbox_2d": [100, 200, 300, 400]}, {"time": "10:00", "bbox_2d": [100, 200, 300, 400]}]'
    assert parse_grounding(answer, ["picture"]) == boxes(("", A))


def test_a_place_knows_where_it_stands() -> None:
    answer = f"Cats:\n```json\n[{ITEM_A}]\n```\nand <ref>dog</ref><box>(500,600),(700,800)</box>, as is 0:01-0:02."
    first, second = (region.source for region in parse_grounding(answer).regions)
    assert first is not None
    assert answer[slice(*first)] == f"```json\n[{ITEM_A}]\n```"
    assert second is not None
    assert answer[slice(*second)] == "<ref>dog</ref><box>(500,600),(700,800)</box>"
    assert [event.source for event in parse_grounding(answer).events] == [None]


@pytest.mark.parametrize("answer", ["[[5.0, 8.0], [9, 9.5]]", "[5.0, 8.0]"])
def test_bare_pairs_about_a_clip_may_be_times(answer: str) -> None:
    """Asked when something happens, a model gave the ends of spans, which were drawn as points in a corner."""
    assert not parse_grounding(answer, ["clip"], ends_s=[10.0]).regions
    assert parse_grounding(answer, ["picture"]).regions
    assert parse_grounding("[[512, 300]]", ["clip"], ends_s=[10.0]).regions
