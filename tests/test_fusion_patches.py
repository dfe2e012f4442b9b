"""Sizes, frames, times and pixel values against the official processors."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.fusion import mean_times, resize_clip, resize_picture, sample_frames
from pipelines.fusion.resizing import clip_frames, picture_frame
from pipelines.inputs import cut, cut_on_cpu, cut_on_device, grid_of, num_visual_tokens
from pipelines.types import Limits
from tests import golden

PICTURE = Limits(65_536, 16_777_216)
CLIP = Limits(4_096, 25_165_824)


def sha256(values: torch.Tensor) -> str:
    return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()


@golden.needs_golden
def test_sizes_are_those_of_the_reference() -> None:
    for case in golden.read("sizes.json"):
        limits = Limits(case["min_pixels"], case["max_pixels"])
        if "error" in case:
            with pytest.raises(ValueError, match="200 times"):
                resized(case, limits)
        else:
            assert list(resized(case, limits)) == case["resized"], case


def resized(case: dict[str, Any], limits: Limits) -> tuple[int, int]:
    if case["kind"] == "image":
        return resize_picture(case["height"], case["width"], limits)
    return resize_clip(case["frames"], case["height"], case["width"], limits)


@golden.needs_golden
def test_frames_and_times_are_those_of_the_reference() -> None:
    for case in golden.read("frame_sampling.json"):
        names = ("total_frames", "video_fps", "sample_fps", "min_frames", "max_frames")
        indices = sample_frames(*(case[name] for name in names))
        assert indices == case["indices"]
        times_s = [index / case["video_fps"] for index in indices]
        assert mean_times(times_s) == pytest.approx(case["timestamps"], abs=1e-6)


@pytest.mark.parametrize("case", golden.read("images.json"), ids=lambda case: case["file"])
def test_pictures_equal_the_reference_bit_for_bit(case: dict[str, Any]) -> None:
    rgb = np.asarray(Image.open(golden.FOLDER / case["file"]).convert("RGB"))
    frame = picture_frame(rgb, PICTURE)
    assert list(grid_of(frame)) == case["grid_thw"]
    assert sha256(cut(frame)) == case["sha256_float32"]


@pytest.mark.parametrize("case", golden.read("videos.json"), ids=lambda case: case["frames"])
def test_clips_equal_the_reference_bit_for_bit(case: dict[str, Any]) -> None:
    with np.load(golden.FOLDER / "videos.npz") as frames:
        seen = clip_frames(frames[case["frames"]], CLIP)
    assert list(grid_of(seen)) == case["grid_thw"]
    assert sha256(cut(seen)) == case["sha256_float32"]


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        pytest.param((480, 640), PICTURE, (480, 640), id="already fits"),
        pytest.param((100, 100), PICTURE, (256, 256), id="enlarged to the least"),
        pytest.param((3000, 4000), Limits(65_536, 1_048_576), (864, 1152), id="reduced to a budget"),
    ],
)
def test_a_picture_is_brought_within_the_limits(
    size: tuple[int, int], limits: Limits, expected: tuple[int, int]
) -> None:
    assert resize_picture(*size, limits) == expected


def test_one_frame_has_no_reference_size_but_still_makes_a_clip() -> None:
    with pytest.raises(ValueError, match="at least 2 frames"):
        resize_clip(1, 64, 64, CLIP)
    assert grid_of(clip_frames(np.zeros((1, 64, 64, 3), np.uint8), CLIP)) == (1, 4, 4)


def test_a_frame_of_a_clip_has_at_most_768_visual_tokens() -> None:
    frames = clip_frames(np.zeros((2, 1080, 1920, 3), np.uint8), CLIP)
    assert 700 < num_visual_tokens(grid_of(frames)) <= 768


def test_the_four_patches_of_a_visual_token_follow_each_other() -> None:
    """A 64 x 32 picture whose 16-px tiles are numbered: rows of patches go through one 32-px block, then the next."""
    tiles = np.arange(8, dtype=np.uint8).reshape(4, 2)
    rgb = np.repeat(np.kron(tiles, np.ones((16, 16), np.uint8))[..., None], 3, -1)
    values = cut(picture_frame(rgb, Limits(1, 10**6)))
    assert (values[:, 0] * 127.5 + 127.5).round().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert values.shape == (8, 1536)


def test_an_odd_clip_repeats_its_last_frame() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    assert torch.equal(clip_frames(rgb, CLIP), clip_frames(np.concatenate([rgb, rgb[-1:]]), CLIP))


def test_frames_of_a_short_clip_are_all_taken() -> None:
    assert sample_frames(3, 30.0, 2.0) == [0, 1, 2]
    assert sample_frames(100, 10.0, 2.0, max_frames=5) == [0, 25, 50, 74, 99]
    with pytest.raises(ValueError, match="at least one frame"):
        sample_frames(0, 30.0, 2.0)


def test_limits_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="min_pixels <= max_pixels"):
        Limits(10, 5)


@pytest.mark.parametrize("num_frames", [1, 4])
def test_a_device_cuts_as_the_processor_does(num_frames: int) -> None:
    """What a GPU runs, run here: plain torch, against numpy and a table."""
    frames = torch.randint(0, 256, (num_frames, 3, 96, 64), dtype=torch.uint8)
    blocks = frames.reshape(max(num_frames // 2, 1), min(num_frames, 2), 3, 3, 2, 16, 2, 2, 16)
    assert torch.equal(cut_on_device(blocks), cut_on_cpu(blocks))
    assert torch.equal(cut_on_cpu(blocks), cut(frames))
