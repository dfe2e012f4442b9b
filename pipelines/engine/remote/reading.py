"""The chunks of a server's stream as steps of a reply, in whichever dialect they come.

Reasoning comes as `reasoning_content` (SGLang, llama.cpp, DeepSeek, transformers, vLLM once), as `reasoning` (vLLM,
Ollama, OpenRouter), or in the text with its tags. Usage comes with the last chunk, behind it, or with each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipelines.engine.base import Piece
from pipelines.types import FinishReason, Reported, ServerFailedError, UserError

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk

REASONING = ("reasoning_content", "reasoning")
ENDS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "tool_calls": "stop", "eos_token": "stop"}
WITHHELD = "The server at {host} withheld the reply by its rules for content: ask otherwise."
GIVEN_UP = "The server at {host} gave the reply up ({reason}): ask again in a while."


class Reading:
    """One reply as it is read. `is_plain` says that text without tags is the answer, thought or not."""

    def __init__(self, host: str, *, is_plain: bool) -> None:
        self._host, self._is_plain = host, is_plain
        self._is_told_apart = False
        self._tail = ""
        self.finish_reason: FinishReason | None = None
        self.reported = Reported()
        self.has_tags = False

    @property
    def is_told_apart(self) -> bool:
        """Whether the server itself told the reasoning from the answer."""
        return self._is_told_apart

    def take(self, chunk: ChatCompletionChunk) -> Iterator[Piece]:
        """The text in a chunk. Raises UserError where the server gave the reply up."""
        self._note_usage(chunk)
        for choice in chunk.choices[:1]:
            yield from self._pieces(choice)
            if choice.finish_reason is not None:
                self.finish_reason = self._end(str(choice.finish_reason))

    def _pieces(self, choice: Any) -> Iterator[Piece]:
        fields = choice.delta.model_dump() if choice.delta is not None else {}
        num_tokens, logprob = _likelihood(choice)
        thought = next((fields[name] for name in REASONING if fields.get(name)), None)
        if thought:
            self._is_told_apart = True
            yield Piece(str(thought), "reasoning", num_tokens, logprob)
        if text := fields.get("content"):
            self._note_tags(str(text))
            is_answer = self._is_told_apart or self._is_plain
            yield Piece(str(text), "answer" if is_answer else None, 0 if thought else num_tokens, logprob)

    def _note_tags(self, text: str) -> None:
        """See whether the thought stands in the text, also where a tag is cut in two."""
        self.has_tags = self.has_tags or "think>" in self._tail + text
        self._tail = (self._tail + text)[-8:]

    def _end(self, reason: str) -> FinishReason:
        if reason in ENDS:
            return ENDS[reason]
        if reason == "content_filter":
            raise UserError(WITHHELD.format(host=self._host))
        raise ServerFailedError(GIVEN_UP.format(host=self._host, reason=" ".join(reason.split())[:80]))

    def _note_usage(self, chunk: ChatCompletionChunk) -> None:
        timings = _mapping((chunk.model_extra or {}).get("timings"))
        usage = _mapping(chunk.usage.model_dump()) if chunk.usage is not None else {}
        prompt, reply = _mapping(usage.get("prompt_tokens_details")), _mapping(usage.get("completion_tokens_details"))
        if usage or timings:
            self.reported = Reported(
                prompt=_count(usage.get("prompt_tokens")),
                reply=_count(usage.get("completion_tokens")),
                cached=_count(prompt.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))),
                reasoning=_count(reply.get("reasoning_tokens")),
                prefill_ms=_number(timings.get("prompt_ms")),
                decode_ms=_number(timings.get("predicted_ms")),
            )


def _likelihood(choice: Any) -> tuple[int, float | None]:
    """How many tokens a choice holds, and the sum of their logprobs, where it has them."""
    tokens = choice.logprobs.content if choice.logprobs is not None else None
    return (len(tokens), sum(token.logprob for token in tokens)) if tokens else (1, None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
