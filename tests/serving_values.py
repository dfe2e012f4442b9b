"""Sessions with a question, and the answers that it gets, for tests of what serves a page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from pipelines.conversation import Draft
from pipelines.present.chat import ChatMessage
from pipelines.serving.asking import Answer, Update, ask
from pipelines.serving.session import Session
from pipelines.types import Delta, Deltas, Observe, Progress, Request, Result, Settings
from tests.present_values import result

PATIENCE_S = 10.0
TYPED = re.compile(r'<pre class="gb-typed">\n(.*)</pre>', re.DOTALL)


def session_with(question: str, *files: Path) -> Session:
    """A session in which a question is on its way."""
    session = Session()
    session.begin(Draft(question, files))
    return session


def replying(*deltas: Delta) -> Answer:
    """An answer that gives these pieces and its result."""

    def answer(_request: Request, stop: threading.Event, observe: Observe, _hurry: threading.Event) -> Deltas:
        observe(Progress("think"))
        yield from deltas
        yield result(reasoning="Look.", answer="A circle.", finish_reason="cancelled" if stop.is_set() else "stop")

    return answer


def failing(error: Exception) -> Answer:
    """An answer that fails on the way."""

    def answer(_request: Request, _stop: threading.Event, _observe: Observe, _hurry: threading.Event) -> Deltas:
        yield Delta("reasoning", "Look")
        raise error

    return answer


def until_stopped(_request: Request, stop: threading.Event, _observe: Observe, _hurry: threading.Event) -> Deltas:
    """An answer that thinks until it is stopped."""
    yield Delta("reasoning", "Look.")
    if not stop.wait(PATIENCE_S):
        raise AssertionError("nobody stopped it")
    yield result(reasoning="Look.", answer="", finish_reason="cancelled")


def texts(messages: list[ChatMessage]) -> list[str]:
    """What is read there."""
    told = [str(part.get("text")) for message in messages for part in message["content"] if "text" in part]
    return [unescape(TYPED.sub(r"\1", text)) for text in told]


def last(updates: Iterator[Update]) -> Update:
    """How the page stands at the end."""
    return list(updates)[-1]


def answered(*questions: str) -> Session:
    """A session in which these were asked and answered."""
    session = Session()
    for question in questions:
        session.begin(Draft(question, (Path(f"{question}.png"),)))
        last(ask(session, Settings(), replying()))
        session.result = None
    return session


def questions(session: Session) -> list[str]:
    """Those that were answered."""
    return [past.draft.question for past in session.rounds]


def replying_with(whole: Result) -> Answer:
    """An answer that comes at once."""

    def answer(_request: Request, _stop: threading.Event, _observe: Observe, _hurry: threading.Event) -> Deltas:
        yield whole

    return answer
