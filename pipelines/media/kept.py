"""Opening a file once: what was opened before, whatever it was called then, is given again without decoding it.

A conversation asks about the same files at every turn. Files are told apart by a digest of their content, which is not
taken again while a file's size and times of change stay the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.cache import Cache
from pipelines.media.content import kind_of
from pipelines.media.errors import Cancelled, unreadable
from pipelines.media.guarded import open_guarded, probe_guarded
from pipelines.media.look import Look
from pipelines.types import ClipReader, Media, Probe

MAX_OPENED_BYTES = 256 * 1024**2
MAX_DIGESTS = 4096
MAX_PROBED_TIMES = 200_000
"""Of the frames of all clips that were probed."""
CHUNK_BYTES = 4 * 1024**2

Identity = tuple[str, int, int, int, int]

OPENED: Cache[tuple[str, Look, ClipReader], Media] = Cache(MAX_OPENED_BYTES, lambda item: item.rgb.nbytes)
DIGESTS: Cache[Identity, str] = Cache(MAX_DIGESTS, lambda _: 1)
PROBED: Cache[Identity, Probe] = Cache(MAX_PROBED_TIMES, lambda probe: 1 + len(getattr(probe, "times_s", ())))


def open_once(
    path: Path,
    look: Look,
    clip_reader: ClipReader = "pyav",
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Media:
    """As `open_guarded`, with `content` set; the pixels are shared by all who open the same content."""
    kind_of(path)  # tells what is wrong with a file that cannot be read at all
    content = digest(path, should_stop or (lambda: False))
    opening = partial(open_guarded, path, look, clip_reader, on_progress, should_stop)
    item = OPENED.get((content, look, clip_reader), opening)
    return replace(item, name=path.name, content=content)


def probe_once(path: Path) -> Probe:
    """As `probe_guarded`; a file that did not change since is not looked at again."""
    kind_of(path)
    try:
        return PROBED.get(_identity(path), partial(probe_guarded, path))
    except OSError:
        raise unreadable(path.name) from None


def digest(path: Path, should_stop: Callable[[], bool]) -> str:
    """SHA-256 of a file's content. Raises Cancelled when `should_stop` says so."""
    try:
        return DIGESTS.get(_identity(path), partial(_digest, path, should_stop))
    except OSError:
        raise unreadable(path.name) from None


def _identity(path: Path) -> Identity:
    """What changes where a file does. Raises OSError."""
    status = path.stat()
    return str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(path: Path, should_stop: Callable[[], bool]) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if should_stop():
                raise Cancelled
            sha.update(chunk)
    return sha.hexdigest()
