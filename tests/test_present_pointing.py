from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.conversation import Draft
from pipelines.media import open_once
from pipelines.present.frames import strip
from pipelines.present.moments import AtTimes
from pipelines.present.pointing import LEAST_PX, NOTHING_THERE, Pointing, point, pointed_html, pointing_of
from pipelines.present.shelf import Shelf
from pipelines.types import Clip, UserError
from tests.media_makers import number_in, write_clip


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rgb = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_box_goes_along_in_full_resolution(photo: Path, tmp_path: Path) -> None:
    pointed = point(Pointing(0, (100, 200, 500, 700)), [photo], Shelf(tmp_path))
    assert np.array_equal(pixels(pointed.files[0]), pixels(photo)[60:210, 40:200])
    draft = pointed.told(Draft("What is it?", (photo,)), ())
    assert draft == Draft("In this region [100, 200, 500, 700]: What is it?", (photo, *pointed.files), 0)
    assert len(pointed.files) == 1


def test_what_is_cut_out_is_called_after_what_it_is_of(photo: Path, tmp_path: Path) -> None:
    """It is read beside the evidence and in what it costs, where the shelf's own names are long numbers."""
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    (part,) = point(Pointing(0, (100, 200, 500, 700)), [photo], Shelf(tmp_path)).files
    (smaller,) = point(Pointing(0, (0, 0, 500, 500)), [part], Shelf(tmp_path)).files
    frames = point(Pointing(0, start_s=1.0, end_s=2.6), [clip], Shelf(tmp_path)).files
    assert [path.name for path in (part, smaller)] == ["part of photo.png"] * 2
    assert [path.name for path in frames] == [f"part of clip at {time_s} s.png" for time_s in (1.2, 1.6, 2.0, 2.4)]
    assert smaller.parent != part.parent


def test_a_tiny_box_has_enough_around_it(photo: Path, tmp_path: Path) -> None:
    for box in ((0, 0, 1, 1), (999, 999, 1000, 1000), (500, 500, 501, 501)):
        pointed = point(Pointing(0, box), [photo], Shelf(tmp_path))
        assert pixels(pointed.files[0]).shape == (LEAST_PX, LEAST_PX, 3)


@pytest.mark.parametrize(
    ("box", "region"),
    [
        ((104.0, 96.0, 505.0, 506.0), (100, 100, 500, 510)),
        ((3.0, 3.0, 4.0, 4.0), (0, 0, 10, 10)),
        ((999.0, 999.0, 1000.0, 1000.0), (990, 990, 1000, 1000)),
    ],
)
def test_a_region_is_told_in_whole_tens(box: tuple[float, ...], region: tuple[int, ...]) -> None:
    assert Pointing(0, box).region == region  # type: ignore[arg-type]


def test_a_span_shows_frames_spread_over_it_with_their_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    span = point(Pointing(0, start_s=1.0, end_s=2.6), [clip], Shelf(tmp_path))
    assert [number_in(pixels(file)) for file in span.files] == [12, 16, 20, 24]
    assert span.words == "Between 1.0 and 2.6 seconds (see the frames at 1.2, 1.6, 2.0, 2.4 seconds)"
    assert pointed_html(span).count("<img") == 4
    assert span.told(Draft("What happens?"), (clip,)).files == span.files


def test_a_short_span_has_no_frame_twice(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    short = point(Pointing(0, start_s=1.0, end_s=1.12), [clip], Shelf(tmp_path))
    assert [number_in(pixels(file)) for file in short.files] == [10, 11]
    late = point(Pointing(0, start_s=90.0, end_s=99.0), [clip], Shelf(tmp_path))
    assert [number_in(pixels(file)) for file in late.files] == [39]


def test_a_box_at_a_time_shows_the_frame_that_is_shown_then(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    box = point(Pointing(0, (0, 0, 1000, 1000), 2.04), [clip], Shelf(tmp_path))
    assert [number_in(pixels(file)) for file in box.files] == [20]
    assert box.words == "At 2.0 seconds, in this region [0, 0, 1000, 1000]"


def test_a_frame_that_is_dragged_over_late_in_a_long_clip_is_the_one_that_is_cut(tmp_path: Path) -> None:
    """Its time was in the page with six digits: behind 1,000 s the frame before it was cut."""
    times_ms = (0, 1_234_500, 1_234_564)
    clip = write_clip(tmp_path / "clip.mp4", frames=len(times_ms), times_ms=times_ms)
    item = open_once(clip, AtTimes(tuple(time_ms / 1000 for time_ms in times_ms)))
    assert isinstance(item, Clip)
    for number, told in enumerate(re.findall('data-time="(.*?)"', strip(item, []))):
        dragged = pointing_of({"medium": 0, "box": [0, 0, 1000, 1000], "time_s": float(told)}, 1)
        assert [number_in(pixels(file)) for file in point(dragged, [clip], Shelf(tmp_path)).files] == [number]


def test_among_several_the_medium_is_named(photo: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    files = [photo, clip, photo]
    told = [point(Pointing(at, (0, 0, 500, 500)), files, Shelf(tmp_path)).words for at in range(3)]
    assert [words.partition("] of ")[2] for words in told] == ["Picture 1", "Video 1", "Picture 2"]


def test_without_a_question_nothing_is_asked(photo: Path, tmp_path: Path) -> None:
    pointed = point(Pointing(0, (0, 0, 500, 500)), [photo], Shelf(tmp_path))
    assert pointed.told(Draft("  ", (photo,)), ()) == Draft("  ", (photo,))
    assert 'alt="">' in pointed_html(pointed)
    assert pointed_html(None) == ""


def test_a_part_whose_picture_was_thrown_away_is_still_told_and_can_be_left(tmp_path: Path) -> None:
    """While such a part was marked, nothing of what an answer came to was drawn."""
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    span = point(Pointing(0, start_s=1.0, end_s=2.6), [clip], Shelf(tmp_path))
    span.files[0].unlink()
    span.files[1].write_bytes(b"")
    html = pointed_html(span)
    assert html.count("<img") == 2
    assert f"<span>{span.words}</span><button" in html


def test_what_a_page_sends_is_read() -> None:
    assert pointing_of({"medium": 1, "box": [500, -3, 100, 2000]}, 2) == Pointing(1, (100, 0, 500, 1000))
    assert pointing_of({"medium": 0, "box": [1, 2, 3, 4], "time_s": 1.5}, 1) == Pointing(0, (1, 2, 3, 4), 1.5)
    assert pointing_of({"medium": 0, "span": [3, -1]}, 1) == Pointing(0, start_s=0.0, end_s=3.0)


@pytest.mark.parametrize(
    "value",
    [
        None, [], "x", {}, {"medium": 0}, {"medium": "0", "box": [1, 2, 3, 4]}, {"medium": 2, "box": [1, 2, 3, 4]},
        {"medium": -1, "box": [1, 2, 3, 4]}, {"medium": 0, "box": [1, 2, 3]}, {"medium": 0, "box": [1, 2, 3, "4"]},
        {"medium": 0, "span": [1, float("nan")]}, {"medium": 0, "box": [1, 2, 3, float("inf")]},
        {"medium": 0, "box": [10**400, 0, 1, 1]},
    ],
)  # fmt: skip
def test_what_is_no_part_of_anything_is_refused(value: object) -> None:
    with pytest.raises(UserError, match=NOTHING_THERE):
        pointing_of(value, 2)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png"):
        point(Pointing(0, (0, 0, 1, 1)), [tmp_path / "gone.png"], Shelf(tmp_path))
