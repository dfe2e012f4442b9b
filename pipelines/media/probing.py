"""What a file holds, told by its header and its packets: nothing is decoded but the first frame of a clip.

That frame says which way is up, which no packet does. Whatever is wrong with the file is the `UserError` that opening
it would give, as far as it shows without decoding.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from pipelines.media.errors import damaged, decoding, too_large
from pipelines.media.limits import MAX_PICTURE_PIXELS
from pipelines.media.picture import AXES, ORIENTATION, holds_more, opened
from pipelines.media.pyav_reader import axes_of
from pipelines.media.source import open_source
from pipelines.media.timeline import read_timeline
from pipelines.types import ProbedClip, ProbedPicture

Axes = tuple[int, int, int, int]
CHUNK = struct.Struct(">I4s")
PNG_SIGNATURE_BYTES, CHECKSUM_BYTES = 8, 4
MAX_CHUNKS = 200_000
"""Chunks of one PNG that are gone over: most hold some KB of the pixels, so that no usual file has more."""
MAX_EXIF_BYTES = 1024**2


def probe_picture(path: Path) -> ProbedPicture:
    """The size of a picture by its header, and of a PNG by what stands behind its pixels too."""
    with decoding(path.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with opened(path) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise too_large(path.name, MAX_PICTURE_PIXELS)
            size = _shown(image.width, image.height, _axes(image, path))
            return ProbedPicture(path.name, *size, is_animated=holds_more(image))


def probe_clip(path: Path, demuxer: str, should_stop: Callable[[], bool]) -> ProbedClip:
    """The size of a clip by its first frame, and its frames by their packets."""
    opener = partial(open_source, path, demuxer, should_stop)
    timeline = read_timeline(opener, path.name)
    with opener() as source:
        frame = next(source.frames(), None)
    if frame is None or not timeline.stamps:
        raise damaged(path.name)
    width, height = _shown(frame.width, frame.height, axes_of(frame))
    return ProbedClip(path.name, width, height, timeline.times_s, timeline.duration_s)


def _axes(image: Image.Image, path: Path) -> Axes | None:
    try:
        # what Pillow makes of it for PNG decodes the picture to look behind it
        if image.format == "PNG" and "exif" not in image.info and (late := late_exif(path)):
            image.info["exif"] = b"Exif\0\0" + late
        return AXES.get(Image.Image.getexif(image).get(ORIENTATION, 1))
    except Exception:
        return None


def late_exif(path: Path) -> bytes:
    """The eXIf chunk of a PNG, which may lie behind the pixels: found by the lengths of the chunks before it."""
    with path.open("rb") as file:
        file.seek(PNG_SIGNATURE_BYTES)
        for _ in range(MAX_CHUNKS):
            head = file.read(CHUNK.size)
            if len(head) < CHUNK.size:
                break
            length, kind = CHUNK.unpack(head)
            if kind == b"eXIf":
                return file.read(min(length, MAX_EXIF_BYTES))
            if kind in (b"IEND", b"fdAT"):  # the end, or the second frame of an animation
                break
            file.seek(length + CHECKSUM_BYTES, os.SEEK_CUR)
    return b""


def _shown(width: int, height: int, axes: Axes | None) -> tuple[int, int]:
    """Width and height once turned."""
    return (height, width) if axes is not None and abs(axes[0]) < abs(axes[1]) else (width, height)
