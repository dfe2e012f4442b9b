"""What follows an answer: it is drawn, timed, laid beside earlier ones, and looked back at word by word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr

from pipelines.conversation import subjects
from pipelines.fusion import seen_pixels
from pipelines.page import components as parts
from pipelines.page.components import AT_ONCE, MAX_ASKING, PRIVATE
from pipelines.page.host import Host, uploads
from pipelines.present import evidence, status, word_by_word
from pipelines.present.composer import draft_of
from pipelines.present.figures import pair, past, waterfall
from pipelines.present.pointing import pointed_html
from pipelines.present.reopened import reopened
from pipelines.present.shelf import Shelf
from pipelines.serving import looking_back
from pipelines.serving.model import Model
from pipelines.serving.session import Session
from pipelines.types import Roofline, UserError

WORD = "(asking) => [asking, glassbox.word]"
"""Runs in the browser as a look back begins, which may have waited for another one: the framework sends both with the
event of the first, and so with its word."""
CHECKED = """(told) => {
  const button = document.querySelector(`#evidence [data-check="${Number(told?.number)}"]`);
  if (!button) return;
  button.textContent = told.told;
  button.disabled = !told.may_come_again;
  delete button.dataset.waits;
  const chip = button.closest(".gb-chip");
  chip.classList.toggle("gb-doubtful", told.is_doubtful);
  chip.querySelector(".gb-show span").dataset.doubtful = glassbox.say("doubtful");
}"""
"""Runs in the browser: what a check came to is written on its mark."""
UNCHECKED = """() => document.querySelectorAll("#evidence [data-waits]").forEach((button) => {
  button.textContent = "Check";
  button.disabled = false;
  delete button.dataset.waits;
})"""
"""Runs in the browser where a check found no place in the framework's queue, which has told so."""


def wire_outcome(
    host: Host,
    session: gr.State,
    ended: Sequence[gr.events.Dependency],
    composer: gr.MultimodalTextbox,
    words: parts.WordsPane,
    requests: parts.PastPane,
) -> list[gr.events.Dependency]:
    """Give the composer back once a question has ended, and show the rest; what is returned is when it is back."""
    finished = [end.then(give_back, [session, composer], composer, **AT_ONCE) for end in ended]
    for given_back in finished:
        given_back.then(show_past, session, requests.shown, **AT_ONCE)
        given_back.then(show_words, session, [words.words, words.heat], **AT_ONCE)
    gr.on([one.input for one in requests.pair], compare, [session, *requests.pair], requests.compared, **AT_ONCE)
    wire_words(host, session, words)
    return finished


def finish(session: Session, model: Model) -> tuple[Any, ...]:
    """What `drawn` gives once a question has ended, whose next one is made ready; nothing where that is on its way."""
    if session.pending is not None:
        return (gr.skip(),) * 3
    last, result = session.answered, session.result
    told = drawn(session, model.roofline)
    if last is not None and result is not None:
        model.anticipate(last.request, result)
    return told


def give_back(session: Session, message: dict[str, Any]) -> Any:
    """The composer, with the question in it where that failed; as it is while another one is on its way."""
    if session.pending is not None:
        return gr.skip()
    return parts.ready_composer(session.take_returned(draft_of(message, uploads())))


def drawn(session: Session, roofline: Callable[[], Roofline | None] = lambda: None) -> tuple[Any, ...]:
    """The evidence and the times, drawn, and the part that the next question is about."""
    seen, times = session.drawn or (evidence.EMPTY, waterfall.EMPTY)
    result = session.result
    if result is not None:
        *_, current = subjects(session.rounds)
        given = evidence.Given(session.num_new_media, current, session.files, Shelf(uploads()), seen_pixels)
        try:
            seen = evidence.evidence_html(result, given)
        except UserError as error:
            seen = undrawn_html(error)
        session.result = None  # it holds every frame, and the page needs them no more
    record = session.take_record()
    if record is not None:
        times = waterfall.waterfall_html(record, roofline(), result, session.history.records)
    if result is not None or record is not None:
        session.drawn = seen, times
    return seen, times, pointed_html(session.pointed)


def undrawn_html(error: UserError) -> str:
    """What stands where something could not be drawn."""
    return f'<p class="gb-error">{escape(str(error))}</p>'


def shown(session: Session) -> tuple[Any, ...]:
    """All that shows a conversation in which nothing is on its way."""
    line, composer = status.resting(can_go_on=session.can_go_on), parts.ready_composer(session.take_returned())
    return session.shown(), line, composer, *drawn(session)


def redraw(session: Session) -> tuple[Any, ...]:
    """The evidence and the words of the last answer where it was opened again; they stay where it is shown."""
    if session.drawn is not None or session.pending is not None:
        return gr.skip(), gr.skip(), gr.skip()
    rounds = tuple(session.rounds)
    seen, answered = reopened(rounds, Shelf(uploads()))
    if session.drawn is None and session.pending is None and tuple(session.rounds) == rounds:
        session.drawn, session.answered = (seen, waterfall.EMPTY), answered
    return seen, *show_words(session)


def show_words(session: Session) -> tuple[str, str]:
    """The last reply word by word, and no heat map yet."""
    last = session.answered
    return word_by_word.words_html(last.result if last else None), ""


def wire_words(host: Host, session: gr.State, words: parts.WordsPane) -> None:
    """Show where the model looked at a word that is pointed at, and check the marks that are to be checked."""

    def look_back(asking: Session, places: str) -> str:
        try:
            with host.turns.beside(host.visitor()):
                return looking_back.where_it_looked(asking, places, host.model)
        except UserError as error:
            return undrawn_html(error)

    def check(asking: Session, mark: gr.SelectData) -> looking_back.Checked:
        try:
            with host.turns.beside(host.visitor()):
                return looking_back.checked(asking, mark.index, host.model)
        except UserError as error:
            return {"number": str(mark.index), "told": str(error), "is_doubtful": False, "may_come_again": True}

    limits: dict[str, Any] = {**PRIVATE, "concurrency_limit": MAX_ASKING}
    pointed_at = [session, gr.Textbox(visible="hidden")]
    words.words.select(look_back, pointed_at, words.heat, trigger_mode="always_last", js=WORD, **limits)
    checks = words.check.select(check, session, words.checked, trigger_mode="multiple", **limits)
    checks.then(None, words.checked, None, js=CHECKED)
    checks.failure(None, None, None, js=UNCHECKED)


def show_past(session: Session) -> tuple[Any, ...]:
    """The last requests, offered to be compared, and the newest two beside each other: what `PastPane.shown` holds."""
    history = session.history
    choices, (one, other) = past.labels(history), past.newest(history)
    chosen = gr.Dropdown(choices, value=one), gr.Dropdown(choices, value=other)
    return past.history_html(history), *chosen, pair.pair_html(history, one, other)


def compare(session: Session, one: int | None, other: int | None) -> str:
    """Two requests side by side."""
    return pair.pair_html(session.history, one, other)
