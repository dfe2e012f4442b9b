"""The archive: a folder with a SQLite database and the files of the conversations, told by their content.

Nothing is ever deleted that a person did not delete or take back. A database that is damaged, at the start or later, is
renamed and a fresh one begun; one that another program holds at the start is left where it is, and a fresh one begun
beside it. `notice` tells of either. Every method raises UserError where the database cannot be had.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from platformdirs import user_data_path

from pipelines.archive.kept import Kept, KeptFile, KeptRound, Listed, draw_id, title_of
from pipelines.conversation import Draft, Round
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
DATABASE = "conversations.sqlite3"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
BUSY_TIMEOUT_S = 3.0
FAILED = "a conversation could not be kept or read"
NOT_REACHED = "Conversations could not be kept or read just now: see whether the disk is full."
IN_USE = "The kept conversations are in use by another program: end it, or try again in a moment."
GONE = "The file of the conversations was gone from its folder: a fresh one was begun."
SCHEMA = """
CREATE TABLE IF NOT EXISTS conversation (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, updated_s REAL NOT NULL, num_rounds INTEGER NOT NULL,
    words TEXT NOT NULL, body TEXT NOT NULL
)
"""
"""`body` is the conversation as JSON, and `words` what is searched: title, questions and answers in small letters."""


def data_folder(chosen: str | None, host: str) -> Path | None:
    """Where conversations are kept: as it was chosen, else the user's own place, but for nobody on a public host."""
    if chosen is not None:
        return None if chosen == "none" else Path(chosen).expanduser()
    return user_data_path("glassbox", appauthor=False) if host in LOCAL_HOSTS else None


class RenewedError(UserError):
    """The database was damaged and has been set aside, and a fresh one begun: what was to be done can be done anew."""


