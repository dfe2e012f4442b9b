"""The database of the conversations: how it is opened, and what becomes of one that is damaged or in use.

A database that is damaged, at the start or later, is renamed, and a fresh one is begun. One that another program holds
at the start is left where it is, and a fresh one is begun beside it, which the next start merges into it. Whoever
renames, begins or merges databases holds a lock, as several servers may start at once; so does whoever uses one beside
the main one.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock

from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
LOCK_TIMEOUT_S = 60.0
"""For another server to look through a large database."""
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
TAKE_IN = """
INSERT OR REPLACE INTO main.conversation SELECT * FROM beside.conversation AS other WHERE NOT EXISTS (
    SELECT 1 FROM main.conversation AS own WHERE own.id = other.id AND own.updated_s >= other.updated_s
)
"""
BESIDE = re.compile(r"-\d{8}-\d{6}(-\d+)?")
"""What a database that was begun beside another one has in its name behind that of the other."""


class RenewedError(UserError):
    """The database was damaged and has been set aside, and a fresh one begun: what was to be done can be done anew.

    `updated_s` is when what was to be kept was kept in the fresh one, where that is done.
    """

    updated_s = 0.0


class _DamagedError(sqlite3.DatabaseError):
    """SQLite itself found something wrong, and told so without an error."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class Database:
    """A database in a folder, where it is opened at once. Raises OSError or sqlite3.Error where that cannot be.

    `patience_s` is for another program to let go of it. `notice` tells what became of conversations that are not in it.
    """

    def __init__(self, path: Path, patience_s: float) -> None:
        self._main = self._path = path
        self._patience_s = patience_s
        self._own_lock: FileLock | None = None
        self.notice = ""
        with self._alone():
            try:
                self._check()
            except sqlite3.DatabaseError as error:
                if _is_in_use(error):
                    self._begin_beside()
                elif _is_damage(error):
                    self._set_aside()
                else:
                    raise
                self._check()
            if self._path == self._main:
                for other in self._others():
                    if BESIDE.fullmatch(other.stem.removeprefix(self._main.stem)):
                        self._take_in(other)

    @property
    def name(self) -> str:
        """What its file is called."""
        return self._path.name

    @property
    def has_others(self) -> bool:
        """Whether another database lies in the folder: it may hold conversations with the same files."""
        return bool(self._others())

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread's own. What goes wrong is told in a sentence: raises UserError."""
        notice = self.notice
        try:
            with self._open() as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._told(error, notice) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """As `connected`, in a transaction that nobody else writes beside. Raises UserError."""
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=self._patience_s)) as connection, connection:
            yield connection

    def _told(self, error: sqlite3.Error, notice: str) -> UserError:
        """The error as a sentence, once what is damaged is mended; `notice` is the one from before."""
        if _is_in_use(error):
            return UserError(IN_USE)
        LOGGER.error(FAILED, exc_info=error)
        if not _is_damage(error):
            return UserError(NOT_REACHED)
        try:
            with self._alone():
                if self._is_damaged():
                    self._set_aside()
                    self._check()
        except (OSError, sqlite3.Error) as again:
            return UserError(IN_USE if _is_in_use(again) else NOT_REACHED)
        if self.notice != notice:  # it may be another thread that found the damage first
            return RenewedError(self.notice)
        return RenewedError(GONE) if _has_no_table(error) else UserError(NOT_REACHED)

    def _is_damaged(self) -> bool:
        """Whether there is damage at a second look. Raises sqlite3.Error where that does not tell."""
        try:
            self._check()
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                return True
            raise
        return False

    def _check(self) -> None:
        """Look whether the database can be read and written, and make its table. Raises sqlite3.Error."""
        with self._open() as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise _DamagedError("damaged")
            connection.execute(SCHEMA)
            connection.execute("BEGIN IMMEDIATE")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other thread or program looks which file is which. Raises OSError."""
        with FileLock(self._main.with_suffix(".lock"), timeout=LOCK_TIMEOUT_S):
            yield

    def _begin_beside(self) -> None:
        self._path = self._unused("")
        self._own_lock = FileLock(_lock_of(self._path), timeout=0)
        self._own_lock.acquire()
        self.notice = (
            "The conversations kept so far are in use by another program: end it and start again to see them. "
            f'New ones go to "{self.name}".'
        )

    def _set_aside(self) -> None:
        aside = self._unused("-damaged")
        for suffix in ("-wal", "-shm", "-journal", ""):
            part = self._path.with_name(self.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        self.notice = f'The conversations kept so far are damaged: they were set aside as "{aside.name}".'

    def _take_in(self, other: Path) -> None:
        """Move the conversations of a database beside this one here, unless it is in use or damaged."""
        try:
            with FileLock(_lock_of(other), timeout=0):
                with self._open() as connection:
                    connection.execute("ATTACH ? AS beside", (str(other),))
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute(TAKE_IN)
                    connection.execute("DELETE FROM beside.conversation")
                other.unlink()
                _lock_of(other).unlink(missing_ok=True)
        except (OSError, sqlite3.Error):
            LOGGER.warning("the conversations in %s stay there", other.name, exc_info=True)

    def _others(self) -> list[Path]:
        pattern = f"{self._main.stem}*{self._main.suffix}"
        return sorted(path for path in self._main.parent.glob(pattern) if path != self._path)

    def _unused(self, what: str) -> Path:
        """A name with the time in it that no file has yet."""
        stem, number = f"{self._main.stem}{what}-{time.strftime('%Y%m%d-%H%M%S')}", 1
        path = self._main.with_name(stem + self._main.suffix)
        while path.exists():
            number += 1
            path = self._main.with_name(f"{stem}-{number}{self._main.suffix}")
        return path


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_in_use(error: Exception) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _has_no_table(error: Exception) -> bool:
    return str(error).startswith("no such table")


def _is_damage(error: Exception) -> bool:
    """Whether it says that the database is broken, and not only what was wanted of it."""
    is_broken = _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return is_broken or _has_no_table(error) or str(error) == "unsupported file format"  # with no code of its own
