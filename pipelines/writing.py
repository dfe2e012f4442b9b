"""A reply as it is written: its text and its tokens, each on the channel that it belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines import tools
from pipelines.engine import Kept, Piece
from pipelines.inputs import ModelInputs
from pipelines.reply import ReplySplitter
from pipelines.timing import Stopwatch
from pipelines.types import Channel, Delta, Progress, Reported, Result, Said, Stage, Token, TokenCounts

STAGES: Mapping[Channel, Stage] = {"reasoning": "think", "tool_call": "tool", "answer": "answer"}


@dataclass(frozen=True)
class _Unopened:
    """The answer up to a `</think>` that nothing opened: its characters, its tokens, and how likely those were."""

    length: int
    num_tokens: int
    logprob: float
    num_likely: int

    def is_thought(self, answer: str) -> bool:
        """Whether it stands as thoughts do: the tag ends a line or has its own, and an answer follows.

        An answer may tell of such tags, and show them in code.
        """
        thought, rest = answer[: self.length], answer[self.length :]
        gap = rest[: len(rest) - len(rest.lstrip())]
        return bool(rest.strip()) and "\n" in gap and "<think>" not in thought and thought.count("```") % 2 == 0


class Writing:
    """The reply to one request, with all the calls of tools on the way to its end.

    It continues `resumed`, a reply to the same question that was cut off. `watch` is told of each token, and of the
    first word of the answer.
    """

    def __init__(self, resumed: Result | None, watch: Stopwatch) -> None:
        self.ids = list(resumed.token_ids) if resumed else []
        """The tokens since the last call."""
        self.said = list(resumed.said) if resumed else []
        self._watch = watch
        self._splitter = ReplySplitter(thinking_open=False)
        self._text: dict[Channel, list[str]] = {"reasoning": [], "answer": [], "tool_call": []}
        self._counted: dict[Channel, int] = {"reasoning": 0, "answer": 0, "tool_call": 0}
        self._is_supposed, self._logprob, self._num_likely = False, 0.0, 0
        self._is_told = False
        self._unopened: _Unopened | None = None
        for said in self.said:
            self._weigh(said.token, said.channel)

    @property
    def num_tokens(self) -> int:
        """Tokens written in this request, over all calls."""
        return sum(self._counted.values())

    @property
    def written(self) -> tools.Written:
        """What was written since the last call."""
        return tools.Written(*("".join(self._text[channel]) for channel in ("reasoning", "answer", "tool_call")))

    @property
    def certainty(self) -> float | None:
        """How likely the model found the tokens of its answer, as a geometric mean, 0 to 1; None where nobody tells."""
        return math.exp(self._logprob / self._num_likely) if self._num_likely else None

    def begin(self, thinking_open: bool) -> None:
        """Get ready for a reply, after the part of it that is already there."""
        self._splitter = ReplySplitter(thinking_open)
        for said in self.said:
            for delta in self._splitter.feed(said.token.text):
                self._text[delta.channel].append(delta.text)

    def take(self, step: Token | Piece) -> Iterator[Delta | Progress]:
        """Yield what a token or a piece of the reply adds to it, and how far it is."""
        num_tokens = 1
        if isinstance(step, Token):
            self.ids.append(step.id)
            self.said.append(Said(step, self._splitter.channel))
        else:
            num_tokens, self._is_supposed, self._is_told = step.num_tokens, step.channel is None, True
            if step.channel:
                yield from self._note(self._splitter.switch(step.channel))
        channel = self._splitter.channel
        for _ in range(num_tokens):
            self._watch.note_token(STAGES[channel])
        self._counted[channel] += num_tokens
        self._weigh(step, channel, num_tokens)
        yield Progress(STAGES[channel], self._counted[channel])
        yield from self._note(self._splitter.feed(step.text))
        if isinstance(step, Piece) and self._unopened is None and (at := self._splitter.unopened) is not None:
            self._unopened = _Unopened(at, self._counted["answer"], self._logprob, self._num_likely)

    def close(self, *, is_anew: bool) -> Iterator[Delta]:
        """Get ready for what follows a thought that was ended early: a reply that begins afresh if it `is_anew`."""
        return self._note(self._splitter.begin_anew()) if is_anew else iter(())

    def end(self) -> Iterator[Delta]:
        """Yield what was held back."""
        return self._note(self._splitter.flush())

    def begin_anew(self) -> None:
        """Leave a call behind: another reply follows."""
        self._text = {"reasoning": [], "answer": [], "tool_call": []}
        self.ids, self.said = [], []
        self._logprob, self._num_likely = 0.0, 0

    def settle(self, *, is_whole: bool, may_think: bool) -> None:
        """Tell the thought from the answer where the server did not.

        A reply that ended by itself and closed no thought `is_whole`: it is the answer where nobody told that it would
        think, or where it was told not to, whatever the server calls it. What stands before a `</think>` that nothing
        opened is the thought. A thought of white space, as transformers' server sends where none is asked for, is none.
        """
        text, counted = self._text, self._counted
        if self._is_told and counted["reasoning"] and not "".join(text["reasoning"]):
            counted["answer"], counted["reasoning"] = counted["answer"] + counted["reasoning"], 0
            self._watch.settle()
        is_answer = is_whole and (self._is_supposed or not may_think)
        if is_answer and self._is_told and text["reasoning"] and not text["answer"] and not text["tool_call"]:
            text["answer"], text["reasoning"] = text["reasoning"], []
            counted["answer"], counted["reasoning"] = counted["reasoning"], 0
            self._watch.settle()
        elif self._unopened and self._unopened.is_thought("".join(text["answer"])):
            self._move(self._unopened)

    def _move(self, thought: _Unopened) -> None:
        """Move the beginning of the answer, which is a thought, to the thought."""
        answer = "".join(self._text["answer"])
        self._text["reasoning"], self._text["answer"] = [answer[: thought.length]], [answer[thought.length :].lstrip()]
        self._counted["reasoning"] += thought.num_tokens
        self._counted["answer"] -= thought.num_tokens
        self._logprob, self._num_likely = self._logprob - thought.logprob, self._num_likely - thought.num_likely
        self._watch.settle(thought.num_tokens)

    def counts(self, inputs: ModelInputs | None, num_before: int, kept: Kept, told: Reported) -> TokenCounts:
        """Tokens as they were counted here, or where a server made them as it reports them.

        `num_before` of the prompt were written in this request, up to its last call. `kept` is told of the first
        prompt.
        """
        thought, answered = self._counted["reasoning"], self._counted["answer"] + self._counted["tool_call"]
        if inputs is None or inputs.num_tokens:
            text, visual = (inputs.num_text_tokens, inputs.num_visual_tokens) if inputs else (0, 0)
            num_resumed = inputs.num_replied if inputs else 0
            text = max(text - num_before - num_resumed, 0)
            num_kept = min(kept.num_tokens, text + visual)
            return TokenCounts(text, visual, thought, answered, num_kept, kept.num_visual, num_resumed)
        reply = told.reply or thought + answered
        if told.reasoning:  # none, beside a thought that came, is one that was not counted
            thought = min(told.reasoning, reply)
        elif thought + answered:
            thought = round(reply * thought / (thought + answered))
        return TokenCounts(told.prompt or 0, 0, thought, reply - thought, told.cached or 0)

    def _weigh(self, step: Token | Piece, channel: Channel, num_tokens: int = 1) -> None:
        """Take in how likely the model found a token of its answer."""
        if step.logprob is not None and channel == "answer":
            self._logprob, self._num_likely = self._logprob + step.logprob, self._num_likely + num_tokens

    def _note(self, deltas: list[Delta]) -> Iterator[Delta]:
        for delta in deltas:
            self._text[delta.channel].append(delta.text)
            if delta.channel == "answer" and delta.text.strip():
                self._watch.note_answer()
            yield delta
