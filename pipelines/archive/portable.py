"""A conversation as one file that can be carried elsewhere: a ZIP of `conversation.json` and its pictures and clips.

The file that is imported comes from anyone: its size is checked before anything is unpacked, no name in it is used as
a path, and a file whose content is not what it is said to be is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

from pipelines.archive.kept import Kept, draw_id
from pipelines.archive.store import Archive
from pipelines.disk import is_full
from pipelines.types import UserError
from pipelines.values import Values

DESCRIPTION = "conversation.json"
MAX_DESCRIPTION_BYTES = 32 * 1024**2
MAX_VALUES = 10**6
"""Of a description: some thousand questions, each about a clip of which the model saw all frames that it can."""
PIECE_BYTES = 1024**2
MAX_BYTES = 1024**3
MAX_ENTRIES = 10_000
"""What is exported can be imported, so these are the limits of both."""
MAX_AT_ONCE_BYTES = 4 * 1024**2
"""The list of an export's entries is far shorter; that of a hostile file takes minutes to read."""
BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError,
    RuntimeError,  # an entry with a password; what is nested too deep
)  # fmt: skip
"""What reading a file of a stranger raises."""
NOT_OURS = "This is not an exported conversation: choose a .zip file that Glassbox exported."


def export(archive: Archive, id: str, folder: Path) -> Path | None:
    """Write a conversation into a ZIP in a new folder in `folder`; None where there is no such conversation.

    Raises UserError where it cannot be read or is too large, or the disk has no room.
    """
    kept = archive.find(id)
    if kept is None:
        return None
    own = folder / draw_id()  # another one of the same title may be exported at the same time
    target = own / f"{_file_name(kept.title)}.zip"
    try:
        _write(archive, kept, target)
    except OSError as error:
        shutil.rmtree(own, ignore_errors=True)
        raise UserError("The conversation could not be exported: see whether the disk is full.") from error
    return target


def _write(archive: Archive, kept: Kept, target: Path) -> None:
    text = json.dumps(replace(kept, cut_off=None).as_json(), ensure_ascii=False, indent=2).encode()
    places = (archive.path_of(content) for content in sorted(kept.contents))
    sources = [place for place in places if place.is_file()]
    _refuse_too_large([len(text), *(source.stat().st_size for source in sources)])
    target.parent.mkdir(parents=True)
    # whatever made a file may have dated it before ZIPs begin, in 1980
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as bundle:
        bundle.writestr(DESCRIPTION, text, zipfile.ZIP_DEFLATED)
        for source in sources:  # media are compressed already
            bundle.write(source, f"media/{source.name}")


class Sparing(io.BufferedReader):
    """A file that gives only so much at once: the list of a ZIP's entries is read whole before any can be counted."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file does. Raises BadZipFile where more is asked for at once."""
        if size is not None and size > MAX_AT_ONCE_BYTES:
            raise zipfile.BadZipFile("too much to read at once")
        return super().read(size)


def import_file(archive: Archive, path: Path) -> str:
    """Keep the conversation of a ZIP as a new one, and return its id. Raises UserError for what is not such a file."""
    try:
        with Sparing(io.FileIO(path)) as file, zipfile.ZipFile(file) as bundle:
            # no more is unpacked of an entry than it is said to hold
            _refuse_too_large([entry.file_size for entry in bundle.infolist()])
            _refuse_other_packing(bundle)
            kept, id = replace(Kept.of_json(json.loads(_description(bundle))), cut_off=None), draw_id()

            def unpack() -> None:
                for content in kept.contents:
                    _unpack(bundle, content, archive.path_of(content))

            with archive.sparing(kept):
                unpack()
                archive.add(id, kept, unpack)
    except BROKEN as error:
        if isinstance(error, OSError) and is_full(error):
            raise UserError("The conversation could not be imported: the disk is full.") from error
        raise UserError(NOT_OURS) from error
    return id


def _refuse_too_large(sizes_bytes: list[int]) -> None:
    if len(sizes_bytes) > MAX_ENTRIES or sum(sizes_bytes) > MAX_BYTES:
        raise UserError("This conversation is too large: at most 1 GB and 10,000 files can be exported or imported.")


def _refuse_other_packing(bundle: zipfile.ZipFile) -> None:
    """An export has these two alone. LZMA takes as much memory as its own head asks for, and has its own errors."""
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in bundle.infolist()):
        raise UserError(NOT_OURS)


def _description(bundle: zipfile.ZipFile) -> str:
    text, values = bytearray(), Values()
    with bundle.open(DESCRIPTION) as file:
        while piece := file.read(PIECE_BYTES):
            text += piece
            values.feed(piece)
            if len(text) > MAX_DESCRIPTION_BYTES or values.number > MAX_VALUES:
                raise UserError(NOT_OURS)
    return text.decode()


def _unpack(bundle: zipfile.ZipFile, content: str, place: Path) -> None:
    """Unpack a file to its place; one that was lost before the export stays lost."""
    if place.exists() or (entry := bundle.NameToInfo.get(f"media/{content}")) is None:
        return
    part = place.with_name(f"{draw_id()}.part")
    try:
        with bundle.open(entry) as source, part.open("w+b") as target:
            shutil.copyfileobj(source, target)
            target.seek(0)
            digest = hashlib.file_digest(target, "sha256")
        if digest.hexdigest() != content:
            raise UserError(NOT_OURS)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _file_name(title: str) -> str:
    kept = "".join(character if character.isalnum() else "-" for character in title.lower())
    return "-".join(filter(None, kept.split("-")))[:60] or "conversation"
