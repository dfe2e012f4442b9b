"""The chunks of a server's stream as steps of a reply, in whichever dialect they come.

Reasoning comes as `reasoning_content` (SGLang, llama.cpp, DeepSeek, transformers, vLLM once), as `reasoning` (vLLM,
Ollama, OpenRouter), or in the text with its tags. Usage comes with the last chunk, behind it, or with each. Any field
may be missing or of another kind: what cannot be read is passed over, and an error that a server tells of ends it all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipelines.engine.base import Piece
from pipelines.engine.remote.events import SentEvent
from pipelines.engine.remote.fields import Cleaner, count, duration_ms, items, line, mapping, number, text
from pipelines.engine.remote.refusals import SaidError
from pipelines.engine.remote.server import called
from pipelines.types import Channel, FinishReason, Reported, ServerFailedError, UserError

REASONING = ("reasoning_content", "reasoning")
ENDS: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
}
NO_ENDS = ("", "null")
"""What SGLang and Ollama once said of a reply that goes on."""
WITHHELD = "The server at {host} withheld the reply by its rules for content: ask otherwise."
GIVEN_UP = "The server at {host} gave the reply up ({reason}): ask again in a while."


class Reading:
    """One reply as it is read. `is_plain` says that text without tags is the answer, thought or not."""

    def __init__(self, host: str, *, is_plain: bool) -> None:
        self._host, self._is_plain = host, is_plain
        self._is_told_apart = False
        self._tail = ""
        self._cleaners = {"reasoning": Cleaner(), "content": Cleaner()}
        self.finish_reason: FinishReason | None = None
        self.reported = Reported()
        self.has_begun = self.has_tags = False

    @property
    def is_told_apart(self) -> bool:
        """Whether the server itself told the reasoning from the answer."""
        return self._is_told_apart

    def take(self, event: SentEvent) -> Iterator[Piece]:
        """The text in an event.

        Raises SaidError for an error that the server tells of, UserError where it gave the reply up, and ValueError for
        what is no JSON.
        """
        if event.name == "error":
            raise SaidError(_loaded(event.data) if event.data.startswith("{") else event.data)
        chunk = mapping(_loaded(event.data)) if event.data.strip() else {}
        if chunk.get("error") or chunk.get("object") == "error":
            raise SaidError(chunk)
        self._note_usage(chunk)
        if model := text(chunk.get("model")):
            self.reported = replace(self.reported, model=called(model))
        for choice in items(chunk.get("choices"))[:1]:
            yield from self._pieces(mapping(choice))
            reason = mapping(choice).get("finish_reason")
            if reason is not None and reason not in NO_ENDS:
                yield from self.flush()
                self.finish_reason = self._end(str(reason))

    def flush(self) -> Iterator[Piece]:
        """What was held back, at the end of the reply."""
        for name, cleaner in self._cleaners.items():
            if rest := cleaner.flush():
                yield Piece(rest, "reasoning" if name == "reasoning" else self._channel(), 0)

    def _pieces(self, choice: Mapping[str, Any]) -> Iterator[Piece]:
        delta = mapping(choice.get("delta"))
        num_tokens, logprob = _likelihood(choice)
        thought = next((found for name in REASONING if (found := text(delta.get(name)))), "")
        said = text(delta.get("content")) or text(delta.get("refusal"))  # in words, as OpenAI's own models do
        self.has_begun = self.has_begun or bool(thought or said)
        if thought:
            self._is_told_apart = True
            yield Piece(self._cleaners["reasoning"].feed(thought), "reasoning", num_tokens, logprob)
        if said:
            self._note_tags(said)
            piece = Piece(self._cleaners["content"].feed(said), self._channel(), 0 if thought else num_tokens, logprob)
            self._is_plain = False
            yield piece

    def _channel(self) -> Channel | None:
        """Where text belongs. A plain reply is told to be an answer as it begins; tags in it count all the same."""
        return "answer" if self._is_told_apart or self._is_plain else None

    def _note_tags(self, said: str) -> None:
        """See whether the thought stands in the text, also where a tag is cut in two."""
        self.has_tags = self.has_tags or "think>" in self._tail + said
        self._tail = (self._tail + said)[-8:]

    def _end(self, reason: str) -> FinishReason:
        if reason in ENDS:
            return ENDS[reason]
        if reason == "content_filter":
            raise UserError(WITHHELD.format(host=self._host))
        raise ServerFailedError(GIVEN_UP.format(host=self._host, reason=line(reason)[:80]))

    def _note_usage(self, chunk: Mapping[str, Any]) -> None:
        usage, timings = mapping(chunk.get("usage")), mapping(chunk.get("timings"))
        prompt, reply = mapping(usage.get("prompt_tokens_details")), mapping(usage.get("completion_tokens_details"))
        if usage or timings:
            self.reported = Reported(
                prompt=count(usage.get("prompt_tokens")),
                reply=count(usage.get("completion_tokens")),
                cached=count(prompt.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))),
                reasoning=count(reply.get("reasoning_tokens")),
                prefill_ms=duration_ms(timings.get("prompt_ms")),
                decode_ms=duration_ms(timings.get("predicted_ms")),
                model=self.reported.model,
            )


def _likelihood(choice: Mapping[str, Any]) -> tuple[int, float | None]:
    """How many tokens a choice holds, and the sum of their logprobs, where it has them."""
    tokens = items(mapping(choice.get("logprobs")).get("content"))
    logprobs = [number(mapping(token).get("logprob")) for token in tokens]
    known = [logprob for logprob in logprobs if logprob is not None and logprob <= 0]
    return (len(tokens), sum(known) if len(known) == len(tokens) else None) if tokens else (1, None)


def _loaded(data: str) -> object:
    """JSON as it is. Raises ValueError for anything else."""
    try:
        loaded: object = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested without end") from error
    return loaded
