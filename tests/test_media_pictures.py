"""Pictures: every declared format and mode comes out upright and in sRGB."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from pipelines.media import Cancelled, open_media
from tests.media_makers import At
from tests.opened_pictures import BLUE, GREEN, RED, YELLOW, assert_close, corners, opened, png, quarters

pillow_heif.register_heif_opener()

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("suffix", "tolerance", "options"),
    [
        ("jpg", 12, {"quality": 95, "subsampling": 0}),
        ("jpg", 12, {"quality": 95, "progressive": True}),
        ("png", 0, {}),
        ("webp", 0, {"lossless": True}),
        ("webp", 12, {"quality": 95}),
        ("gif", 0, {}),
        ("bmp", 0, {}),
        ("avif", 14, {"quality": 90}),
        ("heic", 14, {"quality": 90}),
    ],
)
def test_formats(tmp_path: Path, suffix: str, tolerance: int, options: dict[str, Any]) -> None:
    path = tmp_path / f"picture.{suffix}"
    quarters().save(path, **options)
    rgb = opened(path)
    assert rgb.shape == (96, 48, 3)
    assert_close(corners(rgb), [RED, GREEN, BLUE, YELLOW], tolerance)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("1", "png"), ("L", "png"), ("P", "png"), ("P", "bmp"), ("L", "jpg"), ("CMYK", "jpg")]
)
def test_modes(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    image = quarters().convert(mode)
    image.save(path)
    assert_close(corners(opened(path)), corners(np.array(image.convert("RGB"))), 12)


def test_jpeg_with_a_second_picture_inside(tmp_path: Path) -> None:
    """Phones append a preview or a depth map; the main picture is the first."""
    path = tmp_path / "picture.jpg"
    quarters().save(path, format="MPO", save_all=True, append_images=[Image.new("RGB", (48, 96), "white")], quality=95)
    assert_close(corners(opened(path)), [RED, GREEN, BLUE, YELLOW], 12)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_first_frame_of_an_animation(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    quarters().save(path, save_all=True, append_images=[Image.new("RGB", (48, 96), "white")], **options)
    assert_close(corners(opened(path)), [RED, GREEN, BLUE, YELLOW], 0)


def test_grey_of_16_bits_keeps_its_range(tmp_path: Path) -> None:
    """Pillow clips such pixels at 255, which makes nearly all of them white."""
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    path = tmp_path / "scan.png"
    Image.fromarray(np.tile(ramp, (8, 1))).save(path)
    rgb = opened(path)
    assert np.abs(rgb[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert (rgb == rgb[..., :1]).all()


def test_colour_of_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(png(1, 1, struct.pack(">3H", 0xFFFF, 0x8000, 0x0000), depth=16))
    assert opened(path)[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize(
    ("pixel", "mode", "expected"),
    [
        ((255, 0, 0, 0), "RGBA", (255, 255, 255)),
        ((255, 0, 0, 255), "RGBA", (255, 0, 0)),
        ((255, 0, 0, 128), "RGBA", (255, 127, 127)),
        ((0, 128), "LA", (127, 127, 127)),
    ],
)
def test_transparency_is_over_white(
    tmp_path: Path, pixel: tuple[int, ...], mode: str, expected: tuple[int, int, int]
) -> None:
    path = tmp_path / "logo.png"
    Image.new(mode, (4, 4), pixel).save(path)
    assert_close(opened(path)[0], [expected] * 4, 1)


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_a_transparent_colour_is_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "logo.png"
    colour = (0, 0, 0) if mode == "RGB" else 0
    Image.new(mode, (4, 4), colour).save(path, transparency=colour)
    assert (opened(path) == 255).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "heic"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(tmp_path: Path, orientation: int, suffix: str) -> None:
    """A picture stored in any of the eight ways comes out as the same upright one."""
    to_stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters()
    if orientation in to_stored:
        stored = stored.transpose(to_stored[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    stored.save(path, exif=exif.tobytes(), quality=95)
    rgb = opened(path)
    assert rgb.shape == (96, 48, 3)
    assert_close(corners(rgb), [RED, GREEN, BLUE, YELLOW], 14)


def test_broken_metadata_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    quarters().save(path, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff broken", icc_profile=b"no profile", quality=95)
    assert_close(corners(opened(path)), [RED, GREEN, BLUE, YELLOW], 12)


def test_embedded_profile_is_applied(tmp_path: Path) -> None:
    """Grey 128 in linear light is 188 in sRGB; without the profile it would stay 128."""
    path = tmp_path / "linear.png"
    Image.new("RGB", (8, 8), (128, 128, 128)).save(path, icc_profile=linear_profile())
    assert_close(opened(path)[0], [(188, 188, 188)] * 8, 2)


def test_profile_of_another_kind_of_pixels_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("L", (8, 8), 128).save(path, icc_profile=linear_profile())
    assert (opened(path) == 128).all()


def test_srgb_profile_changes_nothing_seen(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "photo.png"
    quarters().save(path, icc_profile=profile)
    assert_close(corners(opened(path)), [RED, GREEN, BLUE, YELLOW], 1)


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "photo.mp4"
    quarters().save(path, format="PNG")
    assert_close(corners(opened(path)), [RED, GREEN, BLUE, YELLOW], 0)


def test_import_is_light() -> None:
    heavy = "('torch', 'transformers', 'gradio', 'av', 'PIL', 'decord')"
    code = f"import sys, pipelines.media; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"


def test_stop_before_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    quarters().save(path)
    with pytest.raises(Cancelled):
        open_media(path, At(), should_stop=lambda: True)


def linear_profile() -> bytes:
    """Return an ICC profile with sRGB's primaries and linear light."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for number in range(struct.unpack_from(">I", profile, 128)[0]):
        tag, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            profile[offset : offset + size] = struct.pack(">4sIHHi", b"para", 0, 0, 0, 0x10000).ljust(size, b"\0")
    assert ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space == "RGB "
    return bytes(profile)
