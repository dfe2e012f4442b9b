from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pipelines.conversation import Draft, Reply, Round
from pipelines.present import album, takeaway
from pipelines.present.album import report_html
from pipelines.present.claims import Claimed, claims, marked_frames
from pipelines.present.film import marked_clips
from pipelines.present.overlay import PALETTE
from pipelines.present.takeaway import (
    NOTHING_MARKED,
    file_stem,
    marked_pictures,
    marks_as_coco,
    marks_as_table,
    num_left_out,
    table,
)
from pipelines.types import UserError
from tests.media_makers import write_clip

SIZE = (400, 300)
BOX = '[{"bbox_2d": [100, 200, 300, 600], "label": "red corner"}, {"point_2d": [500, 500], "label": "=1+1"}]'
FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "images": {"id": int, "file_name": str, "width": int, "height": int, "time_s": (int, float)},
    "annotations": {
        "id": int, "image_id": int, "category_id": int, "bbox": list, "segmentation": list, "area": (int, float),
        "iscrowd": int, "keypoints": list, "num_keypoints": int,
    },
    "categories": {"id": int, "name": str, "keypoints": list, "skeleton": list},
}  # fmt: skip
OPTIONAL = ("time_s", "keypoints", "num_keypoints", "skeleton")
TO_STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def last_claim(answer: str, *files: Path, before: tuple[Round, ...] = ()) -> Claimed:
    return claims([*before, Round(Draft("Where?", files), Reply(answer))])[-1]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", SIZE, "white").save(tmp_path / "My photo (1).png")
    return tmp_path / "My photo (1).png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("orientation", TO_STORED)
@pytest.mark.parametrize("size", [(400, 300), (900, 60), (60, 900)], ids=["usual", "wide", "tall"])
def test_marks_lie_on_the_upright_picture(
    orientation: int, size: tuple[int, int], tmp_path: Path, folder: Path
) -> None:
    """A black thing is drawn where the answer says; whatever way the file is stored, the box lies around it."""
    upright = Image.new("RGB", size, "white")
    x1, y1, x2, y2 = (round(value * side / 1000) for value, side in zip((100, 200, 300, 600), size * 2, strict=True))
    upright.paste("black", (x1, y1, x2, y2))
    turn = TO_STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(turn) if turn is not None else upright
    stored.save(tmp_path / "photo.png", exif=exif)
    (path,) = marked_pictures(last_claim('[{"bbox_2d": [100, 200, 300, 600]}]', tmp_path / "photo.png"), folder)
    rgb = pixels(path)
    assert rgb.shape == (size[1], size[0], 3)
    colour = tuple(int(PALETTE[0][0][at : at + 2], 16) for at in (1, 3, 5))
    rows, columns = np.where((rgb == colour).all(axis=2))
    lower = rows > y1 + 2  # below the label
    assert abs(columns[lower].min() - x1) <= 3
    assert abs(columns[lower].max() - x2) <= 3
    assert abs(rows.max() - y2) <= 3
    if size == SIZE:
        assert (rgb[y1 + 30 : y2 - 10, x1 + 10 : x2 - 10] == 0).all()


def test_of_a_small_picture_the_marked_copy_is_larger(tmp_path: Path, folder: Path) -> None:
    """The letters covered the mark."""
    Image.new("RGB", (40, 30), "white").save(tmp_path / "icon.png")
    answer = '[{"bbox_2d": [100, 400, 300, 800], "label": "black box"}]'
    (path,) = marked_pictures(last_claim(answer, tmp_path / "icon.png"), folder)
    rgb = pixels(path)
    assert rgb.shape == (150, 200, 3)
    assert (rgb[64:116, 24:56] == 255).all()


