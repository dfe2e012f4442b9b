"""Paths as people write them, and when a disk takes no more: its errors, and files written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryFile

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""No room, too large a file for the disk or the user's limit, the user's share used up."""


def expanded(name: str) -> Path:
    """The path of a name that may begin with `~`, and as it stands where there is no such home."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - that of a Path raises RuntimeError there


def resolved(path: Path) -> Path:
    """Where a path leads; of links that lead in a ring, one of them: that of a Path raises RuntimeError there."""
    return Path(os.path.realpath(path))


def is_full(error: OSError) -> bool:
    """Whether an error means that there is no room left."""
    return error.errno in FULL


def try_folder(folder: Path) -> None:
    """Raise OSError where no file can be made in a folder; none is left there."""
    with TemporaryFile(dir=folder):
        pass


def try_whole(path: Path) -> None:
    """Raise OSError where `write_whole` could not write a file; nothing is made, and what was there stays."""
    place = resolved(path)
    if _is_plain(place):
        try_folder(place.parent)
    elif place.is_dir() or place.is_symlink():
        raise OSError(f"{place} is a folder, or a ring of links")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole, or leave what was there. Of a file's name what is no text is escaped. Raises OSError."""
    place = resolved(path)  # a link stays one
    is_plain = _is_plain(place)
    fresh = place.with_name(f"{place.name}.new") if is_plain else place
    try:
        fresh.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        if is_plain:
            fresh.replace(place)
    except BaseException:  # also where it is interrupted
        if is_plain:
            fresh.unlink(missing_ok=True)
        raise


def _is_plain(place: Path) -> bool:
    """Whether a file is or may come to lie there: it is no folder, device, pipe or ring of links."""
    return place.is_file() or not os.path.lexists(place)
