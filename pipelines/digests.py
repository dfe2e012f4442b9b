"""What a file holds, as its SHA-256: taken once, and again where its size or its times of change are others.

Whoever opens a file and whoever keeps it ask for the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipelines.cache import Cache

MAX_DIGESTS = 4096
CHUNK_BYTES = 4 * 1024**2

Identity = tuple[str, int, int, int, int]

DIGESTS: Cache[Identity, str] = Cache(MAX_DIGESTS, lambda _: 1)


def digest(path: Path, between: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file's content. Raises OSError, and what `between` raises, which is called before each piece."""
    return DIGESTS.get(identity(path), partial(_digest, path, between))


def identity(path: Path) -> Identity:
    """What changes where a file does. Raises OSError."""
    status = path.stat()
    return str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(path: Path, between: Callable[[], None]) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            between()
            sha.update(chunk)
    return sha.hexdigest()
