"""The parts of the page as components of its framework, not yet wired to anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.conversation import Draft
from pipelines.host.gate import MAX_BODY_BYTES
from pipelines.present import evidence, header, status, word_by_word
from pipelines.present.composer import composed
from pipelines.present.examples import Card
from pipelines.present.figures import pair, past, waterfall
from pipelines.present.markdown import FORMULA_CLOSES, FORMULA_OPENS

WEB = Path(__file__).resolve().parent / "web"
STYLES = (WEB / "page.css", WEB / "compare.css")
EXAMPLES_FOLDER = WEB.parent.parent.parent / "assets" / "examples"
MAX_ASKING = 32
"""Visitors who are answered or wait; the engine says whose turn it is."""
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": []}
AT_ONCE: dict[str, Any] = {**PRIVATE, "queue": False}
"""How handlers are wired that no program may call; at once: beside the queue.

No component is told how far they are: each that is has a clock that runs at every frame, although it is hidden."""
INVITATION = "## What do you want to know?\nAdd a picture or a clip and ask about it."


def script(name: str) -> str:
    """A script that comes with the page."""
    return (WEB / name).read_text(encoding="utf-8")


def head() -> str:
    """The scripts that run before the page is built."""
    names = ("stores", "language", "page", "heard", "scrolling", "clipboard", "upload", "unshown")
    return "".join(f"<script>{script(f'{name}.js')}</script>" for name in names)


def theme() -> gr.themes.Base:
    """Calm colours with enough contrast, and the fonts of the system: none is fetched."""
    sans, mono = ("system-ui", "Segoe UI", "Helvetica Neue", "sans-serif"), ("ui-monospace", "Consolas", "monospace")
    base = gr.themes.Base(primary_hue="teal", neutral_hue="slate", radius_size="lg", font=sans, font_mono=mono)
    return base.set(
        body_background_fill="*neutral_50",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


def top() -> tuple[gr.HTML, gr.Button, gr.Button, gr.Button]:
    """The line about the model, and the buttons that turn the page over, lead to other models and begin a new chat.

    The first two are out of sight until it is known that they have a use.
    """
    with gr.Row(elem_id="top"):
        about = html(header.header_html(None), "about")
        way = gr.Button("Get a real model", size="sm", elem_id="get-model", scale=0, min_width=130, visible=False)
        turn_over = gr.Button("Compare", size="sm", elem_id="turn-over", scale=0, min_width=110, visible=False)
        new_chat = gr.Button("New chat", size="sm", elem_id="new-chat", scale=0, min_width=110)
    return about, turn_over, way, new_chat


@dataclass(frozen=True)
class ChatPane:
    """The conversation, the status line with its buttons, the composer, what its files and all of it cost, the limits.

    `pencil` tells which question is to be edited, and `pointed` what part the next one is about.
    """

    chat: gr.Chatbot
    line: gr.HTML
    answer_now: gr.Button
    go_on: gr.Button
    leave_edit: gr.Button
    pencil: gr.HTML
    pointed: gr.HTML
    composer: gr.MultimodalTextbox
    costs: gr.HTML
    outlook: gr.HTML
    limits: gr.HTML


def chat_pane(cards: Sequence[Card]) -> ChatPane:
    """The left side. Each button shows while the status line says that it has a use."""
    with gr.Column(scale=5, elem_id="chat-pane"):
        chat = gr.Chatbot(
            elem_id="chat",
            label="Conversation",
            show_label=False,
            height="100%",
            layout="panel",
            buttons=["copy"],
            editable="user",
            allow_file_downloads=False,
            allow_tags=False,
            latex_delimiters=[{"left": FORMULA_OPENS, "right": FORMULA_CLOSES, "display": True}],
            placeholder=INVITATION,
            examples=[_shown(card) for card in cards] or None,
        )
        chat.keep_in_cache |= chat.temp_files  # the pictures on the cards, which lie beside what visitors upload
        with gr.Row(elem_id="status-row"):
            line = html(status.line(), "status")
            answer_now = gr.Button("Answer now", size="sm", elem_id="answer-now", scale=0, min_width=110)
            go_on = gr.Button("Continue", size="sm", elem_id="go-on", scale=0, min_width=110)
            leave_edit = gr.Button("Keep it as it was", size="sm", elem_id="leave-edit", scale=0, min_width=110)
        pencil = gr.HTML(elem_id="pencil", visible="hidden", js_on_load=script("pencil.js"))
        pointed = html("", "pointed", script("pointing.js"))
        composer = question_box("composer", "Question", "Ask about a picture or a clip …")
        html("", "camera", script("camera.js"))
        html("", "upload")
        costs = html("", "costs")
        outlook = html("", "outlook")
        limits = html(header.limits_html(None), "limits")
    return ChatPane(chat, line, answer_now, go_on, leave_edit, pencil, pointed, composer, costs, outlook, limits)


def question_box(elem_id: str, label: str, placeholder: str) -> gr.MultimodalTextbox:
    """Where a question is written and its files are added."""
    return gr.MultimodalTextbox(
        elem_id=elem_id,
        label=label,
        show_label=False,
        file_count="multiple",
        placeholder=placeholder,
        max_plain_text_length=MAX_BODY_BYTES,  # what is longer is pasted as a file, and one of text is not read
        max_lines=8,
    )


def asking_composer(draft: Draft | None = None) -> gr.MultimodalTextbox:
    """The composer while an answer runs: Send is Stop. It keeps what is in it where there is no `draft`."""
    value = {} if draft is None else {"value": composed(draft)}
    return gr.MultimodalTextbox(**value, submit_btn=False, stop_btn=True, interactive=False)


def ready_composer(draft: Draft | None = None) -> gr.MultimodalTextbox:
    """The composer while none runs. It keeps what is in it where there is no `draft`."""
    value = {} if draft is None else {"value": composed(draft)}
    return gr.MultimodalTextbox(**value, submit_btn=True, stop_btn=False, interactive=True)


@dataclass(frozen=True)
class PastPane:
    """The last requests, the two that are chosen of them, and these beside each other."""

    listed: gr.HTML
    pair: tuple[gr.Dropdown, gr.Dropdown]
    compared: gr.HTML

    @property
    def shown(self) -> list[Any]:
        """What changes with every request."""
        return [self.listed, *self.pair, self.compared]


@dataclass(frozen=True)
class WordsPane:
    """The last reply word by word, where the model looked at one of them, and the checks of its marks."""

    words: gr.HTML
    heat: gr.HTML
    check: gr.HTML
    checked: gr.JSON


def evidence_pane() -> tuple[gr.HTML, gr.HTML, WordsPane, PastPane]:
    """What the model saw, where the time went, and what the requests before took."""
    seen = html(evidence.EMPTY, "evidence", script("evidence.js"))
    with gr.Accordion("Word by word", open=False, elem_id="words"):
        words = html(word_by_word.EMPTY, "by-word", script("words.js"))
        heat = html("", "heat")
    check = gr.HTML(elem_id="check", visible="hidden", js_on_load=script("check.js"))
    checked = gr.JSON({}, elem_id="checked", visible="hidden")
    with gr.Accordion("Where the time went", open=True, elem_id="times"):
        times = html(waterfall.EMPTY, "waterfall")
    with gr.Accordion("All requests of this visit", open=False, elem_id="requests"):
        listed = html(past.EMPTY, "past")
        with gr.Row():
            chosen = (_past_request("Compare"), _past_request("with"))
        compared = html(pair.NO_PAIR, "compared")
    return seen, times, WordsPane(words, heat, check, checked), PastPane(listed, chosen, compared)


def _past_request(label: str) -> gr.Dropdown:
    return gr.Dropdown([], value=None, label=label, interactive=True, min_width=120)


def _shown(card: Card) -> dict[str, Any]:
    return {"text": card.questions[0], "display_text": card.title, "files": [str(card.path)]}


def html(value: str, elem_id: str, js_on_load: str | None = None) -> gr.HTML:
    """A piece of the page written by the server, without the framework's own styles for text."""
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, js_on_load=js_on_load)
