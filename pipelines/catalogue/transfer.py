"""A large file over HTTP, which goes on where it stopped: what came stays beside its place until it is whole.

It has one writer at a time, of all programs on this machine: whoever wants it meanwhile waits, and goes on from there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag

from filelock import FileLock, Timeout

from pipelines.disk import is_full
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
MAX_TRIES = 4
"""In a row that brought nothing."""
REFUSED = (401, 403, 404)
"""Statuses that asking again changes nothing of."""
NO_MORE = 416
"""The status of a server that has nothing of a file from there on."""
WAIT_S = 0.5
SILENCE_S = 30.0
FOR_ALL = 0o664
"""The mode of a lock: a cache may be shared by the users of a group."""


class Stopped(Exception):
    """The download was stopped; what came is kept."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at the hub: where it is, what to ask with, its bytes and its SHA-256 in hexadecimal."""

    name: str
    url: str
    headers: dict[str, str]
    size: int
    sha256: str

    def part(self, place: Path) -> Path:
        """Where it grows, before it is at its place."""
        return place.with_name(f"{self.sha256}.glassbox-part")


def fetch(file: RemoteFile, place: Path, tell: Callable[[int], None], stop: Flag) -> None:
    """Bring a file to `place`, from what of it is there already; `tell` hears the bytes that are there.

    Raises Stopped once `stop` is set, UserError where the connection or the disk fails, or the file is not what it
    should be; that one is removed, the others go on the next time; and what the hub's library raises for a refusal.
    """
    part = file.part(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    with telling_of_disk(file.name), _alone(file, part, tell, stop):
        if not place.exists():  # whoever was before may have brought it
            _grow(file, part, tell, stop)
            part.replace(place)


def _grow(file: RemoteFile, part: Path, tell: Callable[[int], None], stop: Flag) -> None:
    num_tries, before = 0, _size(part)
    while before < file.size and _take(file, part, tell, stop):
        num_tries, before = num_tries + 1 if _size(part) == before else 0, _size(part)
        if num_tries >= MAX_TRIES:
            raise UserError(
                f"The connection broke at {before / 1e9:.2f} of {file.size / 1e9:.2f} GB of {file.name}: what "
                "came is kept, so try again and it goes on from there."
            )
        if stop.wait(WAIT_S * num_tries):
            raise Stopped
    if _size(part) != file.size or sha256_of(part) != file.sha256:
        part.unlink()
        raise UserError(f"{file.name} arrived damaged, and was removed: download it again.")


@contextmanager
def _alone(file: RemoteFile, part: Path, tell: Callable[[int], None], stop: Flag) -> Iterator[None]:
    """Nobody else writes to the part meanwhile; until that is so, `tell` hears how far the other is."""
    lock, is_told = FileLock(f"{part}.lock", mode=FOR_ALL), False
    while not lock.is_locked:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if not is_told:
                LOGGER.warning("another download brings %s: waiting for its end", file.name)
            is_told = True
            tell(_size(part))
            if stop.wait(WAIT_S):
                raise Stopped from None
    try:
        yield
    finally:
        lock.release()


def _take(file: RemoteFile, part: Path, tell: Callable[[int], None], stop: Flag) -> bool:
    """Take what comes, up to the end of the file or of the connection, whatever ends that; whether more may come."""
    from httpx2 import RequestError
    from huggingface_hub import get_session
    from huggingface_hub.utils._http import hf_raise_for_status

    begun = _size(part)
    asked = {**file.headers, "Accept-Encoding": "identity", **({"Range": f"bytes={begun}-"} if begun else {})}
    with (
        suppress(RequestError),
        get_session().stream("GET", file.url, headers=asked, timeout=SILENCE_S, follow_redirects=True) as reply,
    ):
        if reply.status_code in REFUSED:
            hf_raise_for_status(reply)
        if reply.status_code not in (200, 206):
            return reply.status_code != NO_MORE
        with part.open("ab" if reply.status_code == 206 else "wb") as out:
            for chunk in reply.iter_raw():
                out.write(chunk)
                tell(out.tell())
                if stop.is_set():
                    raise Stopped
                if out.tell() > file.size:  # it is not what it should be, and may have no end
                    return False
    return True


@contextmanager
def telling_of_disk(name: str) -> Iterator[None]:
    """What a disk refuses, as a sentence."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise UserError(
                f"The disk is full, and {name} is not whole: make room, or set HF_HOME to a larger disk. What came is "
                "kept, so try again and it goes on from there."
            ) from error
        raise


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def sha256_of(path: Path) -> str:
    """Of what a file holds, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
