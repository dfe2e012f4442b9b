from __future__ import annotations

import base64
import io
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from pipelines.present.evidence import EMPTY, HOW_TO_SEE, Given, evidence_html, shown_media
from pipelines.present.frames import chosen_frames, marks_by_frame
from pipelines.present.linked import NOTHING_NAMED
from pipelines.present.overlay import MAX_LABELLED, MAX_MARKS, Mark, data_uri, figure, marks_svg
from pipelines.present.shelf import Shelf
from pipelines.present.sight import exact_uri
from pipelines.present.timeline import seconds, timeline
from pipelines.types import Event, Region, Sight
from tests.present_values import HOSTILE, clip, picture, result

BOX = Region("red circle", box=(100.0, 200.0, 300.0, 600.0))
POINT = Region("tip", point=(500.0, 250.0))


def marks(*regions: Region) -> list[Mark]:
    return [Mark(number, region) for number, region in enumerate(regions, 1)]


def parsed(svg: str) -> ElementTree.Element:
    """The marks as a tree: what is not well-formed fails here."""
    return ElementTree.fromstring(svg)


def test_a_box_lies_where_the_answer_says() -> None:
    box = parsed(marks_svg(marks(BOX))).findall(".//rect")[1].attrib
    assert (box["x"], box["y"], box["width"], box["height"]) == ("10.00%", "20.00%", "20.00%", "40.00%")


def test_a_point_lies_where_the_answer_says() -> None:
    point = parsed(marks_svg(marks(POINT))).findall(".//circle")[0].attrib
    assert (point["cx"], point["cy"]) == ("50.00%", "25.00%")


def test_each_mark_has_its_number_and_label() -> None:
    texts = [text.text for text in parsed(marks_svg(marks(BOX, POINT))).iter("text")]
    assert texts == ["1 red circle", "2 tip"]


def test_without_regions_nothing_is_drawn() -> None:
    assert marks_svg([]) == ""


def test_a_long_label_is_cut_on_the_picture_and_whole_for_a_reader() -> None:
    label = "very long " * 20
    svg = parsed(marks_svg(marks(Region(label, point=(1.0, 1.0)))))
    assert max(len(text.text or "") for text in svg.iter("text")) < 30
    assert label.strip() in svg.attrib["aria-label"]


def test_many_marks_show_their_numbers_alone() -> None:
    texts = [text.text for text in parsed(marks_svg(marks(*[BOX] * 20))).iter("text")]
    assert texts == [str(number) for number in range(1, 21)]
    assert len(texts) > MAX_LABELLED


@pytest.mark.parametrize("region", [Region(HOSTILE, box=(0, 0, 9, 9)), Region(HOSTILE, point=(0, 0))], ids=str)
def test_a_label_of_markup_is_text(region: Region) -> None:
    html = evidence_html(result(picture(), regions=(region,)), Given(1))
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html


def test_a_file_name_that_runs_from_right_to_left_turns_nothing_else() -> None:
    html = evidence_html(result(picture(name="\u202egnp.<b>")), Given(1))
    assert "<bdi>\u202egnp.&lt;b&gt;</bdi>, 40 × 30" in html


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((0.0, 0.0, 1000.0, 1000.0), id="all of it"),
        pytest.param((950.0, 0.0, 1000.0, 30.0), id="upper right corner"),
        pytest.param((0.0, 970.0, 40.0, 1000.0), id="lower left corner"),
        pytest.param((500.0, 500.0, 500.0, 500.0), id="no area"),
    ],
)
def test_a_tag_stays_on_the_picture(box: tuple[float, float, float, float]) -> None:
    tag = parsed(marks_svg(marks(Region("red circle", box=box)))).findall(".//svg")[0]
    plate = tag.find("rect")
    assert plate is not None
    x, y = float(tag.attrib["x"].rstrip("%")), float(tag.attrib["y"].rstrip("%"))
    assert float(plate.attrib["x"]) < 0 if x > 60 else float(plate.attrib["x"]) >= 0
    assert float(plate.attrib["y"]) < 0 if y > 10 else float(plate.attrib["y"]) >= 0


