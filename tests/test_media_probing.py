"""What a file says of itself before it is opened is what opening it gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.media import open_media, opening, probe
from pipelines.media.picture import open_picture
from pipelines.media.probing import late_exif
from pipelines.types import Clip, Picture, Probe, ProbedClip, ProbedPicture, UserError
from tests.media_makers import At, write_clip, write_sound

ORIENTATION = 0x0112


def check(path: Path) -> None:
    """The probe names the file, and gives the size and the number of frames that opening gives."""
    probed, opened = probe(path), open_media(path, At())
    assert (probed.name, probed.width, probed.height) == (path.name, opened.width, opened.height)
    assert isinstance(probed, ProbedClip) == isinstance(opened, Clip)
    if isinstance(probed, ProbedClip) and isinstance(opened, Clip):
        assert (probed.times_s, probed.duration_s) == (opened.times_s, opened.duration_s)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "avif", "heic"])
def test_pictures(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (58, 34), "red").save(path)
    assert probe(path) == ProbedPicture(path.name, 58, 34)
    check(path)


@pytest.mark.parametrize("look", [probe, opening.probe])
@pytest.mark.parametrize("suffix", ["png", "webp", "avif"])
def test_a_picture_that_is_the_first_frame_of_an_animation(
    tmp_path: Path, suffix: str, look: Callable[[Path], Probe]
) -> None:
    """It was taken for a picture without a word, where a GIF is a clip."""
    path, more = tmp_path / f"a.{suffix}", [Image.new("RGB", (58, 34), "blue")]
    Image.new("RGB", (58, 34), "red").save(path, save_all=True, append_images=more, duration=100)
    assert look(path) == ProbedPicture(path.name, 58, 34, is_animated=True)
    for item in (open_picture(path), open_media(path, At())):
        assert isinstance(item, Picture)
        assert item.is_animated


def test_a_jpeg_with_a_picture_beside_it_is_no_animation(tmp_path: Path) -> None:
    path, more = tmp_path / "a.jpg", [Image.new("RGB", (58, 34), "blue")]
    Image.new("RGB", (58, 34), "red").save(path, "MPO", save_all=True, append_images=more)
    assert probe(path) == ProbedPicture(path.name, 58, 34)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (58, 34)).save(tmp_path / f"a.{suffix}", exif=exif)
    check(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_that_says_behind_its_pixels_which_way_is_up(tmp_path: Path, orientation: int) -> None:
    """Its places were exported in px of the picture as it lies in the file."""
    path, exif = tmp_path / "a.png", Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (58, 34)).save(path, exif=exif)
    content = path.read_bytes()
    start, pixels, end = (content.index(kind) - 4 for kind in (b"eXIf", b"IDAT", b"IEND"))
    assert start < pixels
    path.write_bytes(content[:start] + content[pixels:end] + content[start:pixels] + content[end:])
    check(path)


@pytest.mark.parametrize("is_late", [True, False])
def test_a_png_whose_xmp_says_which_way_is_up(tmp_path: Path, is_late: bool) -> None:
    """Pillow takes that for EXIF; behind the pixels, where browsers and headers tell nothing of it, nobody does."""
    path, text = tmp_path / "a.png", PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    Image.new("RGB", (58, 34)).save(path, pnginfo=text)
    content = path.read_bytes()
    start, pixels, end = (content.index(kind) - 4 for kind in (b"iTXt", b"IDAT", b"IEND"))
    if is_late:
        path.write_bytes(content[:start] + content[pixels:end] + content[start:pixels] + content[end:])
    check(path)


@pytest.mark.parametrize("cut", range(8, 60, 4))
def test_a_png_that_is_cut_off_anywhere_is_gone_over(tmp_path: Path, cut: int) -> None:
    Image.new("RGB", (58, 34)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:cut])
    assert late_exif(tmp_path / "a.png") == b""


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9")]
)
@pytest.mark.parametrize("frames", [1, 7])
def test_clips(tmp_path: Path, name: str, codec: str, frames: int) -> None:
    check(write_clip(tmp_path / name, codec, frames=frames))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turned_clips(tmp_path: Path, degrees: int) -> None:
    check(write_clip(tmp_path / "a.mp4", frames=5, turn=(degrees, False, False)))


def test_an_animation_is_a_clip(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=200)
    check(tmp_path / "a.gif")


def test_the_times_are_those_of_the_frames(tmp_path: Path) -> None:
    probed = probe(write_clip(tmp_path / "a.mp4", frames=50, rate=25))
    assert isinstance(probed, ProbedClip)
    assert probed.times_s == pytest.approx([number / 25 for number in range(50)])
    assert probed.duration_s == pytest.approx(2.0)


def test_large_pixels_are_not_decoded(tmp_path: Path) -> None:
    """The header alone is there, and is enough."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "head.png").write_bytes((tmp_path / "a.png").read_bytes()[:4096])
    assert probe(tmp_path / "head.png") == ProbedPicture("head.png", 800, 600)


def bad_files(folder: Path) -> list[Path]:
    (folder / "text.png").write_text("This is no picture.")
    (folder / "empty.png").write_bytes(b"")
    (folder / "start.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    whole = write_clip(folder / "whole.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (8000, 7000)).save(folder / "huge.png")
    names = ["text.png", "empty.png", "start.png", "cut.mp4", "huge.png", "missing.png"]
    return [*(folder / name for name in names), write_sound(folder / "sound.mp4"), folder]


def test_what_cannot_be_opened_is_refused_in_the_same_sentence(tmp_path: Path) -> None:
    for path in bad_files(tmp_path):
        with pytest.raises(UserError) as opening:
            open_media(path, At())
        with pytest.raises(UserError, match=re.escape(str(opening.value))):
            probe(path)
