"""What a person typed and added, between the composer of the page and the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from pipelines.archive.kept import plain
from pipelines.conversation import Draft
from pipelines.types import UserError

NOT_UPLOADED = "Only files that were uploaded here can be read: add the picture or the clip itself."


class Composed(TypedDict):
    """What the composer holds: text, and the paths of uploads."""

    text: str
    files: list[str]


def composed(draft: Draft) -> Composed:
    """A draft as the composer holds it."""
    return {"text": draft.question, "files": [str(path) for path in draft.files]}


def draft_of(message: Mapping[str, object] | None, uploads: Path) -> Draft:
    """What a client sent, its text such as can be shown and kept.

    Raises UserError for a file that was not uploaded to this server, as any URL is.
    """
    text = (message or {}).get("text") or ""
    names = (message or {}).get("files") or []
    return Draft(plain(str(text)), uploaded(names if isinstance(names, Sequence) else (), uploads))


def remembered_draft(question: str, names: Sequence[str], uploads: Path) -> Draft:
    """The draft that a browser remembers, with those of its files that are still here."""
    try:
        files = uploaded(names, uploads)
    except UserError:
        files = ()
    return Draft(plain(question), tuple(path for path in files if path.is_file()))


def uploaded(names: Sequence[object], uploads: Path) -> tuple[Path, ...]:
    """The files that a client names. Raises UserError for one that was not uploaded to this server, as any URL is."""
    files = tuple(Path(str(name)) for name in names)
    try:
        is_here = all(_lies_in(uploads, path) for path in files)
    except (OSError, ValueError):  # no path at all, by its length or its characters
        is_here = False
    if not is_here:
        raise UserError(NOT_UPLOADED)
    return files


def _lies_in(folder: Path, path: Path) -> bool:
    """Whether a path leads into a folder. Raises OSError or ValueError for what is no path at all."""
    with suppress(FileNotFoundError):
        path.lstat()  # from Python 3.13 on, `resolve` takes a name of any length
    return path.resolve().is_relative_to(folder.resolve())
