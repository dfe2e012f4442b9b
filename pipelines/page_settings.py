"""The settings: kept in the visitor's browser, and what the files in the composer will cost with them."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import gradio as gr

from pipelines.page_components import AT_ONCE, PRIVATE
from pipelines.page_host import uploads
from pipelines.present.choices import Choices
from pipelines.present.model import Model
from pipelines.present.preview import preview_html
from pipelines.present.session import uploaded
from pipelines.types import UserError

PATHS_OF = "(message) => glassbox.keepDraft(message)"
"""Runs in the browser, which keeps the draft: what the composer holds changes with every key, and its files seldom."""


def keep_choices(page: gr.Blocks, controls: list[Any], reset: gr.Button) -> None:
    """Keep the settings in the visitor's browser, and reset them on demand."""
    start = astuple(Choices())
    kept = gr.BrowserState(start, storage_key="glassbox-settings", secret="glassbox")
    # a browser may still hold what an older page with other settings left there
    page.load(lambda values: tuple(values) if len(values) == len(start) else start, kept, controls, **AT_ONCE)
    gr.on([control.change for control in controls], lambda *values: values, controls, kept, **AT_ONCE)
    reset.click(lambda: start, None, controls, **AT_ONCE)


def show_costs(model: Model, composer: gr.MultimodalTextbox, controls: list[Any], costs: gr.HTML) -> None:
    """Tell what the files in the composer will cost, as soon as these or the settings change."""
    paths = gr.Textbox("[]", visible="hidden", elem_id="paths")

    def foretell(names: str, *values: Any) -> str:
        try:
            files = uploaded(json.loads(names), uploads())
            return preview_html(files, Choices(*values).settings(), model.foresee) if files else ""
        except (UserError, ValueError, TypeError):  # only a program sends such; asking tells it what is wrong
            return ""

    composer.change(None, composer, paths, js=PATHS_OF, **AT_ONCE)
    gr.on(
        [paths.change, *(control.change for control in controls)],
        foretell,
        [paths, *controls],
        costs,
        concurrency_limit=2,
        trigger_mode="always_last",
        **PRIVATE,
    )
