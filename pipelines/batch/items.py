"""What a batch asks: a question about each picture and clip of a folder, or about each line of a list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from pipelines.disk import resolved
from pipelines.media import is_readable_kind
from pipelines.types import UserError

NAMED_LIKE_MEDIA = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif", ".heic", ".heif"}
    | {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".ts", ".mts"}
)
"""Files of a folder with such names are asked about even where they cannot be read: their lines say why."""
MAX_NAME_BYTES = 200
"""Of the name of a copy: disks take 255, with what tells the item, the frame and the kind of file."""


@dataclass(frozen=True)
class Item:
    """One question about one file. `file` is how the source calls it, with "/" between folders."""

    file: str
    path: Path
    question: str

    @property
    def num_bytes(self) -> int | None:
        """How large the file is; None where it is not there."""
        try:
            return self.path.stat().st_size
        except (OSError, ValueError):
            return None

    @property
    def copy_name(self) -> str:
        """The path of its marked copy below the folder of the copies: no two items share one, and none lies outside.

        A list may have been written on Windows, where a backslash parts folders too.
        """
        parts = (part.strip("\\/") for part in PureWindowsPath(self.file).parts)
        inner = [part for part in parts if part not in ("", "..")]
        folder, slash, name = "/".join(inner).replace(":", "").rpartition("/")
        while len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
            name = name[:-1]
        own = hashlib.sha256(f"{self.file}\n{self.question}".encode("utf-8", "surrogateescape")).hexdigest()[:6]
        return f"{folder}{slash}{name}.{own}"


def find_items(source: Path, question: str | None, apart: Path | None = None) -> list[Item]:
    """The items of a folder, by name, or of a list, in its order; a file with the same question comes once.

    A line of a list is the path of a file, from the folder of the list, and where a tab follows, the question about it.
    What lies in the folder `apart`, inside the source, is passed over. Raises UserError where that is the source or
    around it, and where there is nothing to ask about or no question.
    """
    is_folder = _is_seen(source.is_dir)
    if apart is not None and is_folder and resolved(source).is_relative_to(resolved(apart)):
        raise UserError(
            f'The copies would lie among the files of "{resolved(source).name}": give another folder for them, or one '
            "inside of it."
        )
    found = _of_folder(source, question, apart) if is_folder else _of_list(source, question)
    items = list(dict.fromkeys(found))
    if not items:
        raise UserError(f'There is no picture and no clip in "{source.name}": give a folder or a list of files.')
    if any(not item.question.strip() for item in items):
        raise UserError("There is no question: give one with --question, or behind a tab on each line of the list.")
    return items


def _of_folder(folder: Path, question: str | None, apart: Path | None) -> Iterator[Item]:
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(folder)
        if any(part.startswith(".") for part in file.parts) or not _is_seen(path.is_file):
            continue
        if apart is not None and resolved(path).is_relative_to(resolved(apart)):
            continue
        if path.suffix.lower() in NAMED_LIKE_MEDIA or is_readable_kind(path):
            yield Item(file.as_posix(), path, question or "")


def _is_seen(look: Callable[[], bool]) -> bool:
    """What a look at a path tells; False where a folder is closed to whoever asks."""
    try:
        return look()
    except OSError:
        return False


def _of_list(source: Path, question: str | None) -> Iterator[Item]:
    try:
        lines = source.read_text(encoding="utf-8-sig").split("\n")  # questions may hold what else ends a line
        if any("\0" in line for line in lines):
            raise ValueError("names parted by NUL bytes, as `find -print0` has them")
    except FileNotFoundError:
        raise UserError(f'There is no folder and no list "{source.name}": check its name.') from None
    except (OSError, ValueError):
        raise UserError(
            f'"{source.name}" is not a list of files: give a folder, or a text file with one path on each line.'
        ) from None
    for line in lines:
        file, _, own = line.partition("\t")
        if file.strip():
            yield Item(file.strip(), source.parent / file.strip(), own.strip() or question or "")
