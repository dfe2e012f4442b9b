"""What is told of a file beforehand is what the request then reports."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.checkpoint import Checkpoint
from pipelines.engine import ScriptedEngine
from pipelines.fusion import estimate, look_of, seen_pixels
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer, foresee
from pipelines.types import (
    Clip,
    Limits,
    Picture,
    ProbedClip,
    ProbedPicture,
    Request,
    Result,
    Settings,
    Sight,
    UserError,
)
from tests.media_makers import write_clip

SETTINGS = Settings(thinking=False, max_new_tokens=4)


@pytest.fixture(scope="module")
def demo() -> Checkpoint:
    return Checkpoint.open(DEMO_FOLDER)


@pytest.fixture(scope="module")
def official(demo: Checkpoint) -> Checkpoint:
    """With the limits of Qwen3.5's own checkpoints."""
    limits = Limits(65_536, 16_777_216), Limits(4_096, 25_165_824)
    return replace(demo, picture_limits=limits[0], clip_limits=limits[1], max_frames=768)


def result_of(files: list[Path], checkpoint: Checkpoint, settings: Settings = SETTINGS) -> Result:
    *_, last = answer(Request("What is there?", tuple(files), settings), ScriptedEngine("A ball.", checkpoint))
    assert isinstance(last, Result)
    return last


def check(files: list[Path], checkpoint: Checkpoint, settings: Settings = SETTINGS) -> None:
    foreseen = [foresee(path, settings, checkpoint)[1] for path in files]
    result = result_of(files, checkpoint, settings)
    assert tuple(foreseen) == result.sights
    assert sum(sight.num_visual_tokens or 0 for sight in foreseen) == result.tokens.visual


def pictures(folder: Path) -> list[Path]:
    paths = []
    for width, height in [(512, 384), (33, 67), (1, 1), (1201, 17), (1500, 1111)]:
        paths.append(folder / f"{width}x{height}.png")
        Image.new("RGB", (width, height)).save(paths[-1])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (301, 77)).save(folder / "turned.jpg", exif=exif)
    return [*paths, folder / "turned.jpg"]


def clips(folder: Path) -> list[Path]:
    return [
        write_clip(folder / "one.mp4", frames=1),
        write_clip(folder / "odd.mp4", frames=7, size=(130, 98)),
        write_clip(folder / "turned.mp4", frames=60, size=(322, 98), turn=(90, False, False)),
        write_clip(folder / "large.mp4", options={"preset": "ultrafast"}, frames=5, size=(1922, 1082)),
        write_clip(folder / "long.mkv", frames=300, rate=10),
    ]


def test_a_mixed_request_costs_what_was_foretold(tmp_path: Path, demo: Checkpoint, official: Checkpoint) -> None:
    files = [path for pair in zip(pictures(tmp_path), clips(tmp_path), strict=False) for path in pair]
    for checkpoint in (demo, official):
        check(files, checkpoint)


@pytest.mark.parametrize(
    "settings",
    [replace(SETTINGS, max_pixels=256 * 256), replace(SETTINGS, max_frames=3), replace(SETTINGS, sample_fps=0.5)],
    ids=["few pixels", "few frames", "slow"],
)
def test_the_settings_count(tmp_path: Path, official: Checkpoint, settings: Settings) -> None:
    check([*pictures(tmp_path), *clips(tmp_path)], official, settings)


def test_a_picture_of_the_example(demo: Checkpoint) -> None:
    assert estimate(ProbedPicture("a.png", 512, 384), SETTINGS, demo) == Sight(192, 160, 1, 30)


def test_the_frames_are_those_that_the_checkpoint_was_made_for(demo: Checkpoint) -> None:
    probed = ProbedClip("a.mp4", 320, 192, [number / 25 for number in range(300)], 12.0)
    sight = estimate(probed, SETTINGS, demo)
    assert sight.num_frames == len(look_of(SETTINGS, demo).choose(probed.times_s, 12.0)) == demo.max_frames
    assert estimate(probed, replace(SETTINGS, max_frames=5), demo).num_frames == 5


def test_a_shape_that_the_model_refuses_is_refused_in_the_same_sentence(tmp_path: Path, demo: Checkpoint) -> None:
    Image.new("RGB", (2010, 10)).save(tmp_path / "strip.png")
    strip = write_clip(tmp_path / "strip.mkv", "ffv1", frames=2, size=(4200, 20))
    for path in (tmp_path / "strip.png", strip):
        with pytest.raises(UserError) as asked:
            result_of([path], demo)
        with pytest.raises(UserError, match=re.escape(str(asked.value))):
            foresee(path, SETTINGS, demo)


def test_a_request_that_was_stopped_early_has_no_sights(demo: Checkpoint) -> None:
    assert result_of([], demo).sights == ()


def test_the_pixels_that_the_model_got() -> None:
    picture = Picture("a", np.full((30, 50, 3), 90, np.uint8))
    clip = Clip("b", np.full((20, 30, 50, 3), 90, np.uint8), tuple(map(float, range(20))), tuple(range(20)), 20.0)
    assert seen_pixels(picture, Sight(64, 32, 1, 2)).shape == (1, 32, 64, 3)
    shown = seen_pixels(clip, Sight(64, 32, 20, 20))
    assert shown.shape == (16, 32, 64, 3)
    assert np.all(shown == 90)


def test_pixels_of_a_size_that_needs_no_change_are_the_files_own() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    assert np.array_equal(seen_pixels(Picture("a", rgb), Sight(64, 32, 1, 2))[0], rgb)
