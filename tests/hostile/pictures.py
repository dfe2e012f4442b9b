"""Pictures that are made to do harm, or are merely odd."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin
from pillow_heif import register_heif_opener

SIDE = 13_300
OTHER_FORMATS = ("TIFF", "EPS", "ICO", "PPM", "TGA", "PCX", "SGI", "JPEG2000", "DDS", "PDF", "MSP", "IM", "SPIDER")
"""What Pillow reads and this program does not."""
READ = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "F", "I;16", "LA")


def write_pictures(folder: Path) -> list[Path]:
    """Odd pictures of every kind, and hostile ones."""
    made = {**picture_bombs(), **_broken(), **_strange(), **_of_other_formats()}
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in made]


@cache
def png_bomb(side: int = SIDE) -> bytes:
    """A few megabytes that unpack to `side` x `side` px."""
    rows = zlib.compressobj(1)
    line = bytes(1 + side * 3)
    packed = b"".join(rows.compress(line) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    """One piece of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """A picture as the bytes of a file."""
    held = io.BytesIO()
    image.save(held, form, **options)
    return held.getvalue()


def noise(width: int = 96, height: int = 64) -> Image.Image:
    """A picture that does not compress."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@cache
def picture_bombs() -> dict[str, bytes]:
    """Small files that state, or hold, far more than anyone can open."""
    jpeg = bytearray(saved(noise(), "JPEG"))
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", 65_500, 65_500)
    bmp = bytearray(saved(noise(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    gif = bytearray(saved(noise(), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Comment", "a" * 50_000_000, zip=True)
    flashes = [Image.new("L", (8, 8), index % 256) for index in range(2000)]
    return {
        "bomb.png": png_bomb(),
        "bomb.jpg": bytes(jpeg),
        "bomb.bmp": bytes(bmp),
        "bomb.gif": bytes(gif),
        "text-bomb.png": _text_bomb(),
        "flashes.gif": saved(flashes[0], "GIF", save_all=True, append_images=flashes[1:], duration=10),
        "long.png": saved(Image.new("L", (60_000, 2)), "PNG"),
        "high.webp": saved(Image.new("L", (2, 16_000)), "WEBP"),
        "profile-bomb.jpg": saved(noise(), "JPEG", icc_profile=b"\0" * 60_000 * 10),
        "profile-bomb.png": _profile_bomb(),
        "bomb.webp": _sized(saved(noise(), "WEBP"), b"\x9d\x01\x2a", 3, struct.pack("<HH", 16_383, 16_383)),
        "bomb.avif": _sized(saved(noise(), "AVIF"), b"ispe", 8, struct.pack(">II", 60_000, 60_000)),
        "bomb.heic": _sized(_heic(), b"ispe", 8, struct.pack(">II", 60_000, 60_000)),
    }


def _sized(content: bytes, mark: bytes, offset: int, sizes: bytes) -> bytes:
    """The file with other sizes in its header, `offset` bytes behind the start of `mark`."""
    start = content.index(mark) + offset
    return content[:start] + sizes + content[start + len(sizes) :]


def _heic() -> bytes:
    register_heif_opener()
    return saved(noise(), "HEIF")


def _profile_bomb() -> bytes:
    whole = saved(noise(), "PNG")
    return whole[:33] + chunk(b"iCCP", b"colours\0\0" + zlib.compress(bytes(400_000_000), 9)) + whole[33:]


def _text_bomb() -> bytes:
    whole = saved(noise(), "PNG")
    text = b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9)
    return whole[:33] + chunk(b"zTXt", text) * 8 + whole[33:]


def _broken() -> dict[str, bytes]:
    made: dict[str, bytes] = {"empty.png": b"", "spaces.jpg": b" " * 1000, "zeros.png": bytes(10_000)}
    for form in READ:
        whole = saved(noise(), form)
        suffix = form.lower()
        made[f"cut.{suffix}"] = whole[: len(whole) // 2]
        made[f"head.{suffix}"] = whole[:12]
        made[f"tail.{suffix}"] = whole + whole[len(whole) // 2 :]
        made[f"holes.{suffix}"] = whole[: len(whole) // 3] + bytes(64) + whole[len(whole) // 3 + 64 :]
    return made


def _strange() -> dict[str, bytes]:
    picture = noise()
    exif = Image.Exif()
    exif[0x0112] = 200
    made = {
        "dot.png": saved(Image.new("RGB", (1, 1)), "PNG"),
        "exif.jpg": saved(picture, "JPEG", exif=exif),
        "exif-cut.jpg": saved(picture, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "profile.png": saved(picture, "PNG", icc_profile=b"not a profile"),
        "page.png": b"<html><script>alert(1)</script></html>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "archive.png": b"PK\x03\x04" + bytes(100),
        "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "photoshop.png": b"8BPS\0\1" + bytes(100),
        "stars.png": b"SIMPLE  =                    T" + b" " * 3000,
        "game.png": b"BLP2" + bytes(200),
    }
    for mode in MODES:
        for form in READ:
            try:
                made[f"{mode.replace(';', '-')}.{form.lower()}"] = saved(Image.new(mode, (40, 30)), form)
            except (OSError, ValueError, KeyError):
                continue  # not every format holds every kind of pixel
    return made


def _of_other_formats() -> dict[str, bytes]:
    made = {}
    for form in OTHER_FORMATS:
        image = noise().convert("1") if form == "MSP" else noise().convert("F") if form == "SPIDER" else noise()
        made[f"{form.lower()}.png"] = saved(image, form)
    return made
