"""Asking, stopping, and all that puts a question on its way again: the handlers and their wiring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from pipelines.conversation import Draft
from pipelines.page import components as parts
from pipelines.page import library as page_library
from pipelines.page.components import AT_ONCE, MAX_ASKING, PRIVATE
from pipelines.page.host import Host, uploads
from pipelines.page.outcome import finish
from pipelines.present import status
from pipelines.present.choices import Choices
from pipelines.present.composer import draft_of
from pipelines.present.pointing import pointed_html
from pipelines.serving.asking import ask_in_turn
from pipelines.serving.session import Session
from pipelines.types import UserError

ASKED = "(...values) => { glassbox.asked(); return values; }"
UNBEGUN = (gr.skip(),) * 4
UNCHANGED = (gr.skip(),) * 6
"""Of all that shows a conversation."""


def wire_asking(
    host: Host, session: gr.State, pane: parts.ChatPane, controls: Sequence[Any], view: Sequence[Any]
) -> list[gr.events.Dependency]:
    """Let a visitor ask, stop, hurry, go on and ask again; what is returned is when a question has ended.

    `view` is what shows a conversation, of which a question on its way changes the first two: the chat and the line.
    """
    ask_question, answer_pending = asking(host), answering(host)
    begins = [*view[:2], pane.composer, pane.pointed]
    limits: dict[str, Any] = {**PRIVATE, "concurrency_id": "ask", "concurrency_limit": MAX_ASKING}
    begun = pane.composer.submit(begin, [pane.composer, session], begins, js=ASKED, **AT_ONCE)
    given = [pane.composer, session, *controls]
    ended = [begun.then(ask_question, given, view, trigger_mode="once", **limits)]
    for trigger, again in ((pane.go_on.click, resume), (pane.chat.retry, retry)):
        begun = trigger(again, session, begins, **AT_ONCE)
        ended.append(begun.then(answer_pending, [session, *controls], view, **limits))
    pane.answer_now.click(answer_now, session, None, **AT_ONCE)
    pane.composer.stop(stop, session, None, **AT_ONCE)
    return ended


def begin(message: dict[str, Any], session: Session) -> tuple[Any, ...]:
    """Put the question into the chat at once, and turn Send into Stop."""
    if session.is_running:
        return UNBEGUN
    try:
        session.begin(draft_of(message, uploads()))
    except UserError:  # told by the handler that answers, which meets it again
        return UNBEGUN
    return begun(session, Draft(""))


def answering(host: Host) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler that answers the question on its way, of one host."""

    def answer_pending(session: Session, *controls: Any) -> Iterator[tuple[Any, ...]]:
        if session.is_running:  # it was pressed twice
            yield UNCHANGED
        else:
            yield from answered(host, session, controls)

    return answer_pending


def asking(host: Host) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The handler that takes a question on its way, where that was not done yet, and answers it."""

    def ask_question(message: dict[str, Any], session: Session, *controls: Any) -> Iterator[tuple[Any, ...]]:
        """Answer about pictures and clips: the chat and the status line as they grow, and then what it came to."""

        def take() -> None:
            session.begin(draft_of(message, uploads()))

        yield from answered(host, session, controls, take)

    return ask_question


def answered(
    host: Host, session: Session, controls: Sequence[Any], take: Callable[[], None] = lambda: None
) -> Iterator[tuple[Any, ...]]:
    """The chat and the status line as an answer grows, and what it came to, for as long as somebody listens.

    Once the conversation is left, nothing of it is shown. The framework sends once more at the end what it was given
    last, so that is little: the composer alone. It is not taken back, as a browser works changes into what it was given
    before, which may not be shown yet.
    """

    def keep() -> None:
        page_library.keep(host.archive, session)

    settings, visitor = Choices(*controls).settings(), host.visitor()
    updates = ask_in_turn(session, settings, host.model.answer, host.turns, visitor, take, keep)
    for update in host.listened(updates):
        yield UNCHANGED if session.is_closed else (update.chat, update.status, *UNCHANGED[2:])
    if session.is_closed:
        yield UNCHANGED
    else:
        composer, *drawn = finish(session, host.model)
        yield *UNCHANGED[:2], composer, *drawn
        yield *UNCHANGED[:2], composer, *UNCHANGED[3:]


def stop(session: Session) -> None:
    """Stop the answer that runs; what is there of it stays."""
    session.stop.set()


def answer_now(session: Session) -> None:
    """End the reasoning that runs, and have the answer."""
    session.hurry.set()


def resume(session: Session) -> tuple[Any, ...]:
    """Let the reply that was cut off go on."""
    session.resume()
    return begun_again(session)


def retry(session: Session) -> tuple[Any, ...]:
    """Ask the last question again, with the settings as they are now."""
    session.retry()
    return begun_again(session)


def begun_again(session: Session) -> tuple[Any, ...]:
    """Show that the question is on its way again; what is in the composer stays there."""
    return UNBEGUN if session.pending is None else begun(session)


def begun(session: Session, typed: Draft | None = None) -> tuple[Any, ...]:
    """The question on its way in the chat, and what is `typed` in the composer; that stays where there is None."""
    return session.shown(), status.doing(None, 0.0), parts.asking_composer(typed), pointed_html(session.pointed)
