"""The messages of the chat as plain values, in the form that the page's chat component reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from pipelines.present.counted import counted
from pipelines.present.linked import linked_markdown
from pipelines.present.markdown import as_typed, safe_markdown
from pipelines.types import Grounding


class TextPart(TypedDict):
    """Markdown. A bare string would lose its indentation on the way."""

    type: Literal["text"]
    text: str


class FilePart(TypedDict):
    """A picture or a clip, by the path of the upload."""

    path: str


class Thought(TypedDict):
    """What makes a message a folding block: open while pending."""

    title: str
    status: Literal["pending", "done"]
    log: NotRequired[str]
    duration: NotRequired[float]


class ChatMessage(TypedDict):
    """One message."""

    role: Literal["user", "assistant"]
    content: list[TextPart | FilePart]
    metadata: NotRequired[Thought]


def asked(question: str, files: Sequence[Path]) -> ChatMessage:
    """What the user sent: the files, then the question."""
    content: list[TextPart | FilePart] = [{"path": str(path)} for path in files]
    if question.strip():
        content.append({"type": "text", "text": as_typed(question)})
    return {"role": "user", "content": content}


def said(answer: str) -> ChatMessage:
    """What the model answers, while it grows."""
    return {"role": "assistant", "content": [_text(answer)]}


def answered(answer: str, grounding: Grounding, longest_s: float | None = None) -> ChatMessage:
    """What the model answered to its end, tied to its evidence; its longest clip as `linked_markdown` takes it."""
    return {"role": "assistant", "content": [{"type": "text", "text": linked_markdown(answer, grounding, longest_s)}]}


def thinking(reasoning: str) -> ChatMessage:
    """Reasoning that still grows."""
    return {
        "role": "assistant",
        "content": [_text(reasoning)],
        "metadata": {"title": "Thinking", "status": "pending"},
    }


def thought(reasoning: str, duration_s: float | None = None, num_tokens: int | None = None) -> ChatMessage:
    """Finished reasoning, folded, with what it took: its tokens are known when the whole reply has ended."""
    metadata: Thought = {"title": "Thought", "status": "done"}
    if duration_s is not None:
        metadata["duration"] = round(duration_s, 1)
    if num_tokens is not None:
        metadata["log"] = counted(num_tokens, "token")
    return {"role": "assistant", "content": [_text(reasoning)], "metadata": metadata}


def _text(text: str) -> TextPart:
    return {"type": "text", "text": safe_markdown(text)}
