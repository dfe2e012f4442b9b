"""The settings: the sidebar, what they cost before a question is asked, and where they are kept: in the browser."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

import gradio as gr

from pipelines.page import models as page_models
from pipelines.page.components import AT_ONCE, PRIVATE, ChatPane, html
from pipelines.page.host import uploads
from pipelines.present import choices, sampling
from pipelines.present.choices import Choices
from pipelines.present.composer import uploaded
from pipelines.present.figures.pace import Pace
from pipelines.present.outlook import Here, foretell, line_html, table_html
from pipelines.present.preview import preview_html
from pipelines.serving.model import Model
from pipelines.types import UserError

PATHS_OF = "(message) => glassbox.keepDraft(message)"
"""Runs in the browser, which keeps the draft: what the composer holds changes with every key, and its files seldom."""
NAMES = [field.name for field in fields(Choices)]
BY_NAME = f"(kept, ...values) => Object.fromEntries({NAMES}.map((name, at) => [name, values[at]]))"
BUT_SYSTEM = f"(kept, ...values) => ({{ ...({BY_NAME})(kept, ...values), system: kept?.system ?? '' }})"
IF_TYPED = f"(...given) => (document.activeElement?.closest('#system') ? {BY_NAME} : {BUT_SYSTEM})(...given)"
"""A conversation that is opened brings its system prompt: what is kept as the visitor's own is what they type."""
KEPT = f"""(kept) => {{
  const options = {json.dumps(choices.OPTIONS)};
  return Object.entries({json.dumps(asdict(Choices()))}).map(([name, start]) => {{
    const value = kept?.[name], isKnown = options[name]?.includes(value) ?? typeof value === typeof start;
    return isKnown ? value : start;
  }});
}}"""
"""What the browser kept, for the controls; what is not known, as from an older page, is as at the start."""
NO_SYSTEM = "(kept) => ({ ...kept, system: '' })"
IN_THIS_TAB = "(system) => glassbox.rememberSystem(system)"
OWN_SYSTEM = "(kept) => kept?.system ?? ''"
NOT_BELOW_0 = "(value) => Math.max(Number(value) || 0, 0)"
MAKES_CUSTOM = f"() => {json.dumps(sampling.CUSTOM)}"
"""These handlers run in the browser and need no server."""


@dataclass(frozen=True)
class SettingsPane:
    """The controls in the order of the fields of `Choices`, what they cost, the button that resets them, the models."""

    controls: list[Any]
    costs: gr.HTML
    reset: gr.Button
    models: page_models.ModelChoice

    def named(self, *names: str) -> list[Any]:
        """Some of the controls, by the fields that they hold."""
        return [self.controls[NAMES.index(name)] for name in names]

    @property
    def sampling(self) -> list[Any]:
        """The fields that a preset fills."""
        return self.named("temperature", "top_p", "top_k", "min_p", "presence_penalty", "repetition_penalty")


def settings_pane() -> SettingsPane:
    """The sidebar, closed."""
    start = Choices()
    with gr.Sidebar(label="Settings", position="right", open=False, width=360, elem_id="settings"):
        models = page_models.model_choice()
        costs = html("", "choice-costs")
        controls = [
            _radio("Mode", choices.MODE_COST, start.mode, choices.OPTIONS["mode"]),
            _radio("Effort", choices.EFFORT_COST, start.effort, choices.effort_labels()),
            _radio("Picture detail", choices.DETAIL_COST, start.detail, choices.detail_labels()),
            _radio("Clip detail", choices.CLIP_DETAIL_COST, start.clip_detail, choices.clip_detail_labels()),
            _radio("Frames of a clip", choices.FRAMES_BY_COST, start.frames_by, choices.OPTIONS["frames_by"]),
            _slider("Frames a second", choices.FPS_COST, start.sample_fps, (0.5, 8, 0.5)),
            _slider("Number of frames", choices.FRAMES_COST, start.max_frames, (4, 768, 4)),
            gr.Textbox(start.system, label="System prompt", info=choices.SYSTEM_COST, lines=3, elem_id="system"),
            gr.Checkbox(
                start.look_closer, label="Look closer", info=choices.LOOK_COST, interactive=True, elem_id="look-closer"
            ),
            _number("Price of an hour", choices.PRICE_COST, start.price_per_hour),
        ]
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            controls += _advanced(start)
        reset = gr.Button("Reset", size="sm", elem_id="reset")
    return SettingsPane(controls, costs, reset, models)


def _advanced(start: Choices) -> list[Any]:
    return [
        _radio("Sampling", choices.PRESET_COST, start.preset, choices.OPTIONS["preset"]),
        _slider("Temperature", choices.TEMPERATURE_COST, start.temperature, (0, 2, 0.05)),
        _slider("Top-p", choices.TOP_P_COST, start.top_p, (0.05, 1, 0.05)),
        _slider("Top-k", choices.TOP_K_COST, start.top_k, (0, 200, 1)),
        _slider("Min-p", choices.MIN_P_COST, start.min_p, (0, 1, 0.01)),
        _slider("Presence penalty", choices.PRESENCE_COST, start.presence_penalty, (0, 2, 0.1)),
        _slider("Repetition penalty", choices.REPETITION_COST, start.repetition_penalty, (1, 2, 0.05)),
        _number("Seed", choices.SEED_COST, start.seed, 0),
        _slider("New tokens at most", choices.LENGTH_COST, start.max_new_tokens, (64, 32_768, 64)),
    ]


