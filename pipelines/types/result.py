"""What a request came to: the whole result, and the record of what it took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipelines.types.media import Media, Sight
from pipelines.types.places import Grounding
from pipelines.types.reply import Delta, Look, Said
from pipelines.types.times import Progress, Timing, Upload, Usage

FinishReason = Literal["stop", "length", "cancelled"]
ThoughtEnd = Literal["budget", "asked", "loop"]
"""Why the engine ended the reasoning, where the model did not: it used its tokens up, the user asked, or it circled."""


@dataclass(frozen=True)
class Reported:
    """What a server says of a request itself, as far as it does: tokens, and ms of its own work.

    `cached` of the tokens of the prompt were there from before; `reasoning` is the part of `reply` that was thought.
    `model` is what it calls the model that answered, which may be another one than was asked for.
    """

    prompt: int | None = None
    reply: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None
    model: str = ""


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of the prompt (`text`, `visual`) and of the reply (`reasoning`, `answer`) that this request took.

    `kept` of the prompt were there from before and not prefilled, and `kept_visual` not looked at by the tower. Where
    a server counted the prompt as a whole, `text` is all of it. Where a reply goes on, the prompt ends with `resumed`
    tokens of it, which none of the others count.
    """

    text: int
    visual: int
    reasoning: int
    answer: int
    kept: int = 0
    kept_visual: int = 0
    resumed: int = 0


@dataclass(frozen=True)
class EngineInfo:
    """What runs: the model's name, the device and dtype it runs on, and the size of its context in tokens.

    `kernels` says in a line what its decode step and its prefill are made of, empty where that is not known; `engine`
    names the implementation. Of a model on a server of somebody's, `server` is its address, `device` tells what serves
    it, and `dtype` and `context_tokens` may be unknown: empty and 0.
    """

    model: str
    device: str
    dtype: str
    context_tokens: int
    kernels: str = ""
    engine: str = "local"
    server: str = ""

    @property
    def place(self) -> str:
        """What it runs on, in words."""
        return f"{self.device}, {self.dtype}" if self.dtype else self.device


@dataclass(frozen=True, eq=False)
class Result:
    """A finished (or stopped) reply and everything a page or a program may show of it."""

    engine: EngineInfo
    reasoning: str
    answer: str
    grounding: Grounding
    timing: Timing
    tokens: TokenCounts
    finish_reason: FinishReason
    media: tuple[Media, ...]
    sights: tuple[Sight, ...] = ()
    """How the model saw each of `media`; empty where it was stopped before."""
    thought_end: ThoughtEnd | None = None
    """Why the engine ended the reasoning; None where the model did, or has not yet."""
    token_ids: tuple[int, ...] = ()
    """The reply as the model wrote it; empty where a server did."""
    looks: tuple[Look, ...] = ()
    """What the model looked at more closely before it answered, each with the thought before it."""
    said: tuple[Said, ...] = ()
    """The tokens of the last thought and of the answer; empty where a server wrote them."""
    reported: Reported | None = None
    """What a server says of the request."""
    certainty: float | None = None
    """How likely the model held each token of its answer, 0 to 1, their geometric mean; None where nobody tells."""

    @property
    def fills_context(self) -> bool:
        """Whether it was cut off where the model's context ends: more new tokens would not help."""
        tokens, room = self.tokens, self.engine.context_tokens
        num_tokens = tokens.text + tokens.visual + tokens.resumed + tokens.reasoning + tokens.answer
        return self.finish_reason == "length" and 0 < room <= num_tokens

    @property
    def can_go_on(self) -> bool:
        """Whether it ran out of tokens where more may follow. A server's replies cannot go on."""
        return self.finish_reason == "length" and not (self.engine.server or self.fills_context)


Outcome = FinishReason | Literal["refused", "out of memory", "failed"]


@dataclass(frozen=True)
class Record:
    """What one request took, however it ended.

    `asked_at` is when it was asked, in Unix seconds; `price_per_hour` what an hour of the machine costs, in whatever
    currency, and 0 where that is not known. `uploads` came before it was asked.
    """

    question: str
    media: tuple[str, ...]
    num_frames: int
    engine: EngineInfo
    timing: Timing
    tokens: TokenCounts
    outcome: Outcome
    asked_at: float
    usage: Usage | None = None
    price_per_hour: float = 0.0
    uploads: tuple[Upload, ...] = ()


Observe = Callable[[Progress | Record], None]
"""Told how far a request is and, once, when it has ended, what it took."""
Deltas = Iterator[Delta | Look | Result]
Arrival = Delta | Look | Result | Progress | Record
"""All that comes of a request while it runs."""
