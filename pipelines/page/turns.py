"""What changes a conversation without the model: a question taken back, edited or pointed, and a new chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from pipelines.conversation import Draft
from pipelines.page import components as parts
from pipelines.page import library as page_library
from pipelines.page.components import AT_ONCE, PRIVATE
from pipelines.page.host import Host, uploads
from pipelines.page.outcome import shown
from pipelines.present import status
from pipelines.present.composer import composed, draft_of
from pipelines.present.examples import Card
from pipelines.present.pointing import point, pointed_html, pointing_of
from pipelines.present.shelf import Shelf
from pipelines.serving.session import Session
from pipelines.types import UserError

COMPOSE = "() => glassbox.compose()"
"""Runs in the browser: what was brought into the composer is gone on with there."""
PART = "(asking) => [asking, glassbox.part]"
"""Runs in the browser as a part begins to be cut out, which may have waited for another one: the framework sends both
with the event of the first, and so with its part."""


def wire_turns(
    host: Host, session: gr.State, pane: parts.ChatPane, new_chat: gr.Button, view: list[Any]
) -> list[gr.events.Dependency]:
    """Let a visitor do all that; what is returned is when another conversation, or less of it, is shown."""
    for brought in (
        pane.pencil.select(edit, [session, pane.composer], [pane.composer, pane.line], **AT_ONCE),
        pane.leave_edit.click(leave_edit, session, [pane.composer, pane.line], **AT_ONCE),
    ):
        brought.then(None, None, None, js=COMPOSE)
    marked, about = [session, gr.JSON(visible="hidden")], [pane.pointed, pane.line]
    pane.pointed.select(point_at, marked, about, trigger_mode="always_last", js=PART, **AT_ONCE)
    pane.pointed.click(point_at_nothing, session, pane.pointed, **AT_ONCE)
    return [
        pane.chat.undo(undoing(host), [session, pane.composer], view, **PRIVATE),
        new_chat.click(starting_anew(host), [session, pane.composer], [session, *view], **AT_ONCE),
    ]


def undoing(host: Host) -> Callable[[Session, dict[str, Any]], Any]:
    """The handler that takes the last question back into the composer, and out of what is kept."""

    def undo(session: Session, message: dict[str, Any]) -> Any:
        if not session.can_rewind:  # one is on its way or edited
            return gr.skip()
        session.undo(draft_of(message, uploads()))
        page_library.keep(host.archive, session)
        return shown(session)

    return undo


def edit(session: Session, message: dict[str, Any], pencil: gr.SelectData) -> tuple[Any, ...]:
    """Put an earlier question into the composer, to replace it by sending."""
    session.edit(int(pencil.index), draft_of(message, uploads()))
    if session.returned is None:
        return gr.skip(), gr.skip()
    return parts.ready_composer(session.take_returned()), status.line(editing=session.editing)


def leave_edit(session: Session) -> tuple[Any, ...]:
    """Leave the earlier question as it was, and give back what was in the composer."""
    session.leave_edit()
    line = status.resting(can_go_on=session.can_go_on)
    return parts.ready_composer(session.take_returned() or Draft("")), line


def point_at(session: Session, marked: object) -> tuple[Any, ...]:
    """Make the next question about a part of what is shown."""
    try:
        session.pointed = point(pointing_of(marked, len(session.files)), session.files, Shelf(uploads()))
    except UserError as error:
        return pointed_html(session.pointed), status.failed(str(error), session.editing, can_go_on=session.can_go_on)
    return pointed_html(session.pointed), gr.skip()


def point_at_nothing(session: Session) -> str:
    """Make the next question about all of it again."""
    session.pointed = None
    return pointed_html(None)


def starting_anew(host: Host) -> Callable[[Session, dict[str, Any]], tuple[Any, ...]]:
    """The handler that leaves the conversation and begins an empty one."""

    def start_anew(session: Session, message: dict[str, Any]) -> tuple[Any, ...]:
        left = host.leave_for_another(session, draft_of(message, uploads()))
        fresh = session.another(left)
        return fresh, *shown(fresh)

    return start_anew


def filling(cards: Sequence[Card]) -> Callable[..., dict[str, Any]]:
    """The handler that puts the question of a chosen card into the composer, below what is typed there.

    It is not sent; the question of another card that was chosen before makes way.
    """

    def fill(session: Session, message: dict[str, Any], chosen: gr.SelectData) -> dict[str, Any]:
        card, typed = cards[int(chosen.index)], session.own(draft_of(message, uploads()))
        session.script, session.filled = card.questions, Draft(card.questions[0], (card.path,))
        return dict(composed(typed.joined(session.filled)))

    return fill