@pytest.mark.parametrize(("width", "height"), [(4000, 20), (20, 4000), (2000, 1000), (1, 1)])
def test_a_picture_is_reduced_for_the_page_and_keeps_its_shape(width: int, height: int) -> None:
    uri = data_uri(np.zeros((height, width, 3), np.uint8))
    shown = Image.open(io.BytesIO(base64.b64decode(uri.split("base64,")[1])))
    assert max(shown.size) <= 1600
    assert f"--ratio:{width / height:.5f}" in figure(uri, (width, height), [], "p.png")


def test_a_data_uri_is_a_jpeg() -> None:
    assert data_uri(np.zeros((3, 3, 3), np.uint8)).startswith("data:image/jpeg;base64,")


def test_every_place_has_a_chip_with_its_label() -> None:
    html = evidence_html(result(picture(), regions=(BOX, POINT)), Given(1))
    assert [re.sub("<[^>]+>", " ", chip).split() for chip in re.findall("<li.*?</li>", html)] == [
        ["1", "red", "circle", "Check"],
        ["2", "tip", "Check"],
    ]


def test_marks_lie_on_their_own_picture() -> None:
    second = Region("blue square", box=(0.0, 0.0, 10.0, 10.0), media_index=1)
    html = evidence_html(result(picture(name="a.png"), picture(name="b.png"), regions=(BOX, second)), Given(2))
    first_section, second_section = html.split("<section ")[1:]
    assert "red circle" in first_section
    assert "red circle" not in second_section
    assert "blue square" in second_section


@pytest.mark.parametrize(
    ("num_media", "num_new", "marked", "subject", "shown"),
    [
        pytest.param(3, 1, (), 2, [2], id="what came with the question"),
        pytest.param(3, 1, (0,), 2, [0, 2], id="and what has a mark"),
        pytest.param(3, 1, (), 1, [1, 2], id="and what has the part that came"),
        pytest.param(3, 0, (), 1, [1], id="what it is about where nothing is new"),
        pytest.param(3, 0, (1,), 2, [1], id="only what has a mark"),
        pytest.param(1, 1, (7,), 0, [0], id="a place in a picture that is not there"),
        pytest.param(2, 0, (), 7, [1], id="about a picture that is not there"),
    ],
)
def test_media_worth_a_look(
    num_media: int, num_new: int, marked: tuple[int, ...], subject: int, shown: list[int]
) -> None:
    assert shown_media(num_media, num_new, marked, subject) == shown


def test_what_the_question_points_at_is_in_front() -> None:
    html = evidence_html(result(picture(name="a.png"), picture(name="part.png")), Given(1, subject=0))
    assert re.findall(r'aria-selected="(\w+)" tabindex="-?\d">(.*?)<', html) == [
        ("true", "Picture 1"),
        ("false", "Picture 2"),
    ]


def test_a_question_without_media_leaves_the_pane_empty() -> None:
    assert evidence_html(result(), Given(0)) == EMPTY


def test_a_clip_shows_every_frame_with_its_time() -> None:
    html = evidence_html(result(clip(5, fps=2.0)), Given(1))
    assert re.findall("<figcaption>(.*?)</figcaption>", html) == ["0.0 s", "0.5 s", "1.0 s", "1.5 s", "2.0 s"]


def test_a_place_in_a_clip_is_drawn_on_the_nearest_frame_large_and_small() -> None:
    html = evidence_html(result(clip(5, fps=2.0), regions=(Region("ball", box=(1, 1, 9, 9), time_s=1.1),)), Given(1))
    marked = [caption for caption, svg in re.findall(r"<figure(.*?)</figure>()", html) if "gb-box" in caption]
    assert [re.findall("<figcaption>(.*?)</figcaption>", figure) for figure in marked] == [["1.0 s"], ["1.0 s"]]


@pytest.mark.parametrize(("time_s", "frame"), [(None, 0), (-1.0, 0), (0.6, 1), (99.0, 4)])
def test_nearest_frame(time_s: float | None, frame: int) -> None:
    place = Region("ball", point=(1, 1), time_s=time_s)
    assert list(marks_by_frame(clip(5, fps=2.0), marks(place))) == [frame]


