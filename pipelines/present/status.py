"""The status line: what happens now, in a line that a screen reader announces when the phase changes.

Numbers that run stand outside of what is announced, or a listener would hear every tick.
"""

from __future__ import annotations

from html import escape
from typing import Literal

from pipelines.present.counted import counted
from pipelines.present.figures.rates import decode_rate
from pipelines.types import FinishReason, Progress, Result, Stage, ThoughtEnd

Tone = Literal["calm", "busy", "busy gb-thinking", "error"]
"""How the line looks, and whether the button to answer now belongs beside it."""

DOING: dict[Stage, str] = {
    "queue": "Waiting",
    "open": "Reading the files",
    "frames": "Reading the frames",
    "fuse": "Putting words and patches together",
    "restore": "Remembering",
    "send": "Sending",
    "vision": "Looking",
    "prefill": "Reading the question",
    "think": "Thinking",
    "tool": "Calling a tool",
    "look": "Looking closer",
    "answer": "Answering",
    "others": "Waiting",
    "deliver": "Reading the answer",
}
SERVER_FAULT = "Something went wrong on the server; your question is kept. Try again."
WAITING = "Waiting for the model"
BEFORE_THIS = "Waiting for your question before this one"
EDITING = "Editing question {number}: sending it replaces it and all that follows."
STOPPED_EARLY = "Stopped by you before it began; your question is kept."
ENDS = {
    "stop": "Done",
    "cancelled": "Stopped by you",
    "length": "Cut off: the reply reached its limit of new tokens",
}
FULL = "Cut off: the model's context of {context_tokens:,} tokens is full"
UNANSWERED: dict[FinishReason, str] = {
    "stop": "It ended without an answer.",
    "length": "No answer: it was still thinking when its tokens ran out.",
    "cancelled": "Stopped by you.",
}
THOUGHT_ENDS: dict[ThoughtEnd, str] = {
    "budget": "The thought was ended at its limit of tokens.",
    "asked": "The thought was ended by you.",
    "loop": "The thought went in a circle and was ended.",
}


def line(
    text: str = "", running: str = "", tone: Tone = "calm", editing: int | None = None, *, can_go_on: bool = False
) -> str:
    """The line: `text` is announced, `running` is only seen.

    While the question of the place `editing` is in the composer, it says so, and the button that leaves it is shown.
    Else, where the last reply `can_go_on`, it is the button for that.
    """
    if editing is not None:
        text = f"{text} {EDITING.format(number=editing + 1)}".strip()
    button = " gb-cut" if can_go_on else ""
    button = button if editing is None else " gb-editing"
    moving = f'<span aria-hidden="true">{escape(running)}</span>' if running else ""
    return f'<p class="gb-status gb-{tone}{button}" role="status">{escape(text)}{moving}</p>'


def resting(editing: int | None = None, *, can_go_on: bool) -> str:
    """The line while nothing is on its way; of a last reply that ran out of tokens it says so, and lets it go on."""
    return line(ENDS["length"] if can_go_on else "", editing=editing, can_go_on=can_go_on)


def doing(progress: Progress | None, elapsed_s: float, speed: float = 0.0) -> str:
    """What happens now: for how long already, how much of it is done, and at what `speed` in tokens a second."""
    if progress is None:
        return line(WAITING, f" · {elapsed_s:.1f} s", "busy")
    tone: Tone = "busy gb-thinking" if progress.stage == "think" else "busy"
    return line(DOING[progress.stage], f"{_done(progress, speed)} · {elapsed_s:.1f} s", tone)


def _done(progress: Progress, speed: float) -> str:
    if progress.stage == "queue":
        return f" · {progress.done} before you" if progress.done else ""
    if progress.total:
        return f" · {progress.done} of {progress.total} frames"
    if not progress.done:
        return ""
    rate = f" · {speed:.0f} tok/s" if speed else ""
    return f" · {counted(progress.done, 'token')}{rate}"


def ended(result: Result) -> str:
    """How it ended, and what it took."""
    thought, answered, rate = result.tokens.reasoning, result.tokens.answer, decode_rate(result)
    full = FULL.format(context_tokens=result.engine.context_tokens)
    parts = [
        full if result.fills_context else ENDS[result.finish_reason],
        f"{result.timing.total_ms / 1000:.1f} s",
        *([f"{counted(thought, 'token')} thought"] if thought else []),
        *([f"{answered:,} answered" if thought else f"{counted(answered, 'token')} answered"] if answered else []),
        *([f"{rate:.0f} tok/s"] if rate else []),
    ]
    return line(" · ".join(parts), can_go_on=result.can_go_on)


def failed(sentence: str, editing: int | None = None, *, can_go_on: bool = False) -> str:
    """What the user can put right, also where a question is edited, or the last reply can go on."""
    return line(sentence, tone="error", editing=editing, can_go_on=can_go_on)
