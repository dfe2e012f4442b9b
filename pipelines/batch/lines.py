"""A line of a batch's results, and the file that they are written to.

A line is written in one piece behind the last one, and given to the disk before the next. So a file whose writer was
killed holds whole lines and at most one that is cut off, which is taken away before going on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Self, cast

from filelock import lock_descriptor
from typing_extensions import TypedDict

from pipelines.batch.items import Item
from pipelines.present.told import Told
from pipelines.types import Settings, UserError

START = b'{"file": '
"""How each line begins: by it a line that was cut off is told from a file of other content."""

Asked = dict[str, object]
"""The settings of a run by their names."""


class Line(TypedDict):
    """What every line says: what was asked of which model and how, and what went wrong, if anything.

    `bytes` is how large the file was, by which another one of its name is told; None where it was not there.
    """

    file: str
    bytes: int | None
    question: str
    error: str | None
    model: str
    settings: Asked


class Answer(Line, Told):
    """A line with an answer. `marked` holds the paths of the copies on which its places are drawn."""

    marked: list[str]


Key = tuple[str, str]


def asked_of(settings: Settings) -> Asked:
    """The settings as a line holds them."""
    return asdict(settings)


def failed(item: Item, model: str, settings: Settings, sentence: str) -> Line:
    """The line of an item that could not be answered."""
    return {
        "file": item.file,
        "bytes": item.num_bytes,
        "question": item.question,
        "error": sentence,
        "model": model,
        "settings": asked_of(settings),
    }


def why(error: Exception) -> str:
    """The sentence of whatever kept an item from its answer: the others are still to be asked about."""
    if isinstance(error, UserError):
        return str(error)
    return f"The program failed at this file ({type(error).__name__}: {error}): ask about it alone."


def answered(item: Item, settings: Settings, told: Told, marked: list[str]) -> Answer:
    """The line of an answer."""
    line = failed(item, told["model"], settings, "")
    return {**line, "error": None, **told, "marked": marked}


class Results:
    """The file of a batch's results: what is done already, and the place for what is to come.

    It is locked while it is open. Raises UserError where it is in use, holds something else or answers with other
    settings, or cannot be written.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._asked: Asked = json.loads(json.dumps(asked_of(settings)))
        self.done: dict[Key, int | None] = {}
        self.num_errors = 0
        self._models: set[str] = set()
        self._file = self._open()
        try:
            self._cut_off_rest()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what a full disk did not take was told when it was written
            self._file.close()

    def lines(self) -> Iterator[Line]:
        """What is there, in its order. Not while another thread writes."""
        self._file.seek(0)
        try:
            yield from map(_line_of, self._file)
        except (ValueError, KeyError, TypeError) as error:
            raise self._foreign() from error

    def drop_errors(self, items: Sequence[Item]) -> None:
        """Write the file anew without the errors of these items; until it is whole, the old one stays."""
        if not self.num_errors:
            return
        place = self._path.resolve()  # a link stays one
        fresh, again = place.with_name(f"{place.name}.new"), {(item.file, item.question) for item in items}
        try:
            with fresh.open("wb") as file:
                file.writelines(
                    _bytes_of(line)
                    for line in self.lines()
                    if line["error"] is None or (line["file"], line["question"]) not in again
                )
                file.flush()
                os.fsync(file.fileno())
            self._file.close()
            fresh.replace(place)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise self._unwritable() from error
        self._file = self._open()
        self._read()

    def left(self, items: Sequence[Item]) -> list[Item]:
        """The items that are not done. Raises UserError where the answer about one is that about another file."""
        for item in items:
            before, now = self.done.get((item.file, item.question)), item.num_bytes
            if before is not None and now is not None and before != now:
                raise UserError(
                    f'"{self._path.name}" holds the answer about another file "{item.file}": choose another --out, or '
                    "take that line out."
                )
        return [item for item in items if (item.file, item.question) not in self.done]

    def check_model(self, model: str) -> None:
        """Raise UserError where another model answered before."""
        if self._models - {model}:
            raise self._other()

    def append(self, line: Line) -> None:
        """Write a line to the disk."""
        try:
            self._file.write(_bytes_of(line))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable() from error
        self._note(line)

    def _read(self) -> None:
        self.done, self.num_errors, self._models = {}, 0, set()
        for line in self.lines():
            self._note(line)

    def _note(self, line: Line) -> None:
        if line["settings"] != self._asked:
            raise self._other()
        self.done[line["file"], line["question"]] = line.get("bytes") if line["error"] is None else None
        self._models.add(line["model"])
        self.num_errors += line["error"] is not None

    def _open(self) -> BinaryIO:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and not self._path.is_file():
                raise OSError("a device or a pipe keeps no lines to go on from")
            file = self._path.open("a+b")
        except OSError as error:
            raise self._unwritable() from error
        if not lock_descriptor(file.fileno(), blocking=False):
            file.close()
            raise UserError(f'Another batch writes to "{self._path.name}": wait for its end, or choose another --out.')
        return file

    def _cut_off_rest(self) -> None:
        """Take away the line that a kill left unfinished; a rest of any other content is not ours to touch."""
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        last = b""
        for last in self._file:  # noqa: B007
            pass
        if last and not last.endswith(b"\n"):
            if not last.startswith(START[: len(last)]):
                raise self._foreign()
            self._file.truncate(size - len(last))

    def _unwritable(self) -> UserError:
        return UserError(f'"{self._path.name}" cannot be written: check its folder and the free disk space.')

    def _foreign(self) -> UserError:
        name = self._path.name
        return UserError(f'"{name}" holds something else than results of a batch: choose another file with --out.')

    def _other(self) -> UserError:
        return UserError(
            f'"{self._path.name}" holds answers of another model or with other settings: repeat those, or choose '
            "another file with --out."
        )


def _bytes_of(line: Line) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # a file name that is no text
        return json.dumps(line).encode() + b"\n"


def _line_of(text: bytes) -> Line:
    """A line that was written before. Raises ValueError, KeyError or TypeError for anything else."""
    values = json.loads(text)
    strings = ("file", "question", "model", *(["answer"] if values["error"] is None else ["error"]))
    if not all(isinstance(values[key], str) for key in strings):
        raise TypeError("not a line of a batch")
    return cast(Line, values)
