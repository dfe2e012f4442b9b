"""One question to two models as it is shown: what is there of both replies, and what a visitor thinks of them."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field, replace

from pipelines.compare.pairs import Pair, Reply
from pipelines.compare.votes import Choice, Contender, Vote
from pipelines.conversation import Draft
from pipelines.present.figures.rates import cost
from pipelines.present.status import DOING
from pipelines.types import Arrival, Delta, EngineInfo, Progress, Record, Result, UserError

NAMES = "AB"
"""What both go by on the page."""
NO_MODEL = "Which model is to answer as {name}? Choose one, or write NAME@http://HOST:PORT/v1 for one on a server."
NONE_CHOSEN = "Which model is to answer as {name}? Choose one of the list."


@dataclass
class Side:
    """One of the two: what is there of its reply so far, and in the end the reply and the record of it."""

    place: str
    info: EngineInfo | None = None
    doing: str = ""
    reasoning: str = ""
    answer: str = ""
    reply: Reply | None = None
    record: Record | None = None

    def take(self, item: Arrival) -> None:
        """Fold in what arrived."""
        if isinstance(item, Result):
            self.reply = item
        elif isinstance(item, Record):
            self.record = item
        elif isinstance(item, Progress):
            self.doing = DOING[item.stage]
        elif isinstance(item, Delta) and item.channel == "reasoning":
            self.reasoning += item.text
        elif isinstance(item, Delta):
            self.answer += item.text

    def let_go(self) -> None:
        """Forget the frames of the media, once what is drawn of them is drawn."""
        if isinstance(self.reply, Result):
            self.reply = replace(self.reply, media=(), sights=())

    @property
    def num_characters(self) -> int:
        """How much text there is to show."""
        return len(self.reasoning) + len(self.answer)

    @property
    def contender(self) -> Contender | None:
        """The same for a vote; None where it did not answer, or was stopped as it did."""
        if not isinstance(self.reply, Result) or self.reply.finish_reason == "cancelled" or self.record is None:
            return None
        tokens, info = self.reply.tokens, self.reply.engine
        return Contender(
            model=info.model,
            place=info.place,
            answer=self.reply.answer,
            total_ms=self.record.timing.total_ms,
            num_tokens=tokens.reasoning + tokens.answer,
            cost=cost(self.record),
        )


@dataclass
class Comparison:
    """What one visitor compares, or compared last. `drawn` shows the places that both named, once both have ended."""

    draft: Draft = field(default_factory=lambda: Draft(""))
    sides: tuple[Side, ...] = ()
    is_running: bool = False
    drawn: str = ""
    choice: Choice | None = None
    id: str = ""
    _stop: threading.Event | None = None

    @property
    def stop(self) -> threading.Event:
        """What stops it. A page copies the state that it begins with, which no event survives: it is made late."""
        self._stop = self._stop or threading.Event()
        return self._stop

    def begin(self, draft: Draft, places: tuple[str, ...], *, is_open: bool = True) -> None:
        """Take a question to two models on its way; `is_open` says that any model may be named.

        Raises UserError where there is nothing to ask, or nobody.
        """
        if not draft.question.strip():
            raise UserError("There is no question: type one and send it again.")
        for name, place in zip(NAMES, places, strict=True):
            if not place.strip():
                raise UserError((NO_MODEL if is_open else NONE_CHOSEN).format(name=name))
        self.draft, self.sides = draft, tuple(Side(place.strip()) for place in places)
        self.drawn, self.choice, self.id, self._stop = "", None, secrets.token_hex(8), threading.Event()

    @property
    def pair(self) -> Pair | None:
        """Both replies, once both are there."""
        first, second = [side.reply for side in self.sides] or (None, None)
        return None if first is None or second is None else Pair(first, second)

    @property
    def can_be_judged(self) -> bool:
        """Whether both have answered."""
        return not self.is_running and bool(self.sides) and all(side.contender for side in self.sides)

    def judged(self, choice: Choice) -> Vote | None:
        """What a visitor thinks of both; None where there is nothing to think of."""
        pair, contenders = self.pair, [side.contender for side in self.sides]
        if self.is_running or pair is None or len(contenders) != 2:
            return None
        first, second = contenders
        record = self.sides[0].record
        if first is None or second is None or record is None:
            return None
        self.choice = choice
        media = tuple(path.name for path in self.draft.files)
        asked = (self.id, record.asked_at, self.draft.question, media)
        return Vote(*asked, first, second, pair.is_same, pair.overlap, choice)
