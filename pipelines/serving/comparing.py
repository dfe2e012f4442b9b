"""One question to two models, one after the other, and what the page shows meanwhile.

They take turns, so that neither is slowed by the other and each is timed as if it were alone. One that cannot answer
says why in its place, and the other answers all the same.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace

from pipelines.engine import Engine
from pipelines.host.turns import ENDING, Turns, Visitor
from pipelines.present.comparison import Comparison, Side
from pipelines.present.figures.history import History
from pipelines.present.status import BEFORE_THIS, DOING, SERVER_FAULT, failed, line
from pipelines.serving.model import Model
from pipelines.serving.pacing import Pump, tick_s
from pipelines.serving.rivals import Rivals
from pipelines.types import Arrival, Request, Result, Settings, UserError

LOGGER = logging.getLogger(__name__)
STOPPED = "Stopped by you."


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
