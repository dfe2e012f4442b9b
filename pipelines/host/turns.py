"""Whose turn it is among the questions of one visitor, how many one address may ask, and the end of them all.

One question of a session runs and one waits for it; the engine's own queue comes after that. What is asked about an
answer, as whether a mark of it is right, runs beside them and counts for the address alone. When the server is about to
end, nobody begins any more, and those who run are stopped, each with a word.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.types import UserError

ENDING = "The server is about to end; what is there is kept. Try again in a minute."
SESSION_FULL = "One of your questions runs and one waits: stop one, or wait until one has ended."
ADDRESS_FULL = "Your address has as many questions here as it may ({count}): wait until one has ended."
LOOK_S = 0.1


@dataclass(frozen=True)
class Visitor:
    """Who asks: a session of the page, or of a program, and the address that it comes from."""

    session: str
    address: str


class Turn:
    """A place of one question; `flags` stop what runs for it when the server ends.

    `waited_s` is from when to when it had to wait, by `time.perf_counter`; None where it had not.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.flags: list[threading.Event] = []
        self.waited_s: tuple[float, float] | None = None


class Turns:
    """The questions of all visitors that are answered or wait."""

    def __init__(self, max_per_address: int) -> None:
        self.max_per_address = max_per_address
        self.is_ending = False
        self._changed = threading.Condition()
        self._sessions: dict[str, list[Turn]] = {}
        self._addresses: Counter[str] = Counter()

    @property
    def num_questions(self) -> int:
        """Questions that are answered or wait."""
        with self._changed:
            return self._addresses.total()

    @contextmanager
    def place(self, visitor: Visitor) -> Iterator[Turn]:
        """A place for one question. Raises UserError where the visitor has as many as it may, or the server ends."""
        turn = Turn(visitor)
        with self._changed:
            if len(self._sessions.get(visitor.session, [])) >= 2 and not self.is_ending:
                raise UserError(SESSION_FULL)
            self._come(visitor.address)
            self._sessions.setdefault(visitor.session, []).append(turn)
        try:
            yield turn
        finally:
            self._leave(turn)

    @contextmanager
    def beside(self, visitor: Visitor) -> Iterator[None]:
        """A place among those of the address for what is asked about an answer, whatever else its session asks.

        Raises UserError where the address has as many as it may, or the server ends.
        """
        with self._changed:
            self._come(visitor.address)
        try:
            yield
        finally:
            with self._changed:
                self._go(visitor.address)

    def wait(self, turn: Turn) -> Iterator[None]:
        """Yield now and then until it is the turn of a question. Raises UserError where the server ends first."""
        since_s = time.perf_counter()
        while not self._is_next(turn):
            yield
            turn.waited_s = since_s, time.perf_counter()

    def _is_next(self, turn: Turn) -> bool:
        """Whether it is the turn of a question, or becomes it within a moment."""
        with self._changed:
            is_next = self._sessions[turn.visitor.session][0] is turn
            if not is_next and not self.is_ending:
                self._changed.wait(LOOK_S)
            if self.is_ending:
                raise UserError(ENDING)
            return is_next

    def stop_by(self, turn: Turn, flag: threading.Event) -> None:
        """Let the end of the server set `flag`, which stops what runs in that turn; at once where it ends already."""
        with self._changed:
            turn.flags.append(flag)
            if self.is_ending:
                flag.set()

    def end(self, patience_s: float) -> bool:
        """Let nobody begin, stop those who run, and wait until they have ended; whether all have."""
        with self._changed:
            self.is_ending = True
            for turns in self._sessions.values():
                for turn in turns:
                    for flag in turn.flags:
                        flag.set()
            self._changed.notify_all()
            deadline_s = time.monotonic() + patience_s
            while self._sessions and (left_s := deadline_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
            return not self._sessions

    def _leave(self, turn: Turn) -> None:
        with self._changed:
            session, address = turn.visitor.session, turn.visitor.address
            self._sessions[session].remove(turn)
            if not self._sessions[session]:
                del self._sessions[session]
            self._go(address)
            self._changed.notify_all()

    def _come(self, address: str) -> None:
        if self.is_ending:
            raise UserError(ENDING)
        if self._addresses[address] >= self.max_per_address:
            raise UserError(ADDRESS_FULL.format(count=self.max_per_address))
        self._addresses[address] += 1

    def _go(self, address: str) -> None:
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
