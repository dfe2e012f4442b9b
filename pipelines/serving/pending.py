"""The question of a conversation that is on its way: what it takes the place of, and what stops it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from pipelines.conversation import CutOff, Draft, Round
from pipelines.present.chat import ChatMessage
from pipelines.present.pointing import Pointed


@dataclass(eq=False)
class Pending:
    """A question on its way.

    `typed` is the question as it was in the composer, about `pointed`, and None where it is asked again. `past` is the
    chat before it, the same at every update of the reply, and `replaced` are the rounds that it takes the place of,
    which come back where it fails. `resumed` is the reply that it goes on with. `asked_s` is when it was asked, and
    `waited_s` from when to when it waited for its turn, in seconds of `time.perf_counter`.

    `stop` stops it, `hurry` ends its reasoning, and `ended` is set once it has ended.
    """

    draft: Draft
    typed: Draft | None = None
    pointed: Pointed | None = None
    past: list[ChatMessage] = field(default_factory=list)
    replaced: tuple[Round, ...] = ()
    resumed: CutOff | None = None
    asked_s: float = field(default_factory=time.perf_counter)
    waited_s: tuple[float, float] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def wait(self, waited_s: tuple[float, float] | None) -> None:
        """Note from when to when it waited for its turn, where it did."""
        self.waited_s = waited_s
        if waited_s is not None:
            self.asked_s = min(self.asked_s, waited_s[0])  # it may have been taken on its way afterwards
