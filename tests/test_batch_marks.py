"""What a batch draws and writes of places: copies that lie in their folder, and annotations."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pytest

from pipelines.batch.items import Item
from pipelines.present.burnt import burnt
from pipelines.present.coco import Annotated, coco
from pipelines.present.overlay import Mark
from pipelines.types import Region


@pytest.mark.parametrize("letter", ["a", "字", "\udce9"])
def test_a_long_name_leaves_room_for_what_its_copy_adds(letter: str, tmp_path: Path) -> None:
    size = len(os.fsencode(letter))
    names = [Item(f"in/{letter * (251 // size)}{end}", tmp_path, "What?").copy_name for end in (".png", ".mp4")]
    assert len(set(names)) == 2
    for name in names:
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"{name}.12345.678s.png").touch()


def test_no_copy_lies_outside_of_its_folder_or_over_another() -> None:
    there = ("a.png", "../a.png", "/a.png", "../../etc/a.png", "b/../a.png", "C:/a.png")
    files = (
        *there,
        *(file.replace("/", "\\") for file in there[1:]),
        "//server/share/a.png",
        "\\\\server\\share\\a.png",
    )
    names = [Item(file, Path(file), question).copy_name for file in files for question in ("What?", "Where?")]
    assert len(set(names)) == len(names)
    for system in (PurePosixPath, PureWindowsPath):
        assert not any(system(name).anchor or ".." in system(name).parts or ":" in name for name in names)


def test_points_are_keypoints() -> None:
    regions = (Region("cup", point=(500, 250)), Region("", box=(0, 0, 1000, 500)))
    made = coco([Annotated("a.png", 200, 100, regions), Annotated("b.png", 10, 10, ())])
    point, box = made["annotations"]
    assert (point["keypoints"], point["num_keypoints"]) == ([100.0, 25.0, 2], 1)
    assert (box["bbox"], box["area"]) == ([0.0, 0.0, 200.0, 50.0], 10000.0)
    assert [category["name"] for category in made["categories"]] == ["cup", "thing"]
    assert [image["file_name"] for image in made["images"]] == ["a.png", "b.png"]


def test_a_picture_that_was_asked_about_twice_is_one_image() -> None:
    """It was there once with its places and once without any, as one that shows nothing of what is looked for."""
    regions = (Region("cup", box=(0, 0, 1000, 500)),)
    made = coco(
        [Annotated("a.png", 200, 100, ()), Annotated("b.png", 10, 10, ()), Annotated("a.png", 200, 100, regions)]
    )
    assert [(image["id"], image["file_name"]) for image in made["images"]] == [(1, "a.png"), (2, "b.png")]
    assert [one["image_id"] for one in made["annotations"]] == [1]


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (64, 48), (2000, 1500)])
def test_marks_of_every_place_fit_pictures_of_every_size(size: tuple[int, int]) -> None:
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    regions = [
        Region("x" * 300, box=(0, 0, 1000, 1000)),
        Region("字 <b>", point=(1000, 0)),
        Region("", box=(5, 5, 5, 5)),
    ]
    picture = burnt(rgb, [Mark(number, region) for number, region in enumerate(regions, 1)])
    assert picture.size == size
    assert np.asarray(picture).any()
    assert not rgb.any()
