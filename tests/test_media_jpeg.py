"""Photographs decoded by OpenCV are pixel for pixel what Pillow makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.media import open_media
from pipelines.media.jpeg import decode_jpeg
from pipelines.types import UserError
from tests.media_makers import At


def photograph(width: int, height: int, mode: str = "RGB") -> Image.Image:
    texture = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(texture).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def by_pillow(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("size", [(203, 151), (16, 16), (1, 1), (640, 481)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"progressive": True},
        {"quality": 20},
        {"keep_rgb": True},
        {"restart_marker_blocks": 3},
    ],
    ids=str,
)
def test_plain_ones(tmp_path: Path, size: tuple[int, int], options: dict[str, Any]) -> None:
    photograph(*size).save(tmp_path / "a.jpg", **options)
    with Image.open(tmp_path / "a.jpg") as image:
        assert decode_jpeg(image, tmp_path / "a.jpg") is not None
    opened = open_media(tmp_path / "a.jpg", At())
    assert np.array_equal(opened.rgb, by_pillow(tmp_path / "a.jpg"))
    assert opened.rgb.flags.writeable


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_others_are_left_to_pillow(tmp_path: Path, mode: str) -> None:
    photograph(64, 48, mode).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert decode_jpeg(image, tmp_path / "a.jpg") is None
    assert np.array_equal(open_media(tmp_path / "a.jpg", At()).rgb, by_pillow(tmp_path / "a.jpg"))


@pytest.mark.parametrize("part", [0.3, 0.7, 0.99])
def test_a_cut_off_one_is_refused(tmp_path: Path, part: float) -> None:
    """OpenCV alone would fill what is missing with grey."""
    path = tmp_path / "a.jpg"
    photograph(640, 480).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(UserError, match="cut off or damaged"):
        open_media(path, At())


def test_bytes_behind_the_end_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    photograph(64, 48).save(path)
    expected = by_pillow(path)
    path.write_bytes(path.read_bytes() + b"\0" * 99)
    with Image.open(path) as image:
        assert np.array_equal(decode_jpeg(image, path), expected)  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes() + b"a phone's own notes")
    assert np.array_equal(open_media(path, At()).rgb, expected)