def _radio(label: str, info: str, value: str, options: Sequence[str | tuple[str, str]]) -> gr.Radio:
    return gr.Radio(list(options), value=value, label=label, info=info)


def _slider(label: str, info: str, value: float, scale: tuple[float, float, float]) -> gr.Slider:
    least, most, step = scale
    return _bounded(gr.Slider(least, most, value, step=step, label=label, info=info, interactive=True))


def _number(label: str, info: str, value: float, precision: int | None = None) -> gr.Number:
    return _bounded(gr.Number(value, label=label, info=info, minimum=0, precision=precision))


def _bounded(control: Any) -> Any:
    """The control, which takes what is out of bounds for the nearest value within.

    Gradio refuses it with an error, also while a number is still being typed.
    """
    most = math.inf if control.maximum is None else control.maximum
    control.preprocess = lambda value: min(max(value or 0, control.minimum), most)
    return control


def wire_settings(
    page: gr.Blocks, model: Model, pane: SettingsPane, new_chat: gr.Button
) -> tuple[gr.BrowserState, gr.events.Dependency]:
    """Keep the settings in the visitor's browser, reset them on demand, and fill the fields of a preset.

    What is returned is what the browser keeps, and when it is shown. A new chat has the visitor's own system prompt.
    """
    kept = gr.BrowserState(asdict(Choices()), storage_key="glassbox-settings", secret="glassbox")
    shown = page.load(None, kept, pane.controls, js=KEPT, **AT_ONCE)
    (system,) = pane.named("system")
    given = [kept, *pane.controls]
    gr.on([control.change for control in pane.controls], None, given, kept, js=IF_TYPED, **AT_ONCE)
    system.change(None, system, None, js=IN_THIS_TAB, **AT_ONCE)
    new_chat.click(None, kept, system, js=OWN_SYSTEM, **AT_ONCE)
    pane.reset.click(None, kept, kept, js=NO_SYSTEM, **AT_ONCE)
    pane.reset.click(lambda: astuple(Choices()), None, pane.controls, **AT_ONCE)

    def fill(preset: str, mode: str) -> tuple[Any, ...]:
        values = sampling.filling(preset, model.load().info.model, thinking=mode != choices.FAST)
        return values if values is not None else tuple(gr.skip() for _ in pane.sampling)

    preset, mode = pane.named("preset", "mode")
    gr.on([preset.input, mode.input], fill, [preset, mode], pane.sampling, **AT_ONCE)
    for number in pane.named("price_per_hour", "seed"):  # shows what is used, as the sliders do
        gr.on([number.blur, number.submit], None, number, number, js=NOT_BELOW_0, **AT_ONCE)
    gr.on([field.input for field in pane.sampling], None, None, preset, js=MAKES_CUSTOM, **AT_ONCE)
    return kept, shown


def show_costs(
    page: gr.Blocks, model: Model, chat: ChatPane, pane: SettingsPane, changes: Sequence[gr.events.Dependency]
) -> None:
    """Tell what the next question will cost, as soon as its files or the settings change, and behind each answer."""
    paths = gr.Textbox("[]", visible="hidden", elem_id="paths")

    def told(names: str, *values: Any, pace: Callable[[], Pace] = model.pace) -> tuple[Any, ...]:
        try:
            files, chosen = uploaded(json.loads(names), uploads()), Choices(*values)
            here = Here(model.foresee, pace(), model.policy.lowered)
            costs = preview_html(files, chosen.settings(), model.foresee) if files else ""
            line = line_html(foretell(files, chosen, here), here.pace, chosen.system or "")
            return costs, line, table_html(files, chosen, here)
        except (UserError, ValueError, TypeError):  # only a program sends such; asking tells it what is wrong
            return "", "", ""

    def told_first(*values: Any) -> tuple[Any, ...]:
        """Without the device's best, which takes a while to measure: the page is still being built."""
        return told("[]", *values, pace=lambda: model.measured() or Pace())

    def told_behind(message: dict[str, Any] | None, *values: Any) -> tuple[Any, ...]:
        """By what the composer was given back just now, which `paths` is yet to follow."""
        return told(json.dumps(message["files"] if message else []), *values)

    chat.composer.change(None, chat.composer, paths, js=PATHS_OF, **AT_ONCE)
    shown = [chat.costs, chat.outlook, pane.costs]
    (system,) = pane.named("system")
    changing = [control.change for control in pane.controls if control is not system]
    given: dict[str, Any] = {"concurrency_limit": 2, "trigger_mode": "always_last", **PRIVATE}
    page.load(told_first, pane.controls, shown, **PRIVATE)
    gr.on([paths.change, system.blur, *changing], told, [paths, *pane.controls], shown, **given)
    for changed in changes:
        changed.then(told_behind, [chat.composer, *pane.controls], shown, **given)
