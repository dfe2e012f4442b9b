"""One visitor's conversation: what was asked and answered, what is being asked now, and how to stop it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.archive import Kept
from pipelines.conversation import CutOff, Draft, Reply, Round, files_of
from pipelines.present.answered import Answered
from pipelines.present.chat import ChatMessage, asked
from pipelines.present.figures.history import History
from pipelines.present.pointing import Pointed
from pipelines.serving.exchange import chat_of
from pipelines.serving.pending import Pending
from pipelines.types import Record, Request, Result, Settings

PATIENCE_S = 2.0
"""How long whoever stops something waits for it to end."""


@dataclass
class Session:
    """What a page remembers. The same object is held by all handlers of a visitor, also while an answer runs.

    `pending` is the question on its way, and `returned` one that failed and goes back into the composer. `editing` is
    the round whose question is in the composer: sending it takes the place of that round and of all behind it; `aside`
    is what was in the composer before. `result` is what is still to be drawn, and `drawn` the evidence and the times as
    they were drawn last. `cut_off` is the reply that ran out of tokens and may go on. `sent` is the request on its way
    or the last one, and `answered` the last one that was answered. `history` holds what each request took. `pointed` is
    the part that the next question is about, and `system` the system prompt of the last one that was answered. `kept_s`
    is when the conversation was kept as this page knows it, 0 where it was not yet. `script` are questions of a card,
    the next one first: each is offered when the one before it was answered. `filled` is what the page itself put into
    the composer last. `is_later` tells that it took the place of another one on the page.
    """

    rounds: list[Round] = field(default_factory=list)
    pending: Pending | None = None
    returned: Draft | None = None
    editing: int | None = None
    aside: Draft | None = None
    result: Result | None = None
    num_new_media: int = 0
    drawn: tuple[str, str] | None = None
    is_closed: bool = False
    is_running: bool = False
    sent: Request | None = None
    answered: Answered | None = None
    cut_off: CutOff | None = None
    history: History = field(default_factory=History)
    pointed: Pointed | None = None
    system: str = ""
    kept_s: float = 0.0
    script: tuple[str, ...] = ()
    filled: Draft | None = None
    is_later: bool = False
    _noted: tuple[int, float] | None = None
    """The number in the history of what is noted and not yet shown, and when it was asked."""
    _taken_back: Draft | None = None
    """The question that was last given back to the composer, to be asked otherwise."""
    _left: threading.Event | None = None
    _name: str = ""

    @property
    def name(self) -> str:
        """What tells this conversation from others. A page copies the session it begins with, so it is drawn late."""
        self._name = self._name or secrets.token_hex(16)
        return self._name

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all rounds, in the order in which the model gets them."""
        return files_of(self.rounds)

    @property
    def can_rewind(self) -> bool:
        """Whether the last round may be asked again or taken back: no question is on its way, and none is edited."""
        return self.pending is None and self.editing is None and bool(self.rounds)

    @property
    def can_go_on(self) -> bool:
        """Whether the last reply ran out of tokens and may go on now."""
        return self.can_rewind and self.cut_off is not None

    def another(self, returned: Draft | None) -> Session:
        """A new conversation of the same visitor."""
        return Session(returned=returned, history=self.history, is_later=True)

    def opened(self, returned: Draft | None, name: str, kept: Kept, rounds: Sequence[Round]) -> Session:
        """A conversation of the same visitor that was kept under `name`; `rounds` are its own with their files here."""
        fresh = self.another(returned)
        fresh.rounds, fresh.system, fresh.cut_off = list(rounds), kept.system, kept.cut_off
        fresh._name, fresh.kept_s = name, kept.updated_s
        return fresh

    def part(self, name: str) -> None:
        """Go on under another name, of which nothing is kept yet: somebody else went on with the conversation."""
        self._name, self.kept_s = name, 0.0

    def begin(self, draft: Draft) -> None:
        """Take a question of the composer on its way, about what was pointed at, with a stop of its own.

        It is about no part where the medium that has it is not in its place any more.
        """
        place = len(self.rounds) if self.editing is None else self.editing
        before = files_of(self.rounds[:place])
        told = self.pointed.told(draft, before) if self.pointed else self._as_before(draft)
        self._begin(Pending(told, draft, self.pointed), place)
        self.pointed = None

    def _as_before(self, draft: Draft) -> Draft:
        """A question that was taken back is about the medium that it was about, while it comes with the same files."""
        taken = self._taken_back
        if taken is None or draft.files[: len(taken.files)] != taken.files:
            return draft
        return replace(draft, about=taken.about)

    def retry(self) -> None:
        """Ask the last question again."""
        if self.can_rewind:
            self._begin(Pending(self.rounds[-1].draft), len(self.rounds) - 1)

    def resume(self) -> None:
        """Take the last question on its way again, whose reply was cut off, for the rest of it."""
        if self.can_go_on:
            self._begin(Pending(self.rounds[-1].draft, resumed=self.cut_off), len(self.rounds) - 1)

    def undo(self, typed: Draft) -> None:
        """Take the last question and its reply back: the question goes into the composer, above what is `typed`.

        The next question of a card, where the page has filled it in, makes room for the one before it.
        """
        if self.can_rewind:
            last, own = self.rounds.pop().draft, self.own(typed)
            if self.script and own != typed:
                self.script = (last.question, *self.script)
            self.returned, self.cut_off, self.drawn, self._taken_back = last.joined(own), None, None, last

    def edit(self, place: int, typed: Draft) -> None:
        """Return the question of a round, which the next one that is sent replaces. `typed` is set aside."""
        if self.pending is None and 0 <= place < len(self.rounds):
            self.aside = typed if self.editing is None else self.aside
            self.editing, self.returned = place, self.rounds[place].draft
            self.filled = self._taken_back = self.returned

    def leave_edit(self) -> None:
        """Edit no earlier question any more, and return what was set aside."""
        self.returned, self.aside, self.editing, self._taken_back = self.aside, None, None, None

    def take_returned(self, added: Draft | None = None) -> Draft | None:
        """What goes into the composer, once, beside what was `added` there meanwhile, as a file that was dropped on it.

        The next question of a card gives way to that.
        """
        returned, self.returned = self.returned, None
        if returned is None or added is None or added == Draft(""):
            return returned
        return None if returned is self.filled else returned.joined(added)

    @property
    def stop(self) -> threading.Event:
        """What stops the question on its way."""
        return self._asked.stop

    @property
    def hurry(self) -> threading.Event:
        """What ends the reasoning of the question on its way."""
        return self._asked.hurry

    @property
    def left(self) -> threading.Event:
        """What is set once the conversation is left: what is asked about its answers stops. Made late, as the name."""
        self._left = self._left or threading.Event()
        return self._left

    def close(self) -> None:
        """Leave the conversation: what runs stops and shows nothing any more."""
        self.is_closed = True
        self.stop.set()
        self.left.set()

    def leave(self, typed: Draft, *, is_kept: bool) -> Draft | None:
        """Close the conversation for another one; what then goes into the composer, None where that stays as it is.

        Nothing that a person wrote is lost: neither what is `typed` or was set aside, nor the question on its way,
        unless it ends in time as by Stop, with a reply, in a conversation that `is_kept`.
        """
        pending, aside = self.pending, self.aside or Draft("")
        unsent = pending.typed if pending and pending.typed else Draft("")
        self.close()
        if pending and is_kept and pending.ended.wait(PATIENCE_S):
            unsent = Draft("") if any(past.draft is pending.draft for past in self.rounds) else unsent
        left = aside.joined(unsent).joined(self.own(typed))
        return None if left == typed else left

    def discard(self) -> None:
        """Have nothing any more that could be kept: what runs stops."""
        self.stop.set()
        self.rounds, self.pending = [], None

    def own(self, typed: Draft) -> Draft:
        """What a person wrote and added of what is `typed`: nothing where the composer is as the page filled it."""
        return Draft("") if self.filled is not None and typed.is_like(self.filled) else typed

    def shown(self, replies: Sequence[ChatMessage] = ()) -> list[ChatMessage]:
        """The chat with the question on its way and what is there of its reply."""
        pending = self.pending
        if pending is None:
            return chat_of(self.rounds)
        return [*pending.past, asked(pending.draft.question, pending.draft.files), *replies]

    def request(self, settings: Settings) -> Request:
        """The question on its way with the turns before it."""
        pending = self._asked
        if pending.resumed is not None:
            settings = settings.going_on_from(pending.resumed.settings)
        history = tuple(past.turn for past in self.rounds)
        self.sent = Request(
            pending.draft.question,
            pending.draft.files,
            settings,
            history,
            resumed=pending.resumed.result if pending.resumed else None,
            conversation=self.name,
            asked_s=pending.asked_s,
            about=pending.draft.about,
            waited_s=pending.waited_s,
        )
        return self.sent

    def note(self, record: Record) -> None:
        """Keep what a request took, up to here; it is done when it is shown."""
        number = self.history.add(record)
        self._noted = (number, self.pending.asked_s) if self.pending else None

    def take_record(self) -> Record | None:
        """What the last request took, once: now it is shown, and done."""
        if self._noted is None:
            return None
        (number, asked_s), self._noted = self._noted, None
        return self.history.end(number, (time.perf_counter() - asked_s) * 1000)

    def keep(self, result: Result) -> None:
        """End the question on its way with its reply, which later questions build on."""
        pending = self.pending
        if pending is None:
            return
        reply = Reply.of(result)
        if pending.resumed is not None:
            reply = reply.behind(pending.replaced[0].reply)
        self.rounds.append(Round(pending.draft, reply))
        self.result, self.num_new_media = result, len(pending.draft.files)
        self.answered = Answered.of(self.sent, result) if self.sent else None
        self.system = self.sent.settings.system if self.sent else ""
        self.cut_off = CutOff.of(result, self.sent.settings) if self.sent else None
        self.leave_edit()
        self._offer_next(pending.typed)
        self.pending = None
        pending.ended.set()

    def give_back(self) -> None:
        """End the question on its way without a reply: all is as before, and a new question goes back to its author."""
        pending = self.pending
        if pending is None:
            return
        self.returned = None if pending.typed == Draft("") else pending.typed
        self.pointed = self.pointed or pending.pointed
        self.rounds += pending.replaced
        self.pending = None
        pending.ended.set()

    def _offer_next(self, typed: Draft | None) -> None:
        """Return the next question of a card where the one before it was asked; who asks another leaves the card."""
        if typed is None:  # it was asked again
            return
        self.script = self.script[1:] if self.script[:1] == (typed.question,) else ()
        if self.script and self.returned is None:
            self.returned = self.filled = Draft(self.script[0])

    def _begin(self, pending: Pending, place: int) -> None:
        self.rounds, pending.replaced = self.rounds[:place], tuple(self.rounds[place:])
        pending.past = chat_of(self.rounds)
        self.pending, self.returned, self._taken_back = pending, None, None

    @property
    def _asked(self) -> Pending:
        """The question on its way; where there is none, an empty one, which nobody waits for."""
        return self.pending or Pending(Draft(""))
