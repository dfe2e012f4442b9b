"""What goes wrong with a file, as sentences for the person who chose it.

Each function returns the error, for the caller to raise. A sentence names the file by its name and never by its path.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.types import UserError

READABLE = "JPEG, PNG, WEBP, GIF, BMP, AVIF, HEIC, MP4, MOV, WEBM, MKV or AVI"


class Cancelled(Exception):
    """The user stopped the request while a file was being read."""


class Undecoded(UserError):
    """PyAV makes nothing of the content; another reader might."""


def unreadable(name: str) -> UserError:
    """The file is there, and the system does not give its content."""
    return UserError(f'"{name}" cannot be read: check that you may open it.')


def unknown_kind(name: str) -> UserError:
    """The content is neither a picture nor a clip."""
    return UserError(f'"{name}" is not a picture or clip that can be read: use {READABLE}.')


def damaged(name: str) -> Undecoded:
    """The content starts like a picture or a clip, and cannot be decoded."""
    return Undecoded(f'"{name}" is cut off or damaged: export or download it again.')


def unread_encoding(name: str) -> Undecoded:
    """A clip in an encoding that is not on the list."""
    return Undecoded(f'"{name}" is encoded in a way that is not read here: export it as MP4 (H.264).')


def broke_the_reader(name: str) -> UserError:
    """The process that read it has ended."""
    return UserError(f'"{name}" broke its reader, which was replaced: export it again as JPEG, PNG or MP4 (H.264).')


def no_reader() -> UserError:
    """The process that reads files ends as it starts, as where a package is missing."""
    return UserError(
        "Files cannot be read, as the process that reads them does not start: start the program again, and if that "
        "does not help, install requirements.txt again."
    )


def too_slow(name: str) -> UserError:
    """The process that read it was ended: nothing came of it, or it had used up its processor time."""
    return UserError(f'"{name}" takes too long to read: make it shorter or smaller and try again.')


def too_dear(name: str) -> UserError:
    """Reading it takes more memory than one file may."""
    return UserError(f'"{name}" takes too much memory to read: make it smaller and try again.')


def too_large(name: str, max_pixels: int) -> UserError:
    """A picture, or a frame of a clip, holds more pixels than `max_pixels`."""
    return UserError(f'"{name}" has more than {max_pixels // 1_000_000} megapixels: make it smaller and try again.')


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one sentence; decoders raise every kind of exception."""
    try:
        yield
    except (UserError, Cancelled):
        raise
    except MemoryError as error:
        raise too_dear(name) from error
    except Exception as error:
        raise damaged(name) from error
