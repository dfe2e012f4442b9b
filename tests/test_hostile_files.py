"""The run of `make hostile`, short: files made here and mutants of them, without what others have collected."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from pipelines.media.guarded import open_guarded
from tests.hostile import bombs
from tests.hostile.files import run
from tests.hostile.mutants import mutant
from tests.hostile.pictures import saved
from tests.media_makers import At, write_clip

MAX_S = 30.0
"""On a machine that tests share with other work; the full run holds files to 10 s."""


def test_every_file_is_answered_or_refused_in_a_sentence(tmp_path: Path) -> None:
    server = os.getpid()
    report = run(tmp_path, 100, 7, with_corpora=False, max_s=MAX_S)
    assert report.problems == []
    assert report.num_files > 250
    assert os.getpid() == server
    clips = report.outcomes["clips, by decord"].kinds
    assert clips["refused"] + clips["broke its reader"] + clips["answered"] == clips.total()


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    """A picture of 700 KB used to take 1.4 GB, and a clip of 10 MB took decord 5 GB."""
    measured = {cost.name: cost for cost in bombs.costs(bombs.write_bombs(tmp_path), tmp_path)}
    assert [cost.name for cost in measured.values() if cost.grown_bytes > bombs.MAX_BYTES] == []
    for name in ("bomb.png", "bomb.jpg", "bomb.bmp", "bomb.gif", "bomb.heic", "wide.mp4"):
        assert "megapixels" in (measured[name].sentence or ""), measured[name]
    for name in ("bomb.webp", "bomb.avif", "text-bomb.png", "profile-bomb.png"):
        assert "cut off or damaged" in (measured[name].sentence or ""), measured[name]


def test_mutants_are_repeatable() -> None:
    first, again, other = (mutant(bytes(range(200)), b"abc", random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other


FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "AVIF": "avif", "HEIC": "heic"}
CLIPS = {
    "MP4": [("libx264", "mp4"), ("libx265", "mp4"), ("libsvtav1", "mp4"), ("mpeg4", "mp4")],
    "MOV": [("libx264", "mov"), ("mjpeg", "mov"), ("prores_ks", "mov")],
    "WEBM": [("libvpx-vp9", "webm"), ("libvpx", "webm")],
    "MKV": [("libx264", "mkv"), ("ffv1", "mkv")],
    "AVI": [("mpeg4", "avi"), ("mjpeg", "avi"), ("huffyuv", "avi")],
    "MPEG-TS": [("libx264", "ts"), ("mpeg2video", "ts")],
}
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "huffyuv": "yuv422p"}


def _matrix() -> Iterator[tuple[str, str, int]]:
    """Every encoding, and every rotation in the containers that state one."""
    for codec, suffix in (pair for pairs in CLIPS.values() for pair in pairs):
        for degrees in (0, 90, 180, 270) if suffix in ("mp4", "mov") else (0,):
            yield codec, suffix, degrees


def test_the_readme_says_what_is_read() -> None:
    words = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
    assert f"Pictures: {', '.join(FORMATS)}." in words
    assert f"Clips: {', '.join(CLIPS)}, GIF." in words


@pytest.mark.parametrize("suffix", FORMATS.values())
def test_every_kind_of_picture_is_read(suffix: str, tmp_path: Path) -> None:
    register_heif_opener()
    Image.new("RGB", (48, 32), (200, 30, 30)).save(tmp_path / f"a.{suffix}")
    red = open_guarded(tmp_path / f"a.{suffix}", At()).rgb[16, 24]
    assert abs(red.astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize(("codec", "suffix", "degrees"), list(_matrix()))
def test_every_kind_of_clip_is_read_upright_and_in_time(codec: str, suffix: str, degrees: int, tmp_path: Path) -> None:
    turn = (degrees, False, False) if degrees else None
    path = write_clip(tmp_path / f"a.{suffix}", codec, frames=10, turn=turn, pix_fmt=PIXELS.get(codec, "yuv420p"))
    clip = open_guarded(path, At())
    assert (clip.width, clip.height) == ((64, 128) if degrees in (90, 270) else (128, 64))
    assert clip.times_s == pytest.approx([number / 25 for number in range(10)], abs=0.04)  # type: ignore[union-attr]


def test_a_gif_of_several_frames_is_read(tmp_path: Path) -> None:
    frames = [Image.new("L", (40, 30), 60 * index) for index in range(4)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200)
    (tmp_path / "a.gif").write_bytes(content)
    clip = open_guarded(tmp_path / "a.gif", At())
    assert clip.times_s == pytest.approx((0.0, 0.2, 0.4, 0.6))  # type: ignore[union-attr]
