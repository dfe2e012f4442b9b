"""Runs the engine of ZeroGPU with the imitated host and a scripted reply, and tells what came.

A script for a process of its own, as what has threads should not be forked.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import gradio
import torch
from gradio.context import LocalContext

from pipelines import zerogpu
from pipelines.checkpoint import Checkpoint
from pipelines.engine import Closed, Engine, Enter, ScriptedEngine
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.types import EngineInfo, Settings, Token, TooLittleMemoryError, UserError, Work
from tests import lent_gpu

REPLY = "Let me look. " * 100 + "</think>\n\nA circle."
CHECKPOINT = Checkpoint.open(DEMO_FOLDER)


class Refusing(ScriptedEngine):
    """Refuses what has no tokens."""

    def generate(self, inputs: ModelInputs, *_: Any) -> Any:
        """Refuse, run out of memory, or fail in a way that nobody foresaw."""
        errors = (UserError("Too long."), RuntimeError("broken"), TooLittleMemoryError("Too little memory."))
        raise errors[inputs.num_tokens - 1]


def engine(make: Any) -> zerogpu.ZeroGpuEngine:
    """An engine whose GPU is lent by the imitation."""
    info = EngineInfo("scripted", "lent", "none", 4096)
    return zerogpu.ZeroGpuEngine(info, CHECKPOINT, make, lent_gpu.GPU, (gradio.Error,))


def inputs(num_tokens: int = 3) -> ModelInputs:
    """A prompt."""
    ids = torch.arange(num_tokens)[None]
    return ModelInputs(ids, torch.zeros_like(ids), thinking_open=True)


def ask(asked: Engine, prompt: ModelInputs, after: Any = None, **settings: Any) -> dict[str, Any]:
    """How a request went. `after` is called with the stop and the hurry at the third token."""
    stop, hurry, told = threading.Event(), threading.Event(), list[Work]()
    tokens, closed, end, kind = list[str](), 0, "", ""
    enter: Enter = told.append
    try:
        for step in asked.generate(prompt, Settings(**settings), enter, stop, hurry):
            if isinstance(step, Token):
                tokens.append(step.text)
            closed += isinstance(step, Closed)
            end = step if isinstance(step, str) else end
            if after and len(tokens) == 3:
                after(stop, hurry)
    except UserError as error:
        end, kind = str(error), type(error).__name__
    return {
        "kind": kind,
        "text": "".join(tokens),
        "num": len(tokens),
        "closed": closed,
        "end": end,
        "tasks": [w.task for w in told],
    }


def main() -> None:
    """Tell all as JSON."""
    LocalContext.request.set(object())
    slow = engine(lambda: ScriptedEngine(REPLY, CHECKPOINT, token_delay_s=0.01))
    fast = engine(lambda: ScriptedEngine(REPLY, CHECKPOINT))
    refusing = engine(lambda: Refusing(REPLY, CHECKPOINT))
    told = {
        "whole": ask(fast, inputs()),
        "stopped": ask(slow, inputs(), lambda stop, _: stop.set()),
        "hurried": ask(slow, inputs(), lambda _, hurry: hurry.set()),
        "refused": ask(refusing, inputs(1)),
        "broken": ask(refusing, inputs(2)),
        "no memory": ask(refusing, inputs(3)),
    }
    zerogpu.START_S, zerogpu.SPARE_S = -1.0, 0.0  # half a second for a reply that takes five
    slower = engine(lambda: ScriptedEngine(REPLY, CHECKPOINT, token_delay_s=0.05))
    told["cut"] = ask(slower, inputs(), max_new_tokens=100)
    lent_gpu._left_s = 0.0
    told["no quota"] = ask(fast, inputs())
    LocalContext.request.set(None)
    told["unknown visitor"] = ask(fast, inputs())
    print(json.dumps(told), file=sys.stderr)


if __name__ == "__main__":
    main()
