"""The reasoning of one reply, watched: a budget, a request to answer now, and thoughts that go in a circle all end it.

The small models are known to loop while they think; the model cards advise to detect that and to interrupt.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from threading import Event as Flag

from pipelines.types import ThoughtEnd, Token

MAX_PERIOD = 64
LEAST_REPEATS = 4
LEAST_REPEATED = 48
"""Tokens: so many in a circle, and four times round, are no list any more."""
LEAST_LINE = 16
MAX_EQUAL_LINES = 6


class LoopGuard:
    """Sees a text that repeats itself: the same tokens over and over, or the same line again and again."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._runs = [0] * (MAX_PERIOD + 1)
        self._line = ""
        self._lines: Counter[str] = Counter()

    def feed(self, token_id: int, text: str) -> bool:
        """Take in a token and its text; whether it goes in a circle now."""
        ids = self._ids
        for period in range(1, min(MAX_PERIOD, len(ids)) + 1):
            self._runs[period] = self._runs[period] + 1 if ids[-period] == token_id else 0
        ids.append(token_id)
        del ids[:-MAX_PERIOD]
        is_circling = any(
            run >= max((LEAST_REPEATS - 1) * period, LEAST_REPEATED) for period, run in enumerate(self._runs) if period
        )
        return self._ends_known_line(text) or is_circling

    def _ends_known_line(self, text: str) -> bool:
        *ended, self._line = (self._line + text).split("\n")
        lines = [line.strip() for line in ended if len(line.strip()) >= LEAST_LINE]
        self._lines.update(lines)
        return any(self._lines[line] >= MAX_EQUAL_LINES for line in lines)


class Thought:
    """Whether the reasoning of a reply has to end now, and by which tokens. `max_tokens` None sets no budget.

    One of `end_ids` ends it, and `closing` are the token ids that do where the model did not.
    """

    def __init__(
        self, is_open: bool, max_tokens: int | None, hurry: Flag, end_ids: frozenset[int], closing: Sequence[int]
    ) -> None:
        self._is_open, self._left, self._hurry, self._end_ids = is_open, max_tokens, hurry, end_ids
        self._closing, self._forced = closing, deque[int]()
        self._reason: ThoughtEnd | None = None
        self._guard = LoopGuard()

    @property
    def forced(self) -> int | None:
        """The next token of the reply, where it is not the model's choice."""
        return self._forced[0] if self._forced else None

    def after(self, token_id: int, text: str) -> ThoughtEnd | None:
        """Take in the next token of the reply; why the reasoning ends behind it, where it does. It tells so once."""
        return self._after(token_id, text, is_hurried=self._hurry.is_set())

    def recall(self, tokens: Iterable[Token]) -> ThoughtEnd | None:
        """Take in the beginning of a reply that goes on, to go on as if it had never been cut off; why the reasoning
        ends behind it, where it does, as with a budget that is smaller now.
        """
        for token in tokens:
            self._after(token.id, token.text, is_hurried=False)
        return self._reason if self._forced else None

    def _after(self, token_id: int, text: str, *, is_hurried: bool) -> ThoughtEnd | None:
        if self._forced:
            if token_id == self._forced[0]:
                self._forced.popleft()
                return None
            # it was longer than the budget is now
            self._is_open = not self._end_ids.isdisjoint(self._forced)
            self._forced.clear()
        if not self._is_open:
            return None
        if token_id in self._end_ids:
            self._is_open = False
            return None
        if self._left is not None:
            self._left -= 1
        reason: ThoughtEnd | None = None
        if self._guard.feed(token_id, text):
            reason = "loop"
        elif is_hurried:
            reason = "asked"
        elif self._left is not None and self._left <= 0:
            reason = "budget"
        if reason is not None:
            self._is_open, self._reason = False, reason
            self._forced.extend(self._closing)
        return reason
