"""A conversation in the chat format that Qwen's templates read, and the tools that a model is told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict


class ContentPart(TypedDict):
    """One item of a message's content, in the chat format that Qwen's templates read."""

    type: Literal["text", "image", "video"]
    text: NotRequired[str]


class ToolCall(TypedDict):
    """A call of a tool with its arguments as they were written."""

    name: str
    arguments: dict[str, str]


Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None


class Tool(TypedDict):
    """A tool as the model is told of it: its name, its description and the JSON schema of its parameters."""

    type: Literal["function"]
    function: Mapping[str, Json]


class Message(TypedDict):
    """One turn of a conversation, in the chat format that Qwen's templates read."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | Sequence[ContentPart]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[Sequence[ToolCall]]
