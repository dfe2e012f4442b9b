"""One question to two models, one after the other, and what the page shows meanwhile.

They take turns, so that neither is slowed by the other and each is timed as if it were alone. One that cannot answer
says why in its place, and the other answers all the same.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

from pipelines.compare.pairs import Pair, Reply
from pipelines.compare.votes import Choice, Contender, Vote
from pipelines.conversation import Draft
from pipelines.engine import Engine
from pipelines.host.turns import ENDING, Turns, Visitor
from pipelines.present.history import History
from pipelines.present.model import Model
from pipelines.present.pacing import Pump, tick_s
from pipelines.present.rates import cost
from pipelines.present.rivals import Rivals
from pipelines.present.status import BEFORE_THIS, DOING, SERVER_FAULT, failed, line
from pipelines.types import Delta, EngineInfo, Look, Progress, Record, Request, Result, Settings, UserError

LOGGER = logging.getLogger(__name__)
NAMES = "AB"
"""What both go by on the page."""
NO_MODEL = "Which model is to answer as {name}? Choose one, or write NAME@http://HOST:PORT/v1 for one on a server."
STOPPED = "Stopped by you."
Arrival = Delta | Look | Result | Progress | Record


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
        """The same for a vote; None where it did not answer."""
        if not isinstance(self.reply, Result) or self.record is None:
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

    def begin(self, draft: Draft, places: tuple[str, ...]) -> None:
        """Take a question to two models on its way. Raises UserError where there is nothing to ask, or nobody."""
        if not draft.question.strip():
            raise UserError("There is no question: type one and send it again.")
        for name, place in zip(NAMES, places, strict=True):
            if not place.strip():
                raise UserError(NO_MODEL.format(name=name))
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


class Comparing:
    """Puts questions to two models, for all visitors of a page."""

    def __init__(self, model: Model, rivals: Rivals, turns: Turns) -> None:
        self._model, self._rivals, self._turns = model, rivals, turns

    def run(
        self, comparison: Comparison, settings: Settings, prices: tuple[float, ...], history: History, visitor: Visitor
    ) -> Iterator[str]:
        """The status line as both answer; `comparison` holds what is there. Each side has the price of its own hour.

        It yields at least once a tick: only there does a server learn that the page is gone. Then, and on every other
        way out, what runs is stopped.
        """
        try:
            with self._turns.place(visitor) as turn:
                for _ in self._turns.wait(turn):
                    if comparison.stop.is_set():
                        break  # each side is told so below
                    yield line(BEFORE_THIS, tone="busy")
                self._turns.stop_by(turn, comparison.stop)
                comparison.is_running = True
                for side, price in zip(comparison.sides, prices, strict=True):
                    own = replace(settings, price_per_hour=max(0.0, price), look_closer=False)
                    yield from self._ask(comparison, side, own, history)
            yield failed(ENDING) if self._turns.is_ending else self._ended(comparison)
        except UserError as error:
            for side in comparison.sides:
                side.reply = side.reply or str(error)
            yield failed(str(error))
        finally:
            comparison.is_running = False
            comparison.stop.set()

    def _ask(self, comparison: Comparison, side: Side, settings: Settings, history: History) -> Iterator[str]:
        """Have one side answer; what keeps it from that is its reply."""
        if comparison.stop.is_set():
            side.reply = STOPPED
            return
        try:
            engine = yield from self._load(comparison, side)
            if engine is None:
                side.reply = STOPPED
                return
            side.info = engine.info
            yield from self._answer(comparison, side, engine, settings)
        except UserError as error:
            side.reply = str(error)
        except Exception:
            LOGGER.exception("a comparison failed")
            side.reply = SERVER_FAULT
        if side.record is not None:
            history.add(side.record)

    def _load(self, comparison: Comparison, side: Side) -> Generator[str, None, Engine | None]:
        loading = self._rivals.engine(side.place, comparison.stop)
        while True:
            try:
                far = next(loading)
            except StopIteration as end:
                engine: Engine | None = end.value
                return engine
            side.doing = "Loading"
            yield line(f"Loading {side.place}", far, "busy")

    def _answer(self, comparison: Comparison, side: Side, engine: Engine, settings: Settings) -> Iterator[str]:
        draft, stop = comparison.draft, comparison.stop
        request = Request(draft.question, draft.files, settings, conversation=secrets.token_hex(16))
        pump = Pump[Arrival]()
        pump.start(self._model.answer(request, stop, pump.put, threading.Event(), engine))
        try:
            for batch in pump.batches(lambda: tick_s(side.num_characters)):
                for item in batch:
                    side.take(item)
                yield line(side.doing or DOING["queue"], f" · {engine.info.model}", "busy")
        except GeneratorExit:  # the page is gone
            stop.set()
            raise
        finally:
            engine.forget(request.conversation)

    @staticmethod
    def _ended(comparison: Comparison) -> str:
        replies = [side.reply for side in comparison.sides]
        num_answers = sum(isinstance(reply, Result) for reply in replies)
        if STOPPED in replies or any(isinstance(one, Result) and one.finish_reason == "cancelled" for one in replies):
            return line(STOPPED)
        if num_answers < len(replies):
            return line("One of them could not answer." if num_answers else "Neither could answer.")
        return line("Both say the same." if comparison.pair and comparison.pair.is_same else "Their answers differ.")
