"""The engine that has a server answer."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import wait
from contextlib import closing
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Event as Flag
from typing import Self

import httpx2
import openai

from pipelines.clocks import Clock, HostClock
from pipelines.engine.base import Closed, Enter, Piece, Step
from pipelines.engine.remote.client import BAD_KEY, connect
from pipelines.engine.remote.exchange import Exchange, begin
from pipelines.engine.remote.habits import Habits
from pipelines.engine.remote.refusals import BLIND_MODEL, refused
from pipelines.engine.remote.server import Server, host_of, look_up
from pipelines.engine.remote.watch import Watch
from pipelines.inputs import ModelInputs
from pipelines.interrupts import ROUND_S
from pipelines.types import EngineInfo, Gaze, Limits, Reported, Roofline, Settings, UserError, Vision, Work

VISION = Vision(Limits(32 * 32, 16_777_216), Limits(4_096, 25_165_824), 4, 768)
"""Qwen3.5's own limits, but a small picture travels as it is: the server enlarges it where its model wants that."""
TIMEOUT_S = 300.0
TICK_S = 0.05
MAX_TOKEN_CHARACTERS = 8
"""More than a token holds on average, whatever the language."""


class RemoteEngine:
    """A model on a server that speaks OpenAI's chat completions."""

    def __init__(self, client: openai.AsyncOpenAI, server: Server, timeout_s: float) -> None:
        self._client, self._server, self._timeout_s = client, server, timeout_s
        self._habits = Habits(server)
        self.vision = VISION
        self.clock: Clock = HostClock()
        name = f"{server.name} at {server.host}"
        self.info = EngineInfo(server.called, name, "", server.context_tokens, engine="openai", server=server.host)

    @classmethod
    def connect(
        cls, base_url: str, model: str | None = None, timeout_s: float = TIMEOUT_S, usual: str | None = None
    ) -> Self:
        """Find the server, and the model on it: where `model` is None the only one, or of several `usual`.

        The key is that of `OPENAI_API_KEY`. Raises UserError where nothing answers or the model cannot be told.
        """
        host = host_of(base_url)
        client = connect(base_url.strip(), timeout_s)
        try:
            looking = begin(look_up(client, host, model, usual))
            while not wait([looking], ROUND_S).done:
                pass
            server = looking.result()
        except UnicodeEncodeError as error:
            raise UserError(BAD_KEY) from error
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            told = Server("a server", host, model or "")
            raise refused(error, told, has_media=False, timeout_s=timeout_s) from error
        return cls(client, server, timeout_s)

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        """Yield the reply piece by piece. A thought that is to end is ended by asking again without one.

        From outside, what can be told apart is the sending, up to the last byte of the question, and the prefill with
        all that the server does before it. Raises UserError for what the server refuses or fails at.
        """
        if inputs.media and self._habits.sees is False:
            raise UserError(BLIND_MODEL.format(model=self._server.called, host=self._server.host))
        enter(Work("send"))
        watch, num_tokens = Watch(settings, hurry or Flag()), 0
        with closing(self._reply(inputs, settings, settings.max_new_tokens, enter, stop)) as reply:
            for step in reply:
                if step is not None:
                    yield step
                if isinstance(step, Piece):
                    num_tokens += step.num_tokens
                if isinstance(step, Piece | None) and (reason := watch.after(step)) is not None:
                    yield Closed(reason, is_anew=True)
                    break
            else:
                return
        plainly, left = replace(settings, thinking=False), max(1, settings.max_new_tokens - num_tokens)
        for step in self._reply(inputs, plainly, left, enter, stop):
            if step is not None:
                yield replace(step, reply=None, reasoning=None) if isinstance(step, Reported) else step

    def roofline(self) -> Roofline | None:
        """What the server's device could do at best, nobody tells."""
        return None

    def gaze(self, inputs: ModelInputs, stop: Flag) -> Gaze | None:  # noqa: ARG002
        """No server tells where its model looked."""
        return None

    def score(self, inputs: ModelInputs, continuations: Sequence[str], stop: Flag) -> list[float] | None:  # noqa: ARG002
        """Few servers tell how likely a given text is, each in a way of its own: none is asked."""
        return None

    def anticipate(self, inputs: ModelInputs) -> None:
        """A server keeps what it was asked by itself, where it keeps anything."""

    def forget(self, conversation: str) -> None:
        """Nothing is kept here of any conversation."""

    def _reply(
        self, inputs: ModelInputs, settings: Settings, max_new_tokens: int, enter: Enter, stop: Flag
    ) -> Generator[Step | None]:
        """The steps of one exchange, which ends when whoever reads them leaves; None while nothing comes.

        A server that does not keep to the limit is left where the reply reaches it.
        """
        outbox, num_left = SimpleQueue[Step | Exception](), float(max_new_tokens)
        asked = Exchange(self._client, self._server, self._habits, inputs, settings, max_new_tokens, self._timeout_s)
        exchange = begin(asked.run(enter, outbox.put))
        try:
            while not stop.is_set():
                try:
                    item = outbox.get(timeout=TICK_S)
                except Empty:
                    yield None
                    continue
                if isinstance(item, Exception):
                    raise item
                num_left -= _least_tokens(item) if isinstance(item, Piece) else 0
                if num_left < 0:
                    yield "length"
                    return
                yield item
                if isinstance(item, str):
                    return
            yield "cancelled"
        finally:
            exchange.cancel()


def _least_tokens(piece: Piece) -> float:
    """How many tokens a piece is at least: a gateway that does not tell may send letter by letter."""
    return piece.num_tokens if piece.logprob is not None else len(piece.text) / MAX_TOKEN_CHARACTERS
