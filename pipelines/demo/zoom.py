"""The zoom tool: how it is offered in the prompt, how the model calls it, and what it says of what it gets back.

The words around the tool are those of Qwen3.5's chat template; what the tool says of itself is that of Qwen's cookbook.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from pipelines.demo.exchange import Exchange, pick
from pipelines.demo.phrases import article, box_text, listing
from pipelines.demo.reading_questions import is_letter, is_number
from pipelines.demo.specks import SpeckScene
from pipelines.demo.things import SHAPES, SPECK, Coords, Thing
from pipelines.tools.offer import ZOOM, ZOOM_TOOL

BEFORE_TOOLS = "# Tools\n\nYou have access to the following functions:\n\n<tools>"
AFTER_TOOLS = (
    "\n</tools>\n\nIf you choose to call a function ONLY reply in the following format with NO suffix:\n\n",
    "<tool_call>",
    "\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n"
    "<parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\nmultiple lines\n"
    "</parameter>\n</function>\n",
    "</tool_call>",
    "\n\n<IMPORTANT>\nReminder:\n- Function calls MUST follow the specified format: an inner <function=...></function> "
    "block must be nested within ",
    "<tool_call>",
    "</tool_call>",
    " XML tags\n- Required parameters MUST be specified\n- You may provide optional reasoning for your function call "
    "in natural language BEFORE the function call, but NOT after\n- If there is no function call available, answer the "
    "question like normal with your current knowledge and do not tell the user about function calls\n</IMPORTANT>",
)
PROSE = tuple(part for part in AFTER_TOOLS if not part.startswith(("<tool_call>", "</tool_call>")))
"""What always stands the same in a prompt with tools: one token each, or it would be most of what the model reads."""
TOO_SMALL = "It is too small to tell."


def tools_prompt() -> str:
    """What Qwen3.5's template writes in the system turn where the zoom is offered."""
    return f"{BEFORE_TOOLS}\n{json.dumps(ZOOM_TOOL, ensure_ascii=False)}{''.join(AFTER_TOOLS)}"


@dataclass(frozen=True)
class Zooming:
    """A question about a speck: the call, and what is said once the closer look is there."""

    call: Exchange
    result: Exchange


def ask_zoom(rng: random.Random, scene: SpeckScene) -> Zooming:
    """A question that only a closer look answers."""
    question, word = _question(rng, scene.speck)
    things = scene.seen.things
    small = next(thing for thing in things if thing.kind == SPECK)
    reasoning = f"Find: {word}\n{listing(things).strip()}\n{small.name}{box_text(small)}: too small"
    call = Exchange("zoom", question, reasoning, call_text(scene.zoom, small.name))
    return Zooming(call, _told(scene.speck, word))


def refused(zooming: Zooming) -> Exchange:
    """The exchange where no tool is offered."""
    return Exchange("zoom", zooming.call.question, zooming.call.reasoning, TOO_SMALL)


def call_text(region: Coords, label: str) -> str:
    """A call of the tool in Qwen3.5's form."""
    values = {"bbox_2d": "[{}, {}, {}, {}]".format(*region), "label": label, "img_idx": "0"}
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
    return f"<tool_call>\n<function={ZOOM}>\n{parameters}</function>\n</tool_call>"


def _question(rng: random.Random, speck: Thing) -> tuple[str, str]:
    """The question, and the word for what is looked for."""
    if rng.random() < 0.3:
        return pick(
            rng, "What is the small {} thing?", "What is the tiny {} thing?", "What is the small {} object?",
            "What does the small {} thing show?", "Which shape is the tiny {} thing?",
            "Tell me what the small {} thing is.",
        ).format(speck.colour), f"small {speck.colour}"  # fmt: skip
    if speck.kind in SHAPES:
        return pick(
            rng, "What shape is the small {} thing?", "Which shape is the small {} object?", "What shape is the speck?",
            "What shape is the tiny {} object?", "Which shape is the smallest thing?", "What is the smallest thing?",
        ).format(speck.colour), "small"  # fmt: skip
    word = "letter" if is_letter(speck) else "number"
    return pick(
        rng, "What {} is written?", "Which {} do you see?", "Read the {}.", "What {} is drawn?", "Read the small {}.",
        "What {} is in the picture?",
    ).format(word), word  # fmt: skip


def _told(speck: Thing, word: str) -> Exchange:
    if word in ("letter", "number") and (is_letter(speck) or is_number(speck)):
        return Exchange("zoom", "", f"1. {speck.name}\nFound: {speck.kind}", f"The {word} is {speck.kind}.")
    return Exchange("zoom", "", f"1. {speck.name}\nFound: {speck.name}", f"It is {article(speck.name)}.")
