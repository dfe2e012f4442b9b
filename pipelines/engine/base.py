"""What an engine is: the one seam of the program.

An engine turns model inputs into a reply. It does not know who asks, how the reply is parsed or that it is timed: it
announces each piece of work as it begins, and yields one `Token` for each generated id. Its `vision` says what it
takes: with a `Checkpoint` it takes token ids; with a plain `Vision` it hands the conversation on to a server, and
yields a `Piece` for whatever text comes back.
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
"""Called with the work that begins now, by the thread that does it: restoring the conversation, sending and looking at
each medium, each piece of the prefill, each decode step, and "others" while other requests have their turn. If an
engine announces no decode steps, they are timed by the arrival of its tokens."""


@dataclass(frozen=True)
class Waiting:
    """The request has not begun: this is its place in the queue, from 1."""

    place: int


@dataclass(frozen=True)
class Closed:
    """The engine ends the reasoning after the last token, for this reason; the tokens that close it follow.

    With `is_anew`, a new reply follows instead, from a server that was asked again to answer at once.
    """

    reason: ThoughtEnd
    is_anew: bool = False


@dataclass(frozen=True)
class Kept:
    """`num_tokens` of the prompt were kept from before; the tower had already seen the media of `num_visual` tokens."""

    num_tokens: int
    num_visual: int


@dataclass(frozen=True)
class Piece:
    """Text of a reply from a server, of `num_tokens` tokens as far as that is known.

    `channel` is set if the server separates reasoning from answer; if not, the text holds both with their tags.
    `logprob` is the sum over its tokens, None if the server gives none.
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
        """How it sees: the model's `Checkpoint` if early fusion is to make its token ids."""
        ...

    @property
    def clock(self) -> Clock:
        """What times the engine's stages on its device."""
        ...

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Yield the reply, then once why it ended. Setting `stop` ends it within one token.

        After the permitted number of new tokens it ends for "length", whatever would follow. Setting `hurry` ends the
        reasoning and begins the answer. Raises `UserError` if the prompt and its reply cannot fit the context or the
        memory.
        """
        ...

    def roofline(self) -> Roofline | None:
        """The best that the device can do with the model, measured once between two requests; None if unknown."""
        ...

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:
        """Where the model looked as it wrote the reply that `inputs` end with (`ModelInputs.followed_by`).

        None if there is no reply or nothing to look at, if the engine cannot tell, or if `stop` was set. Raises
        `UserError` if the memory does not suffice.
        """
        ...

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:
        """The log probability of each continuation of a prompt; None if the engine cannot tell or `stop` was set.

        Raises `UserError` if the memory does not suffice.
        """
        ...

    def anticipate(self, inputs: ModelInputs) -> None:
        """Prepare, if possible, for the next prompt of a conversation, which will begin with `inputs`.

        Returns at once. A request that comes meanwhile waits for a small part of this work at most.
        """
        ...

    def forget(self, conversation: str) -> None:
        """Free what is kept for a conversation whose visitor has left."""
        ...
