"""What a model is asked: the conversation in the chat format, and the inputs that fusion makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines import tools
from pipelines.engine import Engine
from pipelines.fusion import inputs_for
from pipelines.inputs import ModelInputs
from pipelines.types import Clip, ContentPart, Look, Media, Message, Request, Result, Turn


def fused(request: Request, media: tuple[Media, ...], looks: Sequence[Look], engine: Engine) -> ModelInputs:
    """The model's inputs for a request whose files are open, followed by what it has looked at more closely so far."""
    settings, vision = request.settings, engine.vision.limited(request.settings.max_pixels)
    messages, seen = [*messages_of(request, media), *tools.told(looks)], (*media, *tools.shown(looks))
    offer = tools.offered(media) if settings.look_closer else ()
    inputs = inputs_for(vision, messages, seen, settings.thinking, offer)
    return replace(inputs, conversation=request.conversation)


def beginning_of_next(request: Request, result: Result, engine: Engine) -> ModelInputs:
    """How the next prompt begins whatever is asked: the part that is the same for two different questions.

    The engine takes token ids, and the result holds all media of its request.
    """
    told = Turn(request.question, request.media, result.answer)
    following = replace(request, history=(*request.history, told), media=(), resumed=None)
    one, other = (fused(replace(following, question=question), result.media, (), engine) for question in ("What", "Is"))
    return one.shared_with(other)


def messages_of(request: Request, media: tuple[Media, ...]) -> list[Message]:
    """The conversation in the chat format: the system prompt, then each turn's media before its text."""
    kinds = iter("video" if isinstance(item, Clip) else "image" for item in media)
    system = request.settings.system.strip()
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for turn in request.history:
        messages.append(_ask([next(kinds) for _ in turn.media], turn.question))
        messages.append({"role": "assistant", "content": turn.answer})
    messages.append(_ask(list(kinds), request.question))
    return messages


def _ask(kinds: list[str], question: str) -> Message:
    items: list[ContentPart] = [{"type": "video" if kind == "video" else "image"} for kind in kinds]
    return {"role": "user", "content": [*items, {"type": "text", "text": question}]}