def test_marks_are_gathered_by_frame_in_order() -> None:
    found = marks_by_frame(clip(5), marks(*(Region("x", point=(1, 1), time_s=time) for time in (2.0, 0.0, 1.9))))
    assert {frame: [mark.number for mark in of_frame] for frame, of_frame in found.items()} == {0: [2], 4: [1, 3]}


def test_a_long_clip_shows_its_ends_and_its_marked_frames() -> None:
    chosen = chosen_frames(768, [401])
    assert (chosen[0], chosen[-1], 401 in chosen) == (0, 767, True)
    assert len(chosen) <= 33


def test_events_are_listed_and_lie_on_the_timeline() -> None:
    html = timeline([Event(1.0, 2.0, f"{HOSTILE} appears")], [], 4.0)
    assert '1.0 s – 2.0 s</button> <span translate="no">&lt;img' in html
    assert 'x="25.00%"' in html
    assert 'width="25.00%"' in html


def test_times_late_in_a_long_clip_are_held_to_the_frame() -> None:
    """A click on one led to the frame before: from 1,000 s on, six digits are too few."""
    ball = Region("ball", box=(0, 0, 9, 9), time_s=1234.564)
    html = timeline([Event(1234.5005, 1234.5645, "it flies")], marks(ball), 5000.0625)
    assert re.findall('data-(?:time|end|length)="(.*?)"', html) == [
        "5000.0625",
        "1234.5005",
        "1234.564",
        "1234.5005",
        "1234.5645",
    ]
    assert 'class="gb-show" data-time="1234.564"' in evidence_html(result(clip(), regions=(ball,)), Given(1))


def test_places_of_one_name_are_a_track() -> None:
    ball = [Region("ball", box=(0, 0, 9, 9), time_s=time_s) for time_s in (3.0, 1.0)]
    html = timeline([], marks(*ball, Region("cat", point=(1, 1), time_s=2.0), Region("dog", point=(1, 1))), 4.0)
    assert re.findall(r'gb-track" x1="(.*?)" x2="(.*?)"', html) == [("25.00%", "75.00%"), ("50.00%", "50.00%")]
    assert re.findall(r'<circle class="gb-mark" data-marks="(\d)"', html) == ["2", "1", "3"]
    assert "gb-span" not in html


def test_several_media_have_tabs_and_the_one_with_marks_is_in_front() -> None:
    second = Region("blue square", box=(0.0, 0.0, 10.0, 10.0), media_index=1)
    html = evidence_html(result(picture(), picture(), clip(), regions=(second,)), Given(3))
    assert re.findall(r'aria-selected="(\w+)" tabindex="-?\d">(.*?)<', html) == [
        ("false", "Picture 1"),
        ("true", "Picture 2"),
        ("false", "Clip 1"),
    ]
    assert re.findall(r'<section role="tabpanel" data-medium="(\d)"( hidden)?', html) == [
        ("0", " hidden"),
        ("1", ""),
        ("2", " hidden"),
    ]
    assert "tablist" not in evidence_html(result(picture()), Given(1))


@pytest.mark.parametrize(
    ("answer", "is_told", "is_advised"), [("It is grey.", True, True), ("[]", True, False), ("  ", False, False)]
)
def test_only_an_answer_can_name_no_place(answer: str, *, is_told: bool, is_advised: bool) -> None:
    """It was told of a thought that was cut off, too. Who was given an empty list has asked for places."""
    html = evidence_html(replace(result(picture()), answer=answer), Given(1))
    assert (NOTHING_NAMED in html) == is_told
    assert (HOW_TO_SEE in html) == is_advised


def test_the_clip_with_the_events_is_in_front() -> None:
    """The picture beside it was, in which nothing is named."""
    html = evidence_html(result(picture(), clip(), events=(Event(0.5, 1.0, "it turns", media_index=1),)), Given(2))
    assert re.findall(r'aria-selected="true" tabindex="0">(.*?)<', html) == ["Clip 1"]


