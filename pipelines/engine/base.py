"""The one seam of the program: what an engine is.

An engine turns fused model inputs into tokens. It does not know who asks, how the reply is parsed or that it is timed:
it announces each piece of work as it begins, and yields one `Token` for each generated id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event as Flag
from typing import Protocol

from pipelines.checkpoint import Checkpoint
from pipelines.inputs import ModelInputs
from pipelines.timing import Clock
from pipelines.types import EngineInfo, FinishReason, Roofline, Settings, ThoughtEnd, Token, Usage, Work

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
    """The engine ends the reasoning behind the last token, for this reason; the tokens that close it follow."""

    reason: ThoughtEnd


@dataclass(frozen=True)
class Kept:
    """Of the prompt, `num_tokens` were kept from before, and the tower had seen the media of `num_visual` already."""

    num_tokens: int
    num_visual: int


Step = Waiting | Kept | Token | Closed | Usage | FinishReason


class Engine(Protocol):
    """What answers. `checkpoint` holds the tokenizer, the template and the limits that fusion needs."""

    @property
    def info(self) -> EngineInfo:
        """The model's name, device, dtype and context."""
        ...

    @property
    def checkpoint(self) -> Checkpoint:
        """What early fusion must know of the model."""
        ...

    @property
    def clock(self) -> Clock:
        """What times the engine's stages on its device."""
        ...

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Yield the reply's tokens, then once why it ended. A set `stop` ends it within one token.

        A set `hurry` ends the reasoning, and the answer begins. Raises `UserError` where the prompt and its reply
        cannot fit the context or the memory.
        """
        ...

    def roofline(self) -> Roofline | None:
        """The best that the device does with the model, measured once between two requests; None where unknown."""
        ...

    def forget(self, conversation: str) -> None:
        """Free what is kept of a conversation whose visitor has left."""
        ...
