"""The pictures and clips of the conversations: each once, under the SHA-256 of what it holds.

A file is written under a name of its own and moved into place when it is whole, so that nobody takes half of one for
all of it, however many threads and programs copy it and however they end.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from pipelines.archive.kept import KeptFile, KeptRound, draw_id
from pipelines.conversation import Draft, Round
from pipelines.digests import digest

LOGGER = logging.getLogger(__name__)
LEFT_OVER_S = 3600.0
"""A part that nothing was written to for that long is one whose writer was killed."""
MAX_NAME_BYTES = 200
"""File systems take 255, whatever a letter needs."""


@dataclass(frozen=True)
class Taken:
    """The rounds of a conversation whose files are kept; `restore` copies those again that are not there any more."""

    rounds: tuple[KeptRound, ...]
    restore: Callable[[], None]


class Media:
    """The files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, content: str) -> Path:
        """Where a file of that content lies, if it is here."""
        return self._folder / content

    def take(self, rounds: Sequence[Round], before: Callable[[], Sequence[KeptRound]]) -> Taken:
        """Have the files of a conversation here. Raises OSError.

        An upload that was swept meanwhile is still known from `before`, the same conversation as it was kept last.
        """
        is_whole = all(path.is_file() for past in rounds for path in past.draft.files)
        known = () if is_whole else before()
        sources: dict[str, Path] = {}
        taken = []
        for past, kept in zip_longest(rounds, known[: len(rounds)]):
            files = tuple(self._take(past.draft.files, kept.files if kept else (), sources))
            taken.append(KeptRound(past.draft.question, files, past.reply, past.draft.about))
        return Taken(tuple(taken), lambda: self._restore(sources))

    def bring(self, rounds: Sequence[KeptRound], uploads: Path) -> list[Round]:
        """The rounds with their files put where uploads lie; a file that is gone is left out. Raises OSError."""
        kept = [file for past in rounds for file in past.files]
        here = [number for number, file in enumerate(kept) if self.path_of(file.content).is_file()]
        places = {number: place for place, number in enumerate(here)}
        return [
            Round(
                Draft(
                    past.question,
                    tuple(self._bring(past.files, uploads)),
                    None if past.about is None else places.get(past.about),
                ),
                past.reply,
            )
            for past in rounds
        ]

    def _take(self, paths: Sequence[Path], known: Sequence[KeptFile], sources: dict[str, Path]) -> Iterator[KeptFile]:
        for place, path in enumerate(paths):
            try:
                content = digest(path)
            except FileNotFoundError:
                if place < len(known) and known[place].name == path.name:
                    yield known[place]
                else:
                    LOGGER.warning("a file was gone before its conversation was kept")
                continue
            sources[content] = path
            self._restore({content: path})
            yield KeptFile(path.name, content)

    def _restore(self, sources: Mapping[str, Path]) -> None:
        for content, path in sources.items():
            if path.is_file() and not _is_whole(self.path_of(content), path):
                _copy(path, self.path_of(content))

    def _bring(self, files: Sequence[KeptFile], uploads: Path) -> Iterator[Path]:
        for file in files:
            source, target = self.path_of(file.content), uploads / file.content / _plain_name(file.name)
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                if _is_whole(target, source):
                    os.utime(target)  # uploads are deleted by their age
                else:
                    _copy(source, target)
                yield target

    def delete(self, content: str) -> None:
        """Delete a file, where it is here. Raises OSError."""
        self.path_of(content).unlink(missing_ok=True)

    def clear_parts(self) -> None:
        """Delete what was left by those who were killed while they wrote."""
        for part in self._folder.glob("*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > LEFT_OVER_S:
                    part.unlink()


def _is_whole(copy: Path, source: Path) -> bool:
    return copy.is_file() and copy.stat().st_size == source.stat().st_size


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{draw_id()}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _plain_name(name: str) -> str:
    """A file's name without any folder, and not too long, also where it was written by a stranger."""
    plain = Path(name.replace("\\", "/")).name.lstrip(".").replace("\0", "")
    return plain.encode("utf-8", "replace")[-MAX_NAME_BYTES:].decode("utf-8", "ignore") or "file"