def test_frames_of_a_clip_are_marked_at_their_times(tmp_path: Path, folder: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    answer = '[{"time": 1, "bbox_2d": [1, 2, 300, 400], "label": "a"}, {"time": 2.55, "point_2d": [5, 5]}]'
    paths = marked_pictures(last_claim(answer, clip), folder)
    assert [path.name for path in paths] == ["clip-1-1.000s-marked.png", "clip-1-2.500s-marked.png"]


def test_frames_less_than_a_hundredth_of_a_second_apart_are_files_of_their_own(tmp_path: Path, folder: Path) -> None:
    """Of a clip in slow motion the later one was written over the one before."""
    clip = write_clip(tmp_path / "clip.mp4", frames=8, rate=120)
    answer = '[{"time": 0.03, "bbox_2d": [1, 2, 300, 400]}, {"time": 0.04, "bbox_2d": [1, 2, 300, 400]}]'
    paths = marked_pictures(last_claim(answer, clip), folder)
    assert [path.name for path in paths] == ["clip-1-0.025s-marked.png", "clip-1-0.033s-marked.png"]


def tracked(num_times: int) -> str:
    """An answer with a place at each of so many frames, at ten a second."""
    places = (f'{{"time": {at / 10}, "bbox_2d": [{at}, 2, 300, 400], "label": "a"}}' for at in range(num_times))
    return f"[{', '.join(places)}]"


def test_each_frame_has_the_marks_of_its_time_and_those_beyond_the_limit_are_on_none(tmp_path: Path) -> None:
    """They were all drawn on the last frame that was opened."""
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    claimed = last_claim(tracked(20), clip)
    found = [(frame.time_s, [mark.region.time_s for mark in frame.marks]) for frame in marked_frames(claimed, 0, 12)]
    assert [time_s for time_s, _ in found] == pytest.approx([at / 10 for at in range(12)])
    assert [times_s for _, times_s in found] == [[at / 10] for at in range(12)]


def test_a_report_tells_of_the_times_that_it_leaves_out(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    html = report_html([last_claim(tracked(20), clip)])
    assert html.count(" data-place=") == album.MAX_FRAMES
    assert "not shown: 8<" in html
    assert "not shown" not in report_html([last_claim(tracked(12), clip)])


def test_of_a_large_clip_one_frame_is_held_at_a_time(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty frames of 4K took 1.2 GB of the server."""
    monkeypatch.setattr(takeaway, "MAX_FRAMES", 30)
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10, size=(640, 480), options={"preset": "ultrafast"})
    claimed = last_claim(tracked(40), clip)
    tracemalloc.start()
    try:
        assert len(marked_pictures(claimed, folder)) == 30
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10 * 640 * 480 * 3
    assert num_left_out(claimed) == 10


def test_the_marks_of_each_picture_lie_on_it(photo: Path, tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (50, 60), "white").save(other)
    before = (Round(Draft("Look.", (other,)), Reply("I do.")),)
    claimed = last_claim(f"{BOX}\n\nPicture 1:\n[[10, 20, 300, 400]]", photo, before=before)
    assert [path.name for path in marked_pictures(claimed, folder)] == ["other-1-marked.png", "My-photo-1-2-marked.png"]


def test_coco_opens_again(photo: Path, folder: Path) -> None:
    (path,) = marks_as_coco(last_claim(BOX, photo), folder)
    told = json.loads(path.read_text(encoding="utf-8"))
    assert told["images"] == [{"id": 1, "file_name": photo.name, "width": 400, "height": 300}]
    assert [one["bbox"] for one in told["annotations"]] == [[40, 60, 80, 120], [200, 150, 0, 0]]
    names = {one["id"]: one["name"] for one in told["categories"]}
    assert [names[one["category_id"]] for one in told["annotations"]] == ["red corner", "=1+1"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_tools_of_coco_know_where_a_place_lies(photo: Path, folder: Path) -> None:
    """They draw an annotation and make a mask of it by its outline, and there was none."""
    (path,) = marks_as_coco(last_claim(BOX, photo), folder)
    opened = COCO(str(path))
    box, point = (opened.annToMask(one) for one in opened.loadAnns(opened.getAnnIds()))
    rows, columns = box.nonzero()
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (40, 60, 120, 180)
    assert point.sum() == 0


def test_coco_tells_two_pictures_of_one_name_apart(photo: Path, tmp_path: Path, folder: Path) -> None:
    """Both had the same `file_name`."""
    (tmp_path / "other").mkdir()
    Image.new("RGB", (50, 60)).save(tmp_path / "other" / photo.name)
    claimed = last_claim("Picture 2:\n[[10, 20, 300, 400]]", photo, tmp_path / "other" / photo.name)
    (path,) = marks_as_coco(claimed, folder)
    told = json.loads(path.read_text(encoding="utf-8"))
    assert [image["file_name"] for image in told["images"]] == [f"1/{photo.name}", f"2/{photo.name}"]
    assert [one["image_id"] for one in told["annotations"]] == [2]


def test_coco_keeps_to_its_schema(photo: Path, tmp_path: Path, folder: Path) -> None:
    """Of cocodataset.org, "Data format": its fields and their types, ids that are there once, and boxes in pictures."""
    clip = write_clip(tmp_path / "clip.mp4", frames=40, rate=10)
    answer = f'{BOX}\n\nVideo 1:\n[{{"time": 1, "bbox_2d": [1, 2, 1000, 1000], "label": "red corner"}}]'
    (path,) = marks_as_coco(last_claim(answer, photo, clip), folder)
    told = json.loads(path.read_text(encoding="utf-8"))
    for name, fields in FIELDS.items():
        for one in told[name]:
            assert set(one) <= set(fields)
            assert all(isinstance(one[field], kind) for field, kind in fields.items() if field in one)
            assert set(one) >= {field for field in fields if field not in OPTIONAL}
    assert set(told) == set(FIELDS)
    images = {one["id"]: one for one in told["images"]}
    categories = {one["id"]: one for one in told["categories"]}
    assert (len(images), len(categories), len(told["annotations"])) == (2, 2, 3)
    assert len({one["id"] for one in told["annotations"]}) == 3
    assert len({one["name"] for one in told["categories"]}) == 2
    for one in told["annotations"]:
        image, (x, y, width, height) = images[one["image_id"]], one["bbox"]
        assert 0 <= x <= x + width <= image["width"]
        assert 0 <= y <= y + height <= image["height"]
        assert one["area"] == pytest.approx(width * height, abs=0.01)
        has_point = "keypoints" in one
        assert len(one.get("keypoints", [])) == 3 * has_point
        assert ("keypoints" in categories[one["category_id"]]) or not has_point


def test_a_table_opens_again(photo: Path, folder: Path) -> None:
    (path,) = marks_as_table(last_claim(BOX, photo), folder)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert (rows[0]["label"], rows[0]["file"], rows[0]["x1"], rows[0]["x1_px"]) == (
        "red corner",
        photo.name,
        "100.0",
        "40.0",
    )
    assert rows[1]["label"] == "'=1+1"


def test_events_are_in_the_table(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    rows = list(csv.DictReader(io.StringIO(table(last_claim('{"0:01 - 0:02.5": "turns"}', clip)))))
    assert [(row["file"], row["label"], row["time_s"], row["end_s"]) for row in rows] == [
        ("clip.mp4", "turns", "1.0", "2.5")
    ]


def test_an_event_of_an_earlier_clip_is_drawn_on_that_one(tmp_path: Path, folder: Path) -> None:
    """It was on the last clip of the conversation, and in the pane on none."""
    first, last = (write_clip(tmp_path / f"{name}.mp4") for name in "ab")
    asked = Round(Draft("Look.", (first, last)), Reply("I do."))
    about = Round(Draft("What happens in this part?", about=0), Reply('{"0:00 - 0:01": "it turns"}'))
    claimed = claims([asked, about])[-1]
    assert claimed.shown == [0]
    assert [path.name for path in marked_clips(claimed, folder, lambda _: None)] == ["a-1-marked.mp4"]


def test_a_place_in_a_picture_that_is_not_there_is_in_the_table(photo: Path) -> None:
    claimed = last_claim('[{"bbox_2d": [1, 2, 3, 4], "image_index": 7}]', photo)
    assert len(table(claimed).splitlines()) == 2


@pytest.mark.parametrize("take", [marked_pictures, marks_as_coco, marks_as_table])
def test_nothing_marked_is_told(take: object, photo: Path, folder: Path) -> None:
    assert callable(take)
    with pytest.raises(UserError, match=NOTHING_MARKED):
        take(last_claim("There are three.", photo), folder)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("../../etc/passwd", "passwd"),
        ('a<b>"c".png', "a-b-c"),
        ("e\u0301te\u0301_à (1).png", "été-à-1"),
        ("写真.png", "写真"),
        ("हिन्दी.png", "हिन्दी"),
        ("a\u202egnp.png", "a-gnp"),
        ("😀.png", "picture"),
        ("", "picture"),
    ],
)
def test_a_name_is_no_path_and_keeps_its_letters(name: str, stem: str) -> None:
    """Of "été.png" a "t" was left."""
    assert file_stem(name) == stem
