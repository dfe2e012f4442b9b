"""One visitor's conversation: what was asked and answered, what is being asked now, and how to stop it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

from pipelines.present.chat import ChatMessage, asked
from pipelines.present.exchange import finished
from pipelines.types import Request, Result, Settings, Turn, UserError


class Composed(TypedDict):
    """What the composer holds: text, and the paths of uploads."""

    text: str
    files: list[str]


@dataclass(frozen=True)
class Draft:
    """What a user wrote and added."""

    question: str
    files: tuple[Path, ...] = ()

    @property
    def composed(self) -> Composed:
        """The draft as the composer holds it."""
        return {"text": self.question, "files": [str(path) for path in self.files]}


def draft_of(message: Mapping[str, object] | None, uploads: Path) -> Draft:
    """What a client sent. Raises UserError for a file that was not uploaded to this server, as any URL is."""
    text = (message or {}).get("text") or ""
    names = (message or {}).get("files") or []
    return Draft(str(text), uploaded(names if isinstance(names, Sequence) else (), uploads))


def uploaded(names: Sequence[object], uploads: Path) -> tuple[Path, ...]:
    """The files that a client names. Raises UserError for one that was not uploaded to this server, as any URL is."""
    files = tuple(Path(str(name)) for name in names)
    if not all(path.resolve().is_relative_to(uploads.resolve()) for path in files):
        raise UserError("Only files that were uploaded here can be read: add the picture or the clip itself.")
    return files


@dataclass
class Session:
    """What a page remembers. The same object is held by all handlers of a visitor, also while an answer runs.

    `pending` is the question on its way, `returned` one that failed and goes back into the composer. `result` is what
    is still to be drawn, and `drawn` the evidence and the times as they were drawn last. `cut_off` is the reply that
    ran out of tokens and may go on, and `resumed` the same while it does.
    """

    turns: list[Turn] = field(default_factory=list)
    chat: list[ChatMessage] = field(default_factory=list)
    pending: Draft | None = None
    returned: Draft | None = None
    result: Result | None = None
    num_new_media: int = 0
    drawn: tuple[str, str] | None = None
    is_closed: bool = False
    cut_off: Result | None = None
    resumed: Result | None = None
    _flags: tuple[threading.Event, threading.Event] | None = None
    _name: str = ""

    @property
    def name(self) -> str:
        """What tells this conversation from others. A page copies the session it begins with, so it is drawn late."""
        self._name = self._name or secrets.token_hex(16)
        return self._name

    def begin(self, draft: Draft) -> None:
        """Take a question on its way, with a stop of its own."""
        self.pending, self.returned, self.resumed = draft, None, None
        self._flags = threading.Event(), threading.Event()

    def resume(self) -> None:
        """Take the last question on its way again, whose reply was cut off, for the rest of it."""
        if self.cut_off is None or self.pending is not None:
            return
        turn, resumed = self.turns[-1], self.cut_off
        self.begin(Draft(turn.question, turn.media))
        self.turns, self.chat, self.resumed = self.turns[:-1], self.chat[: -1 - len(finished(resumed))], resumed

    @property
    def stop(self) -> threading.Event:
        """What stops the question on its way."""
        return self._both[0]

    @property
    def hurry(self) -> threading.Event:
        """What ends the reasoning of the question on its way."""
        return self._both[1]

    @property
    def _both(self) -> tuple[threading.Event, threading.Event]:
        if self._flags is None:
            self._flags = threading.Event(), threading.Event()
        return self._flags

    def close(self) -> None:
        """Leave the conversation: what runs stops and shows nothing any more."""
        self.is_closed = True
        self.stop.set()

    def shown(self, replies: Sequence[ChatMessage] = ()) -> list[ChatMessage]:
        """The chat with the question on its way and what is there of its reply."""
        if self.pending is None:
            return list(self.chat)
        return [*self.chat, asked(self.pending.question, self.pending.files), *replies]

    def request(self, settings: Settings) -> Request:
        """The question on its way with the turns before it."""
        draft = self.pending or Draft("")
        return Request(draft.question, draft.files, settings, tuple(self.turns), self.resumed, self.name)

    def keep(self, result: Result) -> None:
        """End the question on its way with its reply, which later questions build on."""
        if self.pending is None:
            return
        self.turns.append(Turn(self.pending.question, self.pending.files, result.answer))
        self.chat = self.shown(finished(result))
        self.result, self.num_new_media = result, len(self.pending.files)
        # what can go on needs its words, and not the frames of its media
        self.cut_off = replace(result, media=(), sights=()) if result.finish_reason == "length" else None
        self.pending = self.resumed = None

    def give_back(self) -> None:
        """End the question on its way without a reply: it goes back to its author, or the reply stays as it was."""
        if self.resumed is not None and self.pending is not None:
            self.turns.append(Turn(self.pending.question, self.pending.files, self.resumed.answer))
            self.chat = self.shown(finished(self.resumed))
            self.pending = self.resumed = None
        else:
            self.returned, self.pending = self.pending, None
