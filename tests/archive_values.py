"""What the tests of kept conversations begin with."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.archive import Archive
from pipelines.conversation import Draft, Reply, Round

REPLY = Reply("A circle.", "Look.", "stop", 2.0, 40, "asked")


def rounds_about(picture: Path, *questions: str) -> list[Round]:
    return [Round(Draft(question, (picture,)), REPLY) for question in questions]


def opened(archive: Archive, id: str, uploads: Path) -> list[Round]:
    kept = archive.find(id)
    assert kept is not None
    return archive.rounds(kept, uploads)


def media(archive: Archive) -> list[Path]:
    return list(archive.path_of("x").parent.iterdir())


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond some bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
