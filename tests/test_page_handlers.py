"""The page's handlers as its framework calls them, without a browser: what they show, and what they leave as it is."""

from __future__ import annotations

import gradio as gr

from pipelines import page_turns
from pipelines.conversation import Draft, Reply, Round
from pipelines.present.session import Session

UNCHANGED = gr.skip()


def asked(*questions: str) -> Session:
    """A session in which these were asked and answered."""
    return Session(rounds=[Round(Draft(question), Reply("A circle.")) for question in questions])


def test_nothing_is_taken_back_while_an_earlier_question_is_edited() -> None:
    """The line that tells of it went, and the way out; the next question then replaced the whole conversation."""
    session = asked("One", "Two")
    session.edit(0, Draft(""))
    assert page_turns.undo(session) == UNCHANGED
    assert session.editing == 0
    assert len(session.rounds) == 2
