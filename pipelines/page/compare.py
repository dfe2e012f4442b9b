"""The second face of the page: one question to two models, their replies side by side, and a vote.

A button at the top turns the page over; the chat stays as it is on the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.compare.votes import Choice, Vote, keep, kept
from pipelines.conversation import Draft
from pipelines.page import components as parts
from pipelines.page.components import AT_ONCE, MAX_ASKING, PRIVATE, html, question_box, script
from pipelines.page.host import Host, uploads
from pipelines.page.outcome import show_past, undrawn_html
from pipelines.present import ballot, status
from pipelines.present.choices import Choices
from pipelines.present.comparison import NAMES, Comparison
from pipelines.present.composer import composed, draft_of, remembered_draft
from pipelines.present.listing import Remembered
from pipelines.present.shelf import Shelf
from pipelines.present.side_by_side import EMPTY, compared_html, drawn_html
from pipelines.serving.comparing import Comparing
from pipelines.serving.keeping import LOST_FILES
from pipelines.serving.rivals import Rivals
from pipelines.serving.session import Session
from pipelines.types import UserError

TURN_OVER = """(...values) => {
  const button = document.querySelector("#turn-over");
  button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
  return values;
}"""
"""Runs in the browser, whose styles show one side or the other by what the button says."""
REMEMBERED = "(draft, own) => [glassbox.compared(), own]"
CHOSEN = "() => glassbox.rivals()"
MODEL_INFO = "The page's own first. On a server: NAME@http://HOST:PORT/v1"
CLOSED_INFO = "The page's own first."
SENT_ON = "What you ask a model on a server is sent on to that server."
PRICE_INFO = "Of the machine, in your currency. Empty: as in the settings. 0: not told."


@dataclass(frozen=True)
class ComparePane:
    """The models and prices of both sides, the composer, the status line, the replies, and the votes."""

    models: tuple[gr.Dropdown, gr.Dropdown]
    prices: tuple[gr.Number, gr.Number]
    composer: gr.MultimodalTextbox
    line: gr.HTML
    replies: gr.HTML
    buttons: dict[Choice, gr.Button]
    votes: gr.HTML


def compare_pane() -> ComparePane:
    """The other side of the page, which shows while the page is turned over."""
    with gr.Column(elem_id="compare"):
        with gr.Row(elem_id="compare-models"):
            models, prices = zip(*map(_side, NAMES), strict=True)
        composer = question_box("compare-composer", "Question to both", "Ask both about a picture or a clip …")
        html("", "compare-upload")
        line = html(status.line(), "compare-line")
        with gr.Row(elem_id="vote"):
            buttons = {choice: gr.Button(text, size="sm", min_width=90) for choice, text in ballot.CHOICES.items()}
        replies = html(EMPTY, "replies", script("folds.js"))
        with gr.Accordion("Votes", open=False, elem_id="votes"):
            votes = html(ballot.EMPTY, "ballot")
    return ComparePane(models, prices, composer, line, replies, buttons, votes)


def _side(name: str) -> tuple[gr.Dropdown, gr.Number]:
    with gr.Row(elem_classes="compare-side"):
        info = {"A": MODEL_INFO, "B": SENT_ON}[name]
        model = gr.Dropdown([], label=f"Model {name}", info=info, allow_custom_value=True, interactive=True, scale=3)
        price = gr.Number(None, label="Price of an hour", info=PRICE_INFO, minimum=0, min_width=110, scale=1)
    return model, price


def wire_compare(
    page: gr.Blocks,
    host: Host,
    session: gr.State,
    turn_over: gr.Button,
    pane: ComparePane,
    composer: gr.MultimodalTextbox,
    controls: Sequence[Any],
    requests: Sequence[Any],
) -> None:
    """Let a visitor compare; `composer` is the chat's, and `requests` shows what each request took."""
    comparison = gr.State(Comparison(), delete_callback=lambda left: left.stop.set())
    models, doing = list(pane.models), [pane.composer, pane.line, pane.replies]
    offered = [turn_over, *models, *pane.prices]  # an empty number begins as 0 with the framework, and is emptied here
    draft, *left = (gr.Textbox(visible="hidden") for _ in range(3))
    page.load(offering(host.rivals), left, offered, js=CHOSEN, **PRIVATE)
    for model in models:
        model.input(None, models, None, js="(...names) => glassbox.keepRivals(names)")
    page.load(restored, [draft, pane.composer], pane.composer, js=REMEMBERED, **PRIVATE)
    pane.composer.change(None, pane.composer, None, js="(message) => glassbox.keepCompared(message)")
    turn_over.click(filled, [composer, pane.composer, session], pane.composer, js=TURN_OVER, **AT_ONCE)
    turn_over.click(lambda asking: ballot.votes_html(all_votes(host, asking)), session, pane.votes, **AT_ONCE)

    begun = pane.composer.submit(beginning(host.rivals), [pane.composer, comparison, *models], doing, **AT_ONCE)
    given = [comparison, session, *pane.prices, *controls]
    limits: dict[str, Any] = {**PRIVATE, "concurrency_id": "ask", "concurrency_limit": MAX_ASKING}
    answered = begun.then(comparing(host), given, doing[1:], trigger_mode="once", **limits)
    ended = answered.then(finish, comparison, [pane.composer, pane.replies], **PRIVATE)
    ended.then(show_past, session, list(requests), **AT_ONCE)
    answered.failure(refused, comparison, doing, **AT_ONCE)
    pane.composer.stop(lambda compared: compared.stop.set(), comparison, None, **AT_ONCE)
    for choice, button in pane.buttons.items():
        button.click(voting(host, choice), [comparison, session], [pane.line, pane.votes], **PRIVATE)


