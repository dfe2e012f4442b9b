"""Pictures: every declared format and mode comes out upright, in sRGB, and everything else is refused in a sentence."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipelines.media import Cancelled, open_media
from pipelines.types import Picture, UserError
from tests.media_makers import At

pillow_heif.register_heif_opener()

RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 160, 40), (40, 40, 200), (210, 200, 40)
SIDE = 24
REPOSITORY = Path(__file__).parent.parent


def opened(path: Path) -> NDArray[np.uint8]:
    picture = open_media(path, At())
    assert isinstance(picture, Picture)
    assert picture.name == path.name
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.flags.c_contiguous
    assert picture.rgb.shape == (picture.height, picture.width, 3)
    return picture.rgb


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        opened(path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert str(path.parent) not in message
    return message


def quarters() -> Image.Image:
    """Four colours, 48 wide and 96 high: red, green above blue, yellow."""
    image = Image.new("RGB", (2 * SIDE, 4 * SIDE))
    for number, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        image.paste(
            colour,
            (number % 2 * SIDE, number // 2 * 2 * SIDE, number % 2 * SIDE + SIDE, number // 2 * 2 * SIDE + 2 * SIDE),
        )
    return image


def corners(rgb: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    inset = SIDE // 2
    return [tuple(int(value) for value in rgb[y, x]) for y in (inset, -inset) for x in (inset, -inset)]


def assert_close(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]], tolerance: int) -> None:
    assert np.abs(np.array(found, int) - np.array(expected, int)).max() <= tolerance


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


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
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


@pytest.mark.parametrize(("width", "height"), [(7072, 7072), (13300, 13300), (60000, 60000)])
def test_bombs_are_refused_by_their_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height, b"\0" * 1000))
    start = time.process_time()
    assert refusal(path) == '"bomb.png" has more than 50 megapixels: make it smaller and try again.'
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "avif", "heic", "gif"])
def test_a_picture_cut_off_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for part in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert refusal(path) == f'"photo.{suffix}" is cut off or damaged: export or download it again.'


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "photo.mp4"
    quarters().save(path, format="PNG")
    assert_close(corners(opened(path)), [RED, GREEN, BLUE, YELLOW], 0)


@pytest.mark.parametrize(
    "content",
    [
        b"notes\n" * 100,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"8BPS\x00\x01" + bytes(200),
        b"II*\x00\x08\x00\x00\x00" + bytes(200),
        b"SIMPLE  =                    T",
        b"BLP2" + bytes(200),
        b"\x00\x00\x01\x00\x01\x00" + bytes(200),
        b"RIFF\x00\x00\x00\x00WAVE" + bytes(200),
        b"\x00",
        bytes(1000),
    ],
    ids=["text", "eps", "psd", "tiff", "fits", "blp", "ico", "wav", "byte", "zeros"],
)
def test_other_kinds_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    assert refusal(path) == (
        '"notes.png" is not a picture or clip that can be read: '
        "use JPEG, PNG, WEBP, GIF, BMP, AVIF, HEIC, MP4, MOV, WEBM, MKV or AVI."
    )


SCARCE = """
import resource, sys
from pathlib import Path
from pipelines.media.picture import open_picture
from pipelines.types import UserError
used_kb = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (used_kb * 1024 + 60_000_000,) * 2)
try:
    open_picture(Path(sys.argv[1]))
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it is bounded as Linux bounds it")
def test_a_picture_that_the_memory_does_not_hold(tmp_path: Path) -> None:
    """It was told to be damaged, and to be downloaded again."""
    Image.new("RGB", (5000, 5000), "red").save(tmp_path / "large.png", compress_level=1)
    told = subprocess.run(
        [sys.executable, "-c", SCARCE, str(tmp_path / "large.png")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == '"large.png" takes too much memory to read: make it smaller and try again.\n'


def test_no_file(tmp_path: Path) -> None:
    told = 'There is no file "gone.png" here, or not any more: check its name, or upload it again.'
    assert refusal(tmp_path / "gone.png") == told


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.touch()
    assert refusal(path) == '"x.png" is empty (0 bytes): upload it again.'


def test_folder(tmp_path: Path) -> None:
    path = tmp_path / "album"
    path.mkdir()
    assert refusal(path) == '"album" is not a file: choose a picture or a clip.'
    with pytest.raises(UserError, match=r'^"\." is not a file'):  # it has no name
        opened(Path())


def test_pipe_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    assert "is not a file" in refusal(path)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "loop.png"
    path.symlink_to(path)
    assert refusal(path) == '"loop.png" cannot be read: check that you may open it.'


@pytest.mark.parametrize("name", ["no\0name.png", "x" * 5000])
def test_impossible_names(tmp_path: Path, name: str) -> None:
    assert "cannot be read" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/a.png", "HTTPS://example.org/a.mp4", "file:///etc/hostname", "rtsp://h/a"]
)
def test_addresses_are_refused(address: str) -> None:
    with pytest.raises(UserError, match="give a file, not an address"):
        open_media(Path(address), At())


def test_a_file_too_large(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    with path.open("wb") as file:
        file.truncate(2 * 1024**3 + 1)
    assert refusal(path) == '"long.mp4" is larger than 2 GB: cut it to the part you ask about.'


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


def png(width: int, height: int, pixels: bytes, depth: int = 8) -> bytes:
    """Return a PNG of one row filter byte and these bytes, whatever size it claims."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + pixels)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def linear_profile() -> bytes:
    """Return an ICC profile with sRGB's primaries and linear light."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for number in range(struct.unpack_from(">I", profile, 128)[0]):
        tag, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            profile[offset : offset + size] = struct.pack(">4sIHHi", b"para", 0, 0, 0, 0x10000).ljust(size, b"\0")
    assert ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space == "RGB "
    return bytes(profile)
