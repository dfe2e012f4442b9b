"""What a visitor does with kept conversations: open, rename, export, delete and import them, and come back to one.

Nothing here raises: what went wrong is a sentence beside the conversation, which then stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.archive import Archive, ChangedError, RenewedError, export, import_file
from pipelines.conversation import Draft
from pipelines.present.composer import draft_of, remembered_draft, uploaded
from pipelines.present.listing import Pressed, Remembered, listing_html
from pipelines.serving.session import Session
from pipelines.types import UserError

NOT_HERE = "This conversation is not kept here, or not any more."
PARTED = "This conversation was changed in another tab meanwhile: what is here goes on as a conversation of its own."
GONE_FILES = "A file of this conversation is no longer on the server: the model goes on without it."
LOST_FILES = "A file of your draft is no longer on the server: add it again."

Message = Mapping[str, object]
"""What is in the composer, as a client sends it."""


@dataclass(frozen=True)
class Done:
    """What became of it: the visitor's conversation then, and whether it is to be shown anew.

    `system` is the system prompt of the next question, None where it stays. `file` is what was exported. `warnings` are
    what a person should know.
    """

    session: Session
    is_shown: bool = False
    system: str | None = None
    file: Path | None = None
    warnings: tuple[str, ...] = ()


def save(archive: Archive, session: Session) -> str:
    """Keep a conversation as it is now; what a person should know of that, empty where all is well.

    Where another page has gone on with it, neither takes the place of the other: this one goes on by itself.
    """
    if not archive.is_on:
        return ""
    try:
        try:
            _keep(archive, session)
        except ChangedError:
            session.part(archive.part(session.name))
            _keep(archive, session)
            return PARTED
    except RenewedError as error:
        session.kept_s = error.updated_s
        return str(error)
    except UserError as error:
        return str(error)
    return ""


def _keep(archive: Archive, session: Session) -> None:
    session.kept_s = archive.save(session.name, session.rounds, session.system, session.kept_s, session.cut_off)


class Keeping:
    """What visitors do with the conversations of an archive.

    `leave` leaves a conversation for another one and tells what then goes into the composer; `uploads` is where files
    of visitors lie.
    """

    def __init__(
        self, archive: Archive, leave: Callable[[Session, Draft], Draft | None], uploads: Callable[[], Path]
    ) -> None:
        self._archive, self._leave, self._uploads = archive, leave, uploads

    def listed(self, search: str, here: str) -> str:
        """The list as HTML, of those that hold every word of `search`; `here` is the open one."""
        try:
            found = self._archive.listed(search)
            num_more = self._archive.count(search) - len(found)
            return listing_html(found, here, search, self._archive.notice, num_more)
        except UserError as error:
            return listing_html([], notice=str(error))

    def do(self, wanted: Pressed, session: Session, message: Message, own_system: str) -> Done:
        """Do what was pressed; `own_system` is the visitor's system prompt for a new conversation."""
        try:
            if wanted.act == "open":
                return self._opened(wanted.id, session, message) or Done(session, warnings=(NOT_HERE,))
            if wanted.act == "rename":
                self._archive.rename(wanted.id, wanted.title)
            elif wanted.act == "export":
                file = export(self._archive, wanted.id, self._uploads() / "exported")
                return Done(session, file=file, warnings=() if file else (NOT_HERE,))
            elif wanted.act == "delete":
                return self._deleted(wanted.id, session, message, own_system)
            return Done(session)
        except UserError as error:
            return Done(session, warnings=(str(error),))

    def take_in(self, path: str, session: Session, message: Message) -> Done:
        """Keep the conversation of an uploaded file, and open it."""
        try:
            (file,) = uploaded([path], self._uploads())
            return self._opened(import_file(self._archive, file), session, message) or Done(session)
        except UserError as error:
            return Done(session, warnings=(str(error),))

    def restore(self, remembered: Remembered, session: Session) -> Done:
        """What a tab of a browser held before it was loaded again, or a link leads to."""
        warnings: list[str] = []
        if session.is_later:  # a visitor who was quick has begun another conversation, which nothing takes the place of
            remembered = replace(remembered, id="", is_linked=False)
        try:
            done = self._opened(remembered.id, session, {}) if self._archive.is_on else None
            warnings.extend(done.warnings if done else ())
            if done is None and remembered.is_linked:
                warnings.append(NOT_HERE)
        except UserError as error:
            done = None
            warnings.append(str(error))
        session = done.session if done else session
        session = session.another(None) if session.is_closed else session
        draft = remembered_draft(remembered.question, remembered.files, self._uploads())
        if draft.files != tuple(map(Path, remembered.files)):
            warnings.append(LOST_FILES)
        if self._archive.notice:
            warnings.append(self._archive.notice)
        # a visitor who was quick has something in the composer already, which nothing takes the place of
        session.returned = draft.joined(session.returned or Draft("")) if draft != Draft("") else session.returned
        system = (session.system if remembered.is_linked else remembered.system) if session.rounds else None
        is_at_rest = session.pending is None  # a visitor who was quicker still has asked something
        return Done(session, is_shown=is_at_rest, system=system, warnings=tuple(warnings))

    def _opened(self, id: str, session: Session, message: Message) -> Done | None:
        """A kept conversation, None where there is none. What is typed stays. Raises UserError."""
        if id == session.name:
            return Done(session)
        kept = self._archive.find(id)
        if kept is None:
            return None
        rounds = self._archive.rounds(kept, self._uploads())
        if session.is_closed:  # it was left meanwhile, for a new chat
            return Done(session)
        left = self._leave(session, draft_of(message, self._uploads()))
        is_whole = [len(past.files) for past in kept.rounds] == [len(past.draft.files) for past in rounds]
        kept = kept if is_whole else replace(kept, cut_off=None)  # its prompt cannot be made any more
        opened, warnings = session.opened(left, id, kept, rounds), () if is_whole else (GONE_FILES,)
        return Done(opened, is_shown=True, system=kept.system, warnings=warnings)

    def _deleted(self, id: str, session: Session, message: Message, own_system: str) -> Done:
        """A new conversation where the open one was deleted. Raises UserError."""
        if id == session.name:
            session.stop.set()  # but it has its rounds until they are deleted, which may be refused
        self._archive.delete(id)
        if id != session.name:
            return Done(session)
        session.discard()
        left = self._leave(session, draft_of(message, self._uploads()))
        return Done(session.another(left), is_shown=True, system=own_system)