class Archive:
    """Conversations in a folder; without a folder, nothing is kept."""

    def __init__(self, folder: Path | None = None, now_s: Callable[[], float] = time.time) -> None:
        self._folder: Path | None = None
        self._database = Path()
        self._mending = threading.Lock()
        self._now_s = now_s
        self.notice = ""
        if folder is not None:
            self.open(folder)

    @property
    def folder(self) -> Path | None:
        """Where it all lies; None where nothing is kept."""
        return self._folder

    @property
    def is_on(self) -> bool:
        """Whether conversations are kept."""
        return self._folder is not None

    def open(self, folder: Path) -> None:
        """Keep conversations in `folder`, which is made where it is not there. Raises UserError where it cannot be."""
        try:
            (folder / "media").mkdir(parents=True, exist_ok=True)
            self._database, self.notice = folder / DATABASE, ""
            try:
                self._check()
            except sqlite3.DatabaseError as error:
                self._set_aside(error)
                self._check()
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f'Conversations cannot be kept in "{folder}": choose another folder with --data, or --data none.'
            ) from error
        self._folder = folder

    def save(self, id: str, rounds: Sequence[Round], system: str = "") -> None:
        """Keep a conversation as it is now, with its system prompt, under its title where it has one.

        Of one that is empty nothing is kept any more. Raises UserError where that fails.
        """
        if self._folder is None:
            return
        if not rounds:
            self.delete(id)
            return
        try:
            kept = tuple(
                KeptRound(past.draft.question, tuple(map(self._take, past.draft.files)), past.reply, past.draft.about)
                for past in rounds
            )
        except OSError as error:
            LOGGER.exception(FAILED)
            raise UserError(NOT_REACHED) from error
        whole = Kept(title_of(rounds[0].draft.question), kept, system)
        try:
            self._keep(id, whole)
        except RenewedError:
            self._keep(id, whole)
            raise

    def _keep(self, id: str, kept: Kept) -> None:
        with self._connected() as connection:
            row = connection.execute("SELECT title FROM conversation WHERE id = ?", (id,)).fetchone()
            self._write(connection, id, replace(kept, title=row[0]) if row else kept)

    def add(self, id: str, kept: Kept) -> None:
        """Keep a conversation whose files are here already."""
        with self._connected() as connection:
            self._write(connection, id, kept)

    def listed(self, search: str = "", limit: int = 200) -> list[Listed]:
        """The conversations that hold every word of `search`, the newest first."""
        words = [word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in search.lower().split()]
        where = " AND ".join(["words LIKE ? ESCAPE '\\'"] * len(words)) or "1"
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT id, title, updated_s, num_rounds FROM conversation WHERE {where}"
                " ORDER BY updated_s DESC LIMIT ?",
                (*(f"%{word}%" for word in words), limit),
            )
            return [Listed(*row) for row in rows]

    def find(self, id: str) -> Kept | None:
        """A conversation by its id; None where there is none, or what is kept of it is damaged."""
        with self._connected() as connection:
            row = connection.execute("SELECT title, body FROM conversation WHERE id = ?", (id,)).fetchone()
        try:
            return Kept.of_json({**json.loads(row[1]), "title": row[0]}) if row else None
        except (ValueError, TypeError):
            LOGGER.exception("a kept conversation cannot be read")
            return None

    def rounds(self, kept: Kept, uploads: Path) -> list[Round]:
        """The rounds of a conversation with its files put where uploads lie; a file that is gone is left out."""
        try:
            return [
                Round(Draft(past.question, tuple(self._bring(past.files, uploads)), past.about), past.reply)
                for past in kept.rounds
            ]
        except OSError as error:
            LOGGER.exception(FAILED)
            raise UserError(NOT_REACHED) from error

    def rename(self, id: str, title: str) -> None:
        """Give a conversation another title."""
        kept = self.find(id)
        if kept is not None and title.strip():
            with self._connected() as connection:
                self._write(connection, id, replace(kept, title=title_of(title)), is_touched=False)

    def delete(self, id: str) -> None:
        """Delete a conversation, and those of its files that no other one has."""
        with self._connected() as connection:
            row = connection.execute("SELECT body FROM conversation WHERE id = ?", (id,)).fetchone()
            connection.execute("DELETE FROM conversation WHERE id = ?", (id,))
            for content in _contents(row[0]) if row else ():
                if not connection.execute(
                    "SELECT 1 FROM conversation WHERE instr(body, ?) LIMIT 1", (content,)
                ).fetchone():
                    self.path_of(content).unlink(missing_ok=True)

    def path_of(self, content: str) -> Path:
        """Where a file of that content lies, if it is here."""
        return (self._folder or Path()) / "media" / content

    def _write(self, connection: sqlite3.Connection, id: str, kept: Kept, *, is_touched: bool = True) -> None:
        said = (text for past in kept.rounds for text in (past.question, past.reply.answer))
        words = "\n".join([kept.title, *said]).lower()
        body = json.dumps(kept.as_json(), ensure_ascii=False)
        newer = ", updated_s = excluded.updated_s" if is_touched else ""
        connection.execute(
            # the clock may have been set back meanwhile, and the list shows the newest first
            "INSERT INTO conversation VALUES "
            "(?, ?, max(?, (SELECT coalesce(max(updated_s), 0) + 1e-3 FROM conversation)), ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET title = excluded.title, num_rounds = excluded.num_rounds, "
            f"words = excluded.words, body = excluded.body{newer}",
            (id, kept.title, self._now_s(), len(kept.rounds), words, body),
        )

    def _take(self, path: Path) -> KeptFile:
        """Keep a file; one whose content is here already is not copied again."""
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        place = self.path_of(content)
        if not place.exists():
            part = place.with_suffix(f".{draw_id()}.part")
            try:
                shutil.copyfile(path, part)
                part.replace(place)
            finally:
                part.unlink(missing_ok=True)
        return KeptFile(path.name, content)

    def _bring(self, files: Sequence[KeptFile], uploads: Path) -> Iterator[Path]:
        for file in files:
            source, target = self.path_of(file.content), uploads / file.content / _plain_name(file.name)
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.is_file():
                    shutil.copyfile(source, target)
                yield target

    def _check(self) -> None:
        """Look whether the database can be read and written, and make its table. Raises sqlite3.Error."""
        with self._open() as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
            connection.execute(SCHEMA)
            connection.execute("BEGIN IMMEDIATE")

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        if isinstance(error, sqlite3.OperationalError) and "lock" in str(error):
            self._database = self._database.with_name(f"conversations-{stamp}.sqlite3")
            self.notice = (
                f"The conversations kept so far are in use by another program: end it and start again to see them. "
                f'New ones go to "{self._database.name}".'
            )
            return
        aside = self._database.with_name(f"conversations-damaged-{stamp}.sqlite3")
        for suffix in ("", "-wal", "-shm", "-journal"):
            part = self._database.with_name(self._database.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        self.notice = f'The conversations kept so far are damaged: they were set aside as "{aside.name}".'

    def _renew(self, error: sqlite3.DatabaseError) -> None:
        """Set a damaged database aside, and begin a fresh one, unless another thread has done so already."""
        with self._mending:
            try:
                self._check()
            except sqlite3.DatabaseError:
                self._set_aside(error)
                self._check()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """As `_open`, with what goes wrong told in a sentence. Raises UserError."""
        try:
            with self._open() as connection:
                yield connection
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise UserError(IN_USE) from error
            LOGGER.exception(FAILED)
            if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
                raise UserError(NOT_REACHED) from error
            try:
                self._renew(sqlite3.DatabaseError(str(error)))
            except (OSError, sqlite3.Error) as again:
                raise UserError(NOT_REACHED) from again
            raise RenewedError(self.notice or GONE) from error

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread's own, and a transaction around what is done with it."""
        with closing(sqlite3.connect(self._database, timeout=BUSY_TIMEOUT_S)) as connection, connection:
            yield connection


def _contents(body: str) -> set[str]:
    return {file.content for past in Kept.of_json(json.loads(body)).rounds for file in past.files}


def _plain_name(name: str) -> str:
    """A file's name without any folder, also where it was written by a stranger."""
    return Path(name.replace("\\", "/")).name.lstrip(".").replace("\0", "")[-100:] or "file"
