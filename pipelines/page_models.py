"""The part of the page that changes its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipelines.page_components import AT_ONCE, PRIVATE, html
from pipelines.present import status
from pipelines.present.swapping import Swapping

COST = "For everyone who uses this page. Answers that run are written to their end first."


@dataclass(frozen=True)
class ModelChoice:
    """The models that are offered, the two buttons, and the line that tells how far it is."""

    box: gr.Column
    names: gr.Dropdown
    load: gr.Button
    cancel: gr.Button
    line: gr.HTML


def model_choice() -> ModelChoice:
    """Unseen until it is known that there is a choice."""
    with gr.Column(visible=False, elem_id="model-choice") as box:
        names = gr.Dropdown([], label="Model", info=COST, interactive=True)
        with gr.Row():
            load = gr.Button("Load", size="sm")
            cancel = gr.Button("Cancel", size="sm")
        line = html(status.line(), "model-line")
    return ModelChoice(box, names, load, cancel, line)


def wire_models(
    page: gr.Blocks, choice: ModelChoice, swapping: Swapping, told: Callable[[], tuple[str, str]], about: list[Any]
) -> None:
    """Let a visitor change the model; `told` is what the page then says of it, in the parts `about`."""

    def offer() -> tuple[gr.Column, gr.Dropdown]:
        names = swapping.labels()
        return gr.Column(visible=len(names) > 1), gr.Dropdown(names, value=names[0][1] if names else None)

    page.load(offer, None, [choice.box, choice.names], **PRIVATE)
    loaded = choice.load.click(swapping.swap, choice.names, choice.line, trigger_mode="once", **PRIVATE)
    loaded.then(told, None, about, **PRIVATE)
    choice.cancel.click(swapping.cancel, None, None, **AT_ONCE)
