"""The part of the page that changes its model, and the way to it from where the page tells of the one that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from pipelines.page.components import AT_ONCE, PRIVATE, html
from pipelines.present import status
from pipelines.present.offers import Offer
from pipelines.serving.swapping import Swapping

COST = (
    "For everyone who uses this page. Answers that run are written to their end first. Memory is counted for a "
    "conversation of 8,192 tokens."
)
SHOW_CHOICE = """() => {
  const sidebar = document.querySelector("#settings");
  if (!sidebar.querySelector(".sidebar.open, &.open")) sidebar.querySelector(".toggle-button").click();
  const names = document.querySelector("#model-choice input");
  setTimeout(() => { names.scrollIntoView({ block: "center" }); names.focus({ preventScroll: true }); }, 300);
}"""
"""Runs in the browser."""


@dataclass(frozen=True)
class ModelChoice:
    """The models that are offered, the two buttons, and the line that tells how far it is."""

    box: gr.Column
    names: gr.Dropdown
    about: gr.HTML
    load: gr.Button
    cancel: gr.Button
    line: gr.HTML


def model_choice() -> ModelChoice:
    """Unseen until it is known that there is a choice. Cancel shows while the line says that it has a use."""
    with gr.Column(visible=False, elem_id="model-choice") as box:
        names = gr.Dropdown([], label="Model", info=COST, interactive=True)
        about = html("", "model-about")
        line = html(status.line(), "model-line")
        with gr.Row():
            load = gr.Button("Use it", size="sm", elem_id="use-model")
            cancel = gr.Button("Cancel", size="sm", elem_id="cancel-model")
    return ModelChoice(box, names, about, load, cancel, line)


def wire_models(
    page: gr.Blocks,
    choice: ModelChoice,
    swapping: Swapping,
    told: Callable[[], Iterator[tuple[Any, ...]]],
    about: list[Any],
    way: gr.Button,
) -> None:
    """Let a visitor change the model; `told` is what the page then says of it, in the parts `about`.

    `way` leads to the choice, from a page that has only the model that ships.
    """

    def offer() -> tuple[Any, ...]:
        offered = swapping.offered()
        wanted = _proposed(offered)
        names = gr.Dropdown([(one.label, one.name) for one in offered], value=wanted.name if wanted else None)
        is_seen = bool(offered) and is_shipped(offered[0])
        return gr.Column(visible=bool(offered)), names, *_told(wanted), gr.Button(visible=is_seen)

    def choose(name: str) -> tuple[str, gr.Button]:
        offer = next((one for one in swapping.offered() if one.name == name), None)
        return _told(offer, offer.rate if offer else "")

    offers = [choice.box, choice.names, choice.about, choice.load, way]
    page.load(offer, None, offers, **PRIVATE)
    gr.on([choice.names.input, way.click], choose, choice.names, [choice.about, choice.load], **AT_ONCE)
    loaded = choice.load.click(swapping.swap, choice.names, choice.line, trigger_mode="once", **PRIVATE)
    loaded.then(told, None, about, **PRIVATE).then(offer, None, offers, **PRIVATE)
    choice.cancel.click(swapping.cancel, None, None, **AT_ONCE)
    way.click(None, None, None, js=SHOW_CHOICE)


def is_shipped(first: Offer) -> bool:
    """Whether the shipped model answers: of one by another name none of those that are offered is present."""
    return first.is_present and not first.hub_id


def _proposed(offered: list[Offer]) -> Offer | None:
    """What stands in the choice at first: the smallest real model that fits where only the shipped one answers."""
    fitting = (one for one in offered[1:] if one.form)
    first = offered[0] if offered else None
    return next(fitting, first) if first and is_shipped(first) else first


def _told(offer: Offer | None, rate: str = "") -> tuple[str, gr.Button]:
    """What the chosen model is, with its `rate` where that is known, and what the button does with it."""
    can_press = offer is not None and offer.form is not None and not offer.is_present
    told = " · ".join(filter(None, [offer.label if offer else "", rate]))
    about = f'<p class="gb-note">{escape(told)}</p>'
    return about, gr.Button(offer.pressed if offer else "Use it", interactive=can_press)
