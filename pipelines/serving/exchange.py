"""One question being answered, as the chat shows it: what arrives is folded into messages and a status line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from pipelines.conversation import Reply, Round, subjects
from pipelines.grounding import parse_grounding
from pipelines.present.chat import ChatMessage, answered, asked, said, thinking, thought
from pipelines.present.closer import looked
from pipelines.present.status import THOUGHT_ENDS, UNANSWERED, doing, ended
from pipelines.types import Arrival, Delta, Look, Progress, Record, Result

EMPTY = {"reasoning": "", "answer": ""}


class Exchange:
    """The growing reply to one question, or the rest of one that was `resumed`. `clock` gives seconds."""

    def __init__(self, resumed: Result | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.result: Result | None = None
        self.record: Record | None = None
        self._clock = clock
        self._began_s = clock()
        self._progress: Progress | None = None
        self._told: tuple[Progress, float] | None = None
        """How far the stage was when it was told first, and when that was."""
        self._text = {"reasoning": resumed.reasoning, "answer": resumed.answer} if resumed else dict(EMPTY)
        self._thought_s: tuple[float, float] | None = None
        self._looks = [look.reduced() for look in resumed.looks] if resumed else []

    @property
    def num_characters(self) -> int:
        """How much text there is to show."""
        return sum(map(len, self._text.values()))

    def is_awaited(self, item: Arrival) -> bool:
        """Whether it is the first that there is to read of a thought or of an answer."""
        return isinstance(item, Delta) and not self._text[_shown_as(item)]

    def take(self, item: Arrival) -> None:
        """Fold in what arrived."""
        if isinstance(item, Progress):
            self._progress = item
        elif isinstance(item, Result):
            self.result = item
        elif isinstance(item, Record):
            self.record = item
        elif isinstance(item, Look):
            self._looks.append(item.reduced())
            self._text, self._thought_s = dict(EMPTY), None
        else:
            self._add(item)

    def messages(self) -> list[ChatMessage]:
        """The assistant's messages as they stand."""
        if self.result is not None:
            return replied(Reply.of(self.result))
        shown = chain(self._looks)
        if self._text["reasoning"]:
            is_over = bool(self._text["answer"])
            shown.append(self._closed_thought() if is_over else thinking(self._text["reasoning"]))
        if self._text["answer"].strip():
            shown.append(said(self._text["answer"]))
        return shown

    def status(self) -> str:
        """The status line as it stands."""
        if self.result is not None:
            return ended(self.result)
        now_s = self._clock()
        return doing(self._progress, now_s - self._began_s, self._speed(self._progress, now_s))

    def _speed(self, progress: Progress | None, now_s: float) -> float:
        """What was done in a second since the stage was told first: what comes together was not done in no time."""
        if progress is None:
            return 0.0
        if self._told is None or self._told[0].stage != progress.stage:
            self._told = progress, now_s
        first, since_s = self._told
        return (progress.done - first.done) / (now_s - since_s) if now_s > since_s else 0.0

    def _add(self, delta: Delta) -> None:
        channel = _shown_as(delta)
        self._text[channel] += delta.text
        if channel == "reasoning":
            now_s = self._clock()
            first_s = now_s if self._thought_s is None else self._thought_s[0]
            self._thought_s = (first_s, now_s)

    def _closed_thought(self) -> ChatMessage:
        first_s, last_s = self._thought_s or (0.0, 0.0)
        return thought(self._text["reasoning"], last_s - first_s)


def _shown_as(delta: Delta) -> str:
    return "reasoning" if delta.channel == "reasoning" else "answer"


def chain(looks: Iterable[Look]) -> list[ChatMessage]:
    """Each thought, and what was looked at more closely behind it."""
    shown: list[ChatMessage] = []
    for number, look in enumerate(looks, 1):
        if look.reasoning.strip():
            shown.append(thought(look.reasoning))
        shown.append(looked(look, number))
    return shown


def chat_of(rounds: Sequence[Round]) -> list[ChatMessage]:
    """The messages of what was asked and answered."""
    chat: list[ChatMessage] = []
    for past, current in zip(rounds, subjects(rounds), strict=True):
        chat += [asked(past.draft.question, past.draft.files), *replied(past.reply, current)]
    return chat


def replied(reply: Reply, current: int = 0) -> list[ChatMessage]:
    """The assistant's messages of a reply that has ended, however it ended.

    `current` is the medium that its question was about.
    """
    shown = chain(reply.looks)
    if reply.reasoning.strip():
        took = () if reply.looks else (reply.thought_s, reply.num_thought_tokens)  # all of its thoughts together
        shown.append(thought(reply.reasoning, *took))
        if reply.thought_end is not None:
            shown.append(said(f"*{THOUGHT_ENDS[reply.thought_end]}*"))
    if reply.answer.strip():
        grounding = reply.grounding or parse_grounding(reply.answer, reply.kinds, current, reply.ends_s)
        shown.append(answered(reply.answer, grounding, max(reply.ends_s, default=None)))
    if reply.finish_reason == "cancelled" or not reply.answer.strip():
        shown.append(said(f"*{UNANSWERED[reply.finish_reason]}*"))
    return shown
