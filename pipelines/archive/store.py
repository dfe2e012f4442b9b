"""The archive: a folder with a SQLite database and the files of the conversations, named by their content.

Nothing is ever deleted that a person did not delete or take back: a file goes when no conversation has it any more, and
only while no other database, which may have it too, lies in the folder. Every method raises UserError where the
database cannot be opened; `notice` tells what became of one that was damaged or in use, see `opening`.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from platformdirs import user_data_path

from pipelines.archive import table
from pipelines.archive.files import Media
from pipelines.archive.kept import Kept, KeptRound, Listed, draw_id, title_of
from pipelines.archive.opening import FAILED, NOT_REACHED, Database, RenewedError
from pipelines.conversation import CutOff, Round
from pipelines.disk import expanded
from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
DATABASE = "conversations.sqlite3"
BUSY_TIMEOUT_S = 3.0
NO_HOME = "Conversations lie in your home folder, and you have none: give --data FOLDER, or --data none."
PUBLIC = "A public page keeps no conversations: leave out --data, or give --data none."
DELETED = "This conversation was deleted: what is asked in it now is not kept."


def data_folder(chosen: str | None, *, is_private: bool, is_public: bool) -> Path | None:
    """Where conversations are kept: as it was chosen, else the user's own place where they alone reach the page.

    Raises UserError for a user without such a place, and for a folder that was chosen for a public page.
    """
    if is_public and chosen not in (None, "none"):
        raise UserError(PUBLIC)
    if chosen is not None:
        return None if chosen == "none" else expanded(chosen)
    try:
        return user_data_path("glassbox", appauthor=False) if is_private else None
    except RuntimeError as error:  # in a container whoever runs the program may be nobody
        raise UserError(NO_HOME) from error


class Archive:
    """Conversations in a folder; without a folder, nothing is kept."""

    def __init__(self, folder: Path | None = None, now_s: Callable[[], float] = time.time) -> None:
        self._folder: Path | None = None
        self._now_s = now_s
        self._deleted: set[str] = set()
        self._titles: dict[str, str] = {}
        """What a person called conversations of which nothing is kept just now: their only question was taken back."""
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

    @property
    def notice(self) -> str:
        """What a person should know of conversations that are not here; empty where all is well."""
        return self._database.notice if self.is_on else ""

    def open(self, folder: Path) -> None:
        """Keep conversations in `folder`, which is made where it is not there. Raises UserError where it cannot be."""
        try:
            (folder / "media").mkdir(parents=True, exist_ok=True)
            self._database = Database(folder / DATABASE, BUSY_TIMEOUT_S)
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f'Conversations cannot be kept in "{folder}": choose another folder with --data, or --data none.'
            ) from error
        self._folder, self._media = folder, Media(folder / "media")
        self._media.clear_parts()

    def save(
        self,
        id: str,
        rounds: Sequence[Round],
        system: str = "",
        known_s: float | None = None,
        cut_off: CutOff | None = None,
    ) -> float:
        """Keep a conversation as it is now, with its system prompt, under the title that a person gave it if any.

        `cut_off` is how its last reply may go on. Of one that is empty nothing is kept any more. Returns when it was
        kept, 0 where nothing is. `known_s` is that of the last time, as far as whoever saves it knows, and None takes
        the place of whatever is kept. Raises ChangedError where another one is kept by now, and UserError where it
        fails, or it was deleted.
        """
        if self._folder is None:
            return 0.0
        if not rounds:
            self._take_back(id, known_s)
            return 0.0
        try:
            taken = self._media.take(rounds, lambda: self._rounds_before(id))
        except OSError as error:
            LOGGER.exception(FAILED)
            raise UserError(NOT_REACHED) from error
        whole = Kept(title_of(rounds[0].draft.question), taken.rounds, system, cut_off=cut_off)
        with self.sparing(whole):
            try:
                return self.add(id, whole, taken.restore, known_s)
            except RenewedError as error:
                error.updated_s = self.add(id, whole, taken.restore, known_s)
                raise

    def add(self, id: str, kept: Kept, restore: Callable[[], None], known_s: float | None = None) -> float:
        """Keep a conversation, under the title that a person gave it if any, and return when.

        `known_s` is as for `save`. Its files are here already, but another conversation may have taken them along as
        it was deleted meanwhile: `restore` brings those that are not here once none can be deleted. Raises ChangedError
        and UserError.
        """
        try:
            with self._database.writing() as connection:
                if id in self._deleted:
                    raise UserError(DELETED)
                table.refuse_changed(connection, id, known_s)
                restore()
                title = table.own_title(connection, id) or self._titles.get(id, kept.title)
                return table.write(connection, id, replace(kept, title=title), self._now_s())
        except OSError as error:
            LOGGER.exception(FAILED)
            raise UserError(NOT_REACHED) from error

    @contextmanager
    def sparing(self, kept: Kept) -> Iterator[None]:
        """Let go of the files that were brought here for a conversation, where keeping it fails meanwhile."""
        try:
            yield
        except BaseException:
            self._drop(kept.contents)
            raise

    def part(self, id: str) -> str:
        """A name for what goes on from a conversation on its own, called as a person called that. Raises UserError."""
        own = draw_id()
        with self._database.connected() as connection:
            title = table.own_title(connection, id)
        if title:
            self._titles[own] = title
        return own

    def listed(self, search: str = "") -> list[Listed]:
        """The newest conversations that hold every word of `search`, the newest first."""
        with self._database.connected() as connection:
            return table.listed(connection, search)

    def count(self, search: str = "") -> int:
        """How many conversations hold every word of `search`."""
        with self._database.connected() as connection:
            return table.count(connection, search)

    def find(self, id: str) -> Kept | None:
        """A conversation by its id; None where there is none. Raises UserError where it cannot be read."""
        with self._database.connected() as connection:
            return table.find(connection, id)

    def rounds(self, kept: Kept, uploads: Path) -> list[Round]:
        """The rounds of a conversation with its files put where uploads lie; a file that is gone is left out."""
        try:
            return self._media.bring(kept.rounds, uploads)
        except OSError as error:
            LOGGER.exception(FAILED)
            raise UserError(NOT_REACHED) from error

    def rename(self, id: str, title: str) -> None:
        """Give a conversation another title."""
        if not title.strip():
            return
        with self._database.writing() as connection:
            kept = table.find(connection, id)
            if kept is not None:
                table.write(connection, id, replace(kept, title=title_of(title)), self._now_s(), is_touched=False)

    def delete(self, id: str) -> None:
        """Delete a conversation for good, and those of its files that no other one has."""
        try:
            with self._database.writing() as connection:
                contents = table.remove(connection, id)
                self._deleted.add(id)  # an answer to it may be on its way here
        except UserError:
            self._deleted.discard(id)
            raise
        self._titles.pop(id, None)
        self._drop(contents)

    def path_of(self, content: str) -> Path:
        """Where a file of that content lies, if it is here."""
        return self._media.path_of(content)

    def _take_back(self, id: str, known_s: float | None) -> None:
        """Keep nothing of a conversation any more, but for now what a person called it: it may go on."""
        with self._database.writing() as connection:
            table.refuse_changed(connection, id, known_s)
            if title := table.own_title(connection, id):
                self._titles[id] = title
            contents = table.remove(connection, id)
        self._drop(contents)

    def _drop(self, contents: set[str]) -> None:
        """Delete files that no conversation has any more. They stay where that fails: the conversation is gone."""
        if not contents or self._database.has_others:
            return
        try:
            with self._database.writing() as connection:  # so that nobody takes one up again meanwhile
                for content in contents:
                    if not table.has_file(connection, content):
                        self._media.delete(content)
        except (OSError, UserError):
            LOGGER.exception("files of a conversation that was deleted are still there")

    def _rounds_before(self, id: str) -> tuple[KeptRound, ...]:
        """The rounds of a conversation as they were kept last; none where that is not known."""
        with suppress(UserError):
            kept = self.find(id)
            return kept.rounds if kept else ()
        return ()
