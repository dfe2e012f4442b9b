"""The table of the conversations, read and written in SQL over a connection that `Database` gives.

Every function is one step of a transaction of the caller's; see `SCHEMA` in `opening` for the columns.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import suppress
from dataclasses import replace

from pipelines.archive.kept import CONTENT, Kept, Listed, plain, title_of
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
MAX_LISTED = 200
MAX_WORDS, MAX_SEARCH_CHARACTERS = 20, 200
"""Of a search: SQLite takes no more than some."""
UNREADABLE = "This conversation cannot be read: it is damaged, or a newer Glassbox kept it."


class ChangedError(Exception):
    """A conversation is not as whoever saves it knows it: another page or program has kept or taken back more."""


def find(connection: sqlite3.Connection, id: str) -> Kept | None:
    """A conversation by its id; None where there is none. Raises UserError where it cannot be read."""
    row = connection.execute("SELECT title, body, updated_s FROM conversation WHERE id = ?", (id,)).fetchone()
    try:
        return replace(Kept.of_json({**json.loads(row[1]), "title": row[0]}), updated_s=row[2]) if row else None
    except (ValueError, TypeError) as error:
        LOGGER.exception("a kept conversation cannot be read")
        raise UserError(UNREADABLE) from error


def own_title(connection: sqlite3.Connection, id: str) -> str:
    """What a conversation is called that is not called by its first question; empty where it is, or cannot be read."""
    with suppress(UserError):
        kept = find(connection, id)
        if kept is not None and kept.title != title_of(kept.rounds[0].question if kept.rounds else ""):
            return kept.title
    return ""


def listed(connection: sqlite3.Connection, search: str) -> list[Listed]:
    """The newest conversations that hold every word of `search`, the newest first."""
    where, values = _matching(search)
    rows = connection.execute(
        f"SELECT id, title, updated_s, num_rounds FROM conversation WHERE {where} ORDER BY updated_s DESC LIMIT ?",
        (*values, MAX_LISTED),
    )
    return [Listed(*row) for row in rows]


def count(connection: sqlite3.Connection, search: str) -> int:
    """How many conversations hold every word of `search`."""
    where, values = _matching(search)
    return int(connection.execute(f"SELECT count(*) FROM conversation WHERE {where}", values).fetchone()[0])


def has_file(connection: sqlite3.Connection, content: str) -> bool:
    """Whether any conversation has a file of that content, also one that cannot be read."""
    found = connection.execute("SELECT 1 FROM conversation WHERE instr(body, ?) LIMIT 1", (content,))
    return found.fetchone() is not None


def refuse_changed(connection: sqlite3.Connection, id: str, known_s: float | None) -> None:
    """Raise ChangedError where a conversation was kept at another time than is known; None takes any."""
    row = connection.execute("SELECT updated_s FROM conversation WHERE id = ?", (id,)).fetchone()
    if row and known_s is not None and row[0] != known_s:
        raise ChangedError


def write(connection: sqlite3.Connection, id: str, kept: Kept, now_s: float, *, is_touched: bool = True) -> float:
    """Write a conversation, and return when it was kept: as before, where it is not `is_touched`."""
    said = (text for past in kept.rounds for text in (past.question, past.reply.answer))
    words = "\n".join([kept.title, *said]).lower()
    body = json.dumps(kept.as_json(), ensure_ascii=False)
    newer = ", updated_s = excluded.updated_s" if is_touched else ""
    (updated_s,) = connection.execute(
        # the clock may have been set back meanwhile, and the list shows the newest first
        "INSERT INTO conversation VALUES "
        "(?, ?, max(?, (SELECT coalesce(max(updated_s), 0) + 1e-3 FROM conversation)), ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET title = excluded.title, num_rounds = excluded.num_rounds, "
        f"words = excluded.words, body = excluded.body{newer} RETURNING updated_s",
        (id, plain(kept.title), now_s, len(kept.rounds), plain(words), plain(body)),
    ).fetchone()
    return float(updated_s)


def remove(connection: sqlite3.Connection, id: str) -> set[str]:
    """Delete a conversation, and return the contents of its files, also where it could not be read."""
    row = connection.execute("SELECT body FROM conversation WHERE id = ?", (id,)).fetchone()
    connection.execute("DELETE FROM conversation WHERE id = ?", (id,))
    return set(CONTENT.findall(row[0])) if row else set()


def _matching(search: str) -> tuple[str, list[str]]:
    """The condition that every word of `search` is there, and its values."""
    words = plain(search)[:MAX_SEARCH_CHARACTERS].lower().split()[:MAX_WORDS]
    where = " AND ".join(["words LIKE ? ESCAPE '\\'"] * len(words)) or "1"
    escaped = (word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in words)
    return where, [f"%{word}%" for word in escaped]
