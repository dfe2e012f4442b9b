"""Opening a file once: what was opened before, whatever it was called then, is given again without decoding it.

A conversation asks about the same files at every turn. Files are told apart by a digest of their content, which is not
taken again while a file's size and times of change stay the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.cache import Cache
from pipelines.digests import Identity, digest, identity
from pipelines.media.content import kind_of
from pipelines.media.errors import Cancelled, unreadable
from pipelines.media.guarded import open_guarded, probe_guarded
from pipelines.media.look import Look
from pipelines.types import ClipReader, Media, Probe

MAX_OPENED_BYTES = 256 * 1024**2
MAX_PROBED_TIMES = 200_000
"""Of the frames of all clips that were probed."""

OPENED: Cache[tuple[str, Look, ClipReader], Media] = Cache(MAX_OPENED_BYTES, lambda item: item.rgb.nbytes)
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
    content = _content(path, should_stop)
    opening = partial(open_guarded, path, look, clip_reader, on_progress, should_stop)
    item = OPENED.get((content, look, clip_reader), opening)
    return replace(item, name=path.name, content=content)


def probe_once(path: Path) -> Probe:
    """As `probe_guarded`; a file that did not change since is not looked at again."""
    kind_of(path)
    try:
        return PROBED.get(identity(path), partial(probe_guarded, path))
    except OSError:
        raise unreadable(path.name) from None


def _content(path: Path, should_stop: Callable[[], bool] | None) -> str:
    """The digest of a file's content. Raises Cancelled when `should_stop` says so."""

    def look() -> None:
        if should_stop is not None and should_stop():
            raise Cancelled

    try:
        return digest(path, look)
    except OSError:
        raise unreadable(path.name) from None
