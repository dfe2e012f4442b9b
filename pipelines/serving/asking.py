"""Ask a question for a page: run it beside the page, show it as it grows, and end it whatever happens.

The generator yields at least once a tick, also when nothing came: only at a yield does a server learn that the page is
gone. Then, and on every other way out, the stop event is set, so that no engine works for a page that is gone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.host.turns import ENDING, Turns, Visitor
from pipelines.present.chat import ChatMessage
from pipelines.present.status import BEFORE_THIS, SERVER_FAULT, STOPPED_EARLY, failed, line, resting
from pipelines.serving.exchange import Exchange
from pipelines.serving.pacing import Pump, tick_s
from pipelines.serving.pending import Pending
from pipelines.serving.session import Session
from pipelines.types import Arrival, Deltas, Observe, Request, Settings, UserError

LOGGER = logging.getLogger(__name__)

Answer = Callable[[Request, threading.Event, Observe, threading.Event], Deltas]


@dataclass(frozen=True)
class Update:
    """What the page shows now."""

    chat: list[ChatMessage]
    status: str


def ask(
    session: Session, settings: Settings, answer: Answer, keep: Callable[[], None] = lambda: None
) -> Iterator[Update]:
    """Answer the session's pending question, as a stream of what the page shows.

    Where nothing is on its way, that is the conversation as it is: a page blanks what gets no update at all.
    `keep` keeps the conversation once the reply is in it, and before that is told.

    What a user can put right is told in the status line, and anything else is logged and told as the server's fault;
    either way the question goes back to the user.
    """
    pending = session.pending
    if pending is None:
        yield Update(session.shown(), resting(session.editing, can_go_on=session.can_go_on))
        return
    try:
        yield from _stream(session, pending, settings, answer, keep)
    except UserError as error:
        session.give_back()
        yield _failed(session, str(error))
    except Exception:
        LOGGER.exception("a question failed")
        session.give_back()
        yield _failed(session, SERVER_FAULT)
    finally:
        pending.stop.set()


def ask_in_turn(
    session: Session,
    settings: Settings,
    answer: Answer,
    turns: Turns,
    visitor: Visitor,
    take: Callable[[], None] = lambda: None,
    keep: Callable[[], None] = lambda: None,
) -> Iterator[Update]:
    """As `ask`, once the question before it has ended. `take` puts the question on its way, where it is not yet.

    Where it is not let begin, or is stopped while it waits, that is told, and the question goes back to the user.
    """
    try:
        with turns.place(visitor) as turn:
            for _ in turns.wait(turn):
                pending = session.pending
                if pending is not None and not session.is_running and pending.stop.is_set():
                    session.give_back()
                    yield _stopped_early(session)
                    return
                yield Update(session.shown(), line(BEFORE_THIS, tone="busy"))
            if session.pending is None:
                take()
            pending = session.pending
            if pending is not None:
                pending.wait(turn.waited_s)
                turns.stop_by(turn, pending.stop)
            yield from _marked(session, ask(session, settings, answer, keep))
            if turns.is_ending:
                yield _failed(session, ENDING)
    except UserError as error:
        if session.pending is not None and not session.is_running:
            session.give_back()
        yield _failed(session, str(error))


def _stopped_early(session: Session) -> Update:
    return Update(session.shown(), line(STOPPED_EARLY, editing=session.editing, can_go_on=session.can_go_on))


def _failed(session: Session, sentence: str) -> Update:
    """The conversation as it was, and why; a question that is edited still is."""
    return Update(session.shown(), failed(sentence, session.editing, can_go_on=session.can_go_on))


def _marked(session: Session, updates: Iterator[Update]) -> Iterator[Update]:
    """The updates; meanwhile the session is known to run."""
    session.is_running = True
    try:
        yield from updates
    finally:
        session.is_running = False


def _stream(
    session: Session, pending: Pending, settings: Settings, answer: Answer, keep: Callable[[], None]
) -> Iterator[Update]:
    exchange, pump = Exchange(pending.resumed.result if pending.resumed else None), Pump[Arrival]()
    num_before = len(session.shown())
    pump.start(answer(session.request(settings), pending.stop, pump.put, pending.hurry))
    try:
        for batch in pump.batches(lambda: tick_s(exchange.num_characters, num_before), exchange.is_awaited):
            for item in batch:
                exchange.take(item)
            if exchange.result is None:
                yield Update(session.shown(exchange.messages()), exchange.status())
    finally:
        if exchange.record is not None:
            session.note(exchange.record)
    if exchange.result is None:
        session.give_back()
        yield _stopped_early(session)
    else:
        session.keep(exchange.result)
        keep()
        yield Update(session.shown(), exchange.status())
