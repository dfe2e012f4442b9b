"""The one seam of the program: what an engine is.

An engine turns model inputs into a reply. It does not know who asks, how the reply is parsed or that it is timed: it
announces each piece of work as it begins, and yields one `Token` for each generated id. What it sees with says what it
takes: with a `Checkpoint` it takes token ids; with no more than a `Vision` it hands the conversation on to a server,
and yields a `Piece` for whatever text comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from typing import Protocol

from pipelines.clocks import Clock
from pipelines.inputs import ModelInputs
from pipelines.types import (
    Channel,
    EngineInfo,
    FinishReason,
    Gaze,
    Reported,
    Roofline,
    Settings,
    ThoughtEnd,
    Token,
    Usage,
    Vision,
    Work,
)

Enter = Callable[[Work], None]
"""Called with the work that begins now, by the thread that does it: what is restored of the
conversation, each medium sent and looked at, each piece of the prefill, each decode step, and "others" while other
requests have their turn. An engine that tells of no decode steps
has them timed by the arrival of its tokens."""


@dataclass(frozen=True)
class Waiting:
    """The request has not begun: it is at this place in the queue, from 1."""

    place: int


@dataclass(frozen=True)
class Closed:
    """The engine ends the reasoning behind the last token, for this reason; the tokens that close it follow.

    With `is_anew`, what follows is a reply of its own instead, from a server that was asked again to answer at once.
    """

    reason: ThoughtEnd
    is_anew: bool = False


@dataclass(frozen=True)
class Kept:
    """Of the prompt, `num_tokens` were kept from before, and the tower had seen the media of `num_visual` already."""

    num_tokens: int
    num_visual: int


@dataclass(frozen=True)
class Piece:
    """Text of a reply that came from a server, of `num_tokens` tokens as far as that is known.

    `channel` is set where the server tells reasoning and answer apart; else both stand in the text with their tags.
    `logprob` is the sum over its tokens, None where it is not told.
    """

    text: str
    channel: Channel | None = None
    num_tokens: int = 1
    logprob: float | None = None


Step = Waiting | Kept | Token | Piece | Reported | Closed | Usage | FinishReason


class Engine(Protocol):
    """What answers."""

    @property
    def info(self) -> EngineInfo:
        """The model's name, device, dtype and context."""
        ...

    @property
    def vision(self) -> Vision:
        """How it sees: the model's `Checkpoint`, where early fusion is to make its token ids."""
        ...

    @property
    def clock(self) -> Clock:
        """What times the engine's stages on its device."""
        ...

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Yield the reply, then once why it ended. A set `stop` ends it within one token.

        With as many `Token`s as it may have new ones it ends for "length", whatever would follow.
        A set `hurry` ends the reasoning, and the answer begins. Raises `UserError` where the prompt and its reply
        cannot fit the context or the memory.
        """
        ...

    def roofline(self) -> Roofline | None:
        """The best that the device does with the model, measured once between two requests; None where unknown."""
        ...

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:
        """Where the model looked as it wrote the reply that `inputs` end with (`ModelInputs.followed_by`).

        None where there is no reply or nothing to look at, where the engine cannot tell, and where `stop` was set.
        Raises `UserError` where the memory does not suffice.
        """
        ...

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:
        """The log probability of each continuation of a prompt; None where the engine cannot tell or `stop` was set.

        Raises `UserError` where the memory does not suffice.
        """
        ...

    def anticipate(self, inputs: ModelInputs) -> None:
        """The next prompt of a conversation begins with `inputs`: what can be done for it before it comes may be done.

        It returns at once, and a request that comes meanwhile waits for a small part of that at most.
        """
        ...

    def forget(self, conversation: str) -> None:
        """Free what is kept of a conversation whose visitor has left."""
        ...