def offering(rivals: Rivals) -> Callable[[str, str], tuple[Any, ...]]:
    """The handler that tells what may be compared, for `turn_over` and the models and prices of both sides."""

    def offer(first: str, second: str) -> tuple[Any, ...]:
        """With what was chosen before this tab was loaded again, as far as that may be."""
        if not rivals.may_compare:
            return (gr.skip(),) * 5
        names, is_open = rivals.offered(), rivals.is_open
        begins = names[0], (names[1] if len(names) > 1 else None)
        chosen = (
            name if name and (is_open or name in names) else begin
            for name, begin in zip((first, second), begins, strict=True)
        )
        infos = MODEL_INFO if is_open else CLOSED_INFO, SENT_ON
        sides = (
            gr.Dropdown(names, value=name, info=info, allow_custom_value=is_open)
            for name, info in zip(chosen, infos, strict=True)
        )
        return gr.Button(visible=True), *sides, None, None

    return offer


def restored(text: str, own: dict[str, Any] | None) -> Any:
    """What the composer held before this tab was loaded again; never in the place of something."""
    remembered = Remembered.of_json(text)
    draft = remembered_draft(remembered.question, remembered.files, uploads())
    if draft.files != tuple(map(Path, remembered.files)):
        gr.Warning(LOST_FILES)
    return gr.skip() if _holds(own) or draft == Draft("") else gr.MultimodalTextbox(value=composed(draft))


def _holds(own: dict[str, Any] | None) -> bool:
    return bool(own and (own.get("text") or own.get("files")))


def filled(chat: dict[str, Any] | None, own: dict[str, Any] | None, session: Session) -> Any:
    """What the composer begins with: what the chat's holds, or the last question; never in the place of something."""
    if _holds(own):
        return gr.skip()
    try:
        draft = draft_of(chat, uploads())
    except UserError:  # only a program sends such; asking tells it what is wrong
        return gr.skip()
    if not draft.question.strip() and not draft.files and session.rounds:
        draft = session.rounds[-1].draft
        is_whole = draft.files and draft.about is None  # else what it is about came before
        draft = draft if is_whole else Draft(draft.question, session.files)
    return gr.MultimodalTextbox(value=composed(draft))


def beginning(rivals: Rivals) -> Callable[..., tuple[Any, ...]]:
    """The handler that takes a question on its way."""

    def begin(
        message: dict[str, Any], comparison: Comparison, first: str | None, second: str | None
    ) -> tuple[Any, ...]:
        """Turn Send into Stop; what is missing is told, and nothing lost."""
        if comparison.is_running:
            return gr.skip(), gr.skip(), gr.skip()
        try:
            places = str(first or ""), str(second or "")
            comparison.begin(draft_of(message, uploads()), places, is_open=rivals.is_open)
        except UserError as error:
            comparison.sides = ()
            return gr.skip(), status.failed(str(error)), EMPTY
        return parts.asking_composer(), status.doing(None, 0.0), compared_html(comparison)

    return begin


def comparing(host: Host) -> Callable[..., Iterator[tuple[Any, Any]]]:
    """The handler that has both answer."""
    work = Comparing(host.model, host.rivals, host.turns)

    def compare(
        comparison: Comparison, session: Session, first: float | None, second: float | None, *controls: Any
    ) -> Iterator[tuple[Any, Any]]:
        if not comparison.sides or comparison.is_running:  # it was told already why not
            yield gr.skip(), gr.skip()
            return
        settings = Choices(*controls).settings()
        own = tuple(settings.price_per_hour if price is None else float(price) for price in (first, second))
        for line in host.listened(work.run(comparison, settings, own, session.history, host.visitor())):
            yield line, compared_html(comparison)

    return compare


def finish(comparison: Comparison) -> tuple[Any, ...]:
    """Draw what both named, and give the composer back with the question in it, for the next two models."""
    if comparison.sides:
        try:
            comparison.drawn = drawn_html(comparison, Shelf(uploads()))
        except UserError as error:
            comparison.drawn = undrawn_html(error)
        for side in comparison.sides:
            side.let_go()
    return parts.ready_composer(), compared_html(comparison)


def refused(comparison: Comparison) -> tuple[Any, ...]:
    """Give the composer back where the question found no place in the framework's queue, which has told so."""
    if all(side.reply is None for side in comparison.sides):
        comparison.sides = ()
    composer, replies = finish(comparison)
    return composer, status.line(), replies


def voting(host: Host, choice: Choice) -> Callable[[Comparison, Session], tuple[Any, ...]]:
    """The handler of one button."""

    def vote(comparison: Comparison, session: Session) -> tuple[Any, ...]:
        given = comparison.judged(choice)
        if given is None:
            return status.failed("There is nothing to vote about yet: ask both first."), gr.skip()
        session.history.vote(given)
        told = status.line(f"Your vote is kept: {ballot.CHOICES[choice]}.")
        try:
            if host.archive.folder is not None:
                keep(given, host.archive.folder)
        except UserError as error:
            told = status.failed(str(error))
        return told, ballot.votes_html(all_votes(host, session))

    return vote


def all_votes(host: Host, session: Session) -> list[Vote]:
    """Those that are kept for good where there is a place for them, else those of this visit."""
    return kept(host.archive.folder) if host.archive.folder is not None else session.history.votes
