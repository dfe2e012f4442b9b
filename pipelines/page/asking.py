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
UNCHANGED = (gr.skip(),) * 5


def wire_asking(
    host: Host, session: gr.State, pane: parts.ChatPane, controls: Sequence[Any], drawn: Sequence[Any]
) -> list[gr.events.Dependency]:
    """Let a visitor ask, stop, hurry, go on and ask again; what is returned is when a question has ended.

    `drawn` shows what an answer came to.
    """
    ask_question, answer_pending = asking(host), answering(host)
    doing = [pane.chat, pane.line]
    begins, answers = [*doing, pane.composer, pane.pointed], [*doing, *drawn, pane.pointed]
    limits: dict[str, Any] = {
        **PRIVATE,
        "concurrency_id": "ask",
        "concurrency_limit": MAX_ASKING,
        "show_progress_on": pane.chat,
    }
    begun = pane.composer.submit(begin, [pane.composer, session], begins, js=ASKED, **AT_ONCE)
    given = [pane.composer, session, *controls]
    asked = [begun.then(ask_question, given, answers, trigger_mode="once", **limits)]
    for trigger, again in ((pane.go_on.click, resume), (pane.chat.retry, retry)):
        begun = trigger(again, session, begins, **AT_ONCE)
        asked.append(begun.then(answer_pending, [session, *controls], answers, **limits))
    pane.answer_now.click(answer_now, session, None, **AT_ONCE)
    pane.composer.stop(stop, session, None, **AT_ONCE)
    return [*asked, *(one.failure(refused, session, doing, **AT_ONCE) for one in asked)]


def begin(message: dict[str, Any], session: Session) -> tuple[Any, ...]:
    """Put the question into the chat at once, and turn Send into Stop."""
    if session.pending is not None or session.is_running:  # as one that is asked again, which is not shown yet
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
    last, so that is nothing. The composer is given back by what follows: a browser may show what is sent twice when
    somebody types already.
    """

    def keep() -> None:
        page_library.keep(host.archive, session)

    settings, visitor = Choices(*controls).settings(), host.visitor()
    updates = ask_in_turn(session, settings, host.model.answer, host.turns, visitor, take, keep)
    for update in host.listened(updates):
        yield UNCHANGED if session.is_closed else (update.chat, update.status, *UNCHANGED[2:])
    if not session.is_closed:
        yield *UNCHANGED[:2], *finish(session, host.model)
    yield UNCHANGED


def refused(session: Session) -> tuple[Any, Any]:
    """Give a question back that found no place in the framework's queue, which has told so."""
    if session.pending is None or session.is_running:
        return gr.skip(), gr.skip()
    session.give_back()
    return session.shown(), status.resting(session.editing, can_go_on=session.can_go_on)


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
