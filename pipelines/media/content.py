"""What a file is, by its first bytes: its name says nothing."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from pipelines.media.errors import unknown_kind, unreadable
from pipelines.media.limits import MAX_FILE_BYTES
from pipelines.types import UserError

PICTURE = "picture"
"""The kind of a still. The other kinds are names of demuxers."""

_HEAD_BYTES = 400
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_STARTS = {
    b"\xff\xd8\xff": PICTURE,
    b"\x89PNG\r\n\x1a\n": PICTURE,
    b"BM": PICTURE,
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"\x1a\x45\xdf\xa3": "matroska",
}
_RIFF = {b"WEBP": PICTURE, b"AVI ": "avi"}
_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_MOVIE_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_TRANSPORT_SYNC = 0x47
_TRANSPORT_LAYOUTS = ((0, 188), (4, 192))


def kind_of(path: Path) -> str:
    """Return `PICTURE` or the name of the demuxer that reads the clip: "mov", "matroska", "avi", "mpegts" or "gif".

    Raises UserError for an address, for what is missing, empty, too large, unreadable or not a file, and for content
    that is none of these.
    """
    name = path.name or str(path)  # "." and "/" have no name
    if _ADDRESS.match(str(path)):
        raise UserError("That is an address: give a file, not an address.")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f'"{name}" is not a file: choose a picture or a clip.')
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise UserError(
            f'There is no file "{name}" here, or not any more: check its name, or upload it again.'
        ) from None
    except (OSError, ValueError):
        raise unreadable(name) from None
    if not status.st_size:
        raise UserError(f'"{name}" is empty (0 bytes): upload it again.')
    if status.st_size > MAX_FILE_BYTES:
        raise UserError(f'"{name}" is larger than {MAX_FILE_BYTES // 1024**3} GB: cut it to the part you ask about.')
    kind = kind_of_bytes(head)
    if kind is None:
        raise unknown_kind(name)
    return kind


def is_readable_kind(path: Path) -> bool:
    """Whether a file begins like a picture or a clip. False for what cannot be read at all."""
    try:
        kind_of(path)
    except UserError:
        return False
    return True


def kind_of_bytes(head: bytes) -> str | None:
    """As `kind_of`, for the first bytes of a file; None where they are of no known kind."""
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] in _MOVIE_BOXES:
        return PICTURE if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS else "mov"
    for first, size in _TRANSPORT_LAYOUTS:
        marks = head[first::size]
        if len(marks) > 1 and set(marks) == {_TRANSPORT_SYNC}:
            return "mpegts"
    return None