def test_a_picture_is_served_in_its_full_size(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    shelf = Shelf(tmp_path)
    address = shelf.put(rgb)
    served = Path(unquote(address.removeprefix("gradio_api/file=")))
    assert np.array_equal(np.asarray(Image.open(served)), rgb)
    assert shelf.put(rgb) == address
    assert shelf.put(rgb[:, ::-1]) != address
    os.utime(served, (0, 0))
    shelf.put(rgb[:, ::-1])
    assert not served.exists()


def test_a_large_photograph_is_served_in_its_full_size(tmp_path: Path) -> None:
    address = Shelf(tmp_path).put(np.zeros((1200, 1000, 3), np.uint8))
    with Image.open(unquote(address.removeprefix("gradio_api/file="))) as served:
        assert served.size == (1000, 1200)


def test_a_clip_plays_from_where_it_lies(tmp_path: Path) -> None:
    file = tmp_path / 'a "b" <c>.mp4'
    html = evidence_html(result(clip()), Given(1, files=(file,), shelf=Shelf(tmp_path)))
    assert unquote(re.findall('<video src="(.*?)"', html)[0]) == f"gradio_api/file={file}"
    assert "<video" not in evidence_html(result(clip()), Given(1))


def test_more_marks_than_anyone_can_see_are_told_and_not_drawn() -> None:
    regions = tuple(Region("x", point=(n % 1000, n // 1000)) for n in range(MAX_MARKS + 20))
    html = evidence_html(result(picture(), regions=regions), Given(1))
    assert html.count("<li ") == MAX_MARKS
    assert "20 more are not drawn." in html


def test_times_are_written_with_one_decimal() -> None:
    assert seconds(7.0) == "7.0 s"


def test_a_heading_says_what_the_model_saw() -> None:
    seen = replace(result(picture(512, 384), clip(5)), sights=(Sight(192, 160, 1, 30), Sight(320, 192, 5, 180)))
    headings = re.findall("<h2>(.*?)</h2>", evidence_html(seen, Given(2)))
    assert [re.sub("<[^>]+>", "", heading) for heading in headings] == [
        "Picture 1 shapes.png, 512 × 384, seen at 192 × 160, 30 visual tokens",
        "Clip 1 ball.mp4, 16 × 12, 5 frames seen at 320 × 192, 180 visual tokens",
    ]


def test_what_the_model_saw_is_there_pixel_by_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1, 32, 64, 3), np.uint8)
    seen = replace(result(picture(name=HOSTILE)), sights=(Sight(64, 32, 1, 2),))
    html = evidence_html(seen, Given(1, seen_pixels=lambda _item, _sight: pixels))
    folded = html.split('<details class="gb-seen">')[1].split("</details>")[0]
    shown = Image.open(io.BytesIO(base64.b64decode(folded.split("base64,")[1].split('"')[0])))
    assert np.array_equal(np.asarray(shown), pixels[0])
    assert HOSTILE not in html


def test_what_a_server_was_sent_is_not_told_as_what_its_model_saw() -> None:
    there = replace(result(picture(512, 384)), sights=(Sight(64, 32, 1, None),))
    html = evidence_html(there, Given(1, seen_pixels=lambda _item, _sight: np.zeros((1, 32, 64, 3), np.uint8)))
    assert ", sent at 64 × 32" in html
    assert "<summary>What was sent</summary>" in html
    assert "The pixels that were sent, at 64 × 32." in html


def test_the_first_frames_of_a_clip_are_shown_as_the_model_saw_them() -> None:
    seen = replace(result(clip(20)), sights=(Sight(64, 32, 20, 20),))
    html = evidence_html(seen, Given(1, seen_pixels=lambda _item, _sight: np.zeros((16, 32, 64, 3), np.uint8)))
    folded = html.split('<details class="gb-seen">')[1]
    assert folded.count("<img") == 16
    assert "the first 16 frames of 20" in folded


def test_a_large_picture_is_shown_in_its_own_size() -> None:
    shown = Image.open(io.BytesIO(base64.b64decode(exact_uri(np.zeros((2000, 1000, 3), np.uint8)).split(",")[1])))
    assert shown.size == (1000, 2000)
