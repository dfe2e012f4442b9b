"""Copying an answer as the model wrote it, without the links and tables that the page makes of it."""

from __future__ import annotations

import gradio as gr

from pipelines.page.components import AT_ONCE, script
from pipelines.serving.session import Session


def copying(session: gr.State) -> None:
    """Let the copy button of an answer ask for its words, and put them on the clipboard."""
    button = gr.HTML(elem_id="copying", visible="hidden", js_on_load=script("copying.js"))
    words = gr.Textbox(visible="hidden")
    asked = button.select(written, session, words, trigger_mode="multiple", **AT_ONCE)
    asked.then(None, words, None, js="(text) => glassbox.copied(text)")


def written(session: Session, pressed: gr.SelectData) -> str:
    """What the model wrote in a round: the answer, and where there is none the reasoning."""
    place = int(pressed.index)
    if not 0 <= place < len(session.rounds):
        return ""
    reply = session.rounds[place].reply
    return reply.answer.strip() or reply.reasoning.strip()
