"""Pictures to open in tests, and what they look like once they are opened, or the sentence that refuses them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.media import open_media
from pipelines.types import Picture, UserError
from tests.media_makers import At

RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 160, 40), (40, 40, 200), (210, 200, 40)
SIDE = 24


def opened(path: Path) -> NDArray[np.uint8]:
    """The pixels of a picture, as a person opens it."""
    picture = open_media(path, At())
    assert isinstance(picture, Picture)
    assert picture.name == path.name
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.flags.c_contiguous
    assert picture.rgb.shape == (picture.height, picture.width, 3)
    return picture.rgb


def refusal(path: Path) -> str:
    """What is said of a picture that is refused: a sentence that names no folder."""
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
    """A colour of each quarter."""
    inset = SIDE // 2
    return [tuple(int(value) for value in rgb[y, x]) for y in (inset, -inset) for x in (inset, -inset)]


def assert_close(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]], tolerance: int) -> None:
    """No value of a colour is further from what it should be than that."""
    assert np.abs(np.array(found, int) - np.array(expected, int)).max() <= tolerance


def png(width: int, height: int, pixels: bytes, depth: int = 8) -> bytes:
    """A PNG of one row filter byte and these bytes, whatever size it claims."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + pixels)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
