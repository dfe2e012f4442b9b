"""From questions and answers to token ids: conversations in Qwen's form, with the loss weight of every token."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipelines.demo.digits import HARD, soft_rows
from pipelines.demo.exchange import Exchange
from pipelines.demo.things import DIGITS
from pipelines.demo.tokenizer import IM_END, IM_START, Encoder

PLAIN_SHARE = 0.03
VERDICT_WEIGHT = 3.0
SHORT_ANSWER_WEIGHT = 2.0
VERDICT_WORDS = ("yes", "no", "in", "out", "same", "gone", "new", "changed", "nothing", "<", ">")
VERDICTS = (*(f"\u0120{word}" for word in VERDICT_WORDS), "Found", "Not")
"""The tokens on which an answer hangs (`\u0120` is how byte-level BPE writes a space)."""
OPENING = f"{IM_START}assistant\n"
THINK, NO_THINK = "<think>\n", "<think>\n\n</think>\n\n"


@dataclass(frozen=True)
class Mix:
    """How conversations are made: the share that reasons, the share of one question alone, and the room for text."""

    thinking: float
    single: float
    max_text_tokens: int


@dataclass
class Draft:
    """One conversation as it is written.

    For each id there is the loss weight of predicting it (0: given), and the row of its soft target.
    """

    encoder: Encoder
    rng: random.Random
    thinking: float
    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    soft: list[int] = field(default_factory=list)

    def give(self, text: str) -> Draft:
        """Text that the model is given."""
        new = self.encoder(text)
        self.ids += new
        self.weights += [0.0] * len(new)
        self.soft += [HARD] * len(new)
        return self

    def ask(self, question: str, media: str = "") -> Draft:
        """A turn of the user; media stand before the question, expanded."""
        return self.give(f"{IM_START}user\n").give(media).give(f"{question}{IM_END}\n")

    def replay(self, answer: str) -> Draft:
        """An earlier reply, as the template repeats it: without its reasoning."""
        return self.give(f"{OPENING}{answer}{IM_END}\n")

    def reply(self, exchange: Exchange, thinks: bool | None = None) -> Draft:
        """The reply that is to be learned, with reasoning or without."""
        thinks = self.rng.random() < self.thinking if thinks is None else thinks
        if not thinks:
            return self._reply_at_once(exchange.answer)
        text = f"{exchange.reasoning}\n</think>\n\n{exchange.answer}{IM_END}"
        reply = self.encoder(text)
        heavy = {self.encoder.id(token) for token in VERDICTS}
        end = reply.index(self.encoder.id("</think>"))
        weights = [VERDICT_WEIGHT if token in heavy and i < end else 1.0 for i, token in enumerate(reply)]
        return self.give(OPENING + THINK)._learn(text, reply, weights)

    def _reply_at_once(self, answer: str) -> Draft:
        self.give(OPENING + (NO_THINK if self.rng.random() > PLAIN_SHARE else ""))
        text = f"{answer}{IM_END}"
        reply = self.encoder(text)
        weight = 1.0 if answer.startswith("[") else SHORT_ANSWER_WEIGHT
        return self._learn(text, reply, [weight] * len(reply))

    def _learn(self, text: str, reply: tuple[int, ...], weights: list[float]) -> Draft:
        self.ids += reply
        self.weights += weights
        rows = iter(soft_rows(text))
        digits = {self.encoder.id(digit) for digit in DIGITS}
        self.soft += [next(rows) if token in digits else HARD for token in reply]
        return self.give("\n")

    def follow(self, turn: Draft) -> None:
        """Go on with another draft."""
        self.ids += turn.ids
        self.weights += turn.weights
        self.soft += turn.soft


def converse(encoder: Encoder, rng: random.Random, media: str, exchanges: Iterable[Exchange], mix: Mix) -> Draft:
    """Questions and replies, as many as there is room for; the media stand before the first question."""
    draft = Draft(encoder, rng, mix.thinking)
    room = mix.max_text_tokens + len(encoder(media))
    refused = 0
    for exchange in exchanges:
        turn = Draft(encoder, rng, mix.thinking).ask(exchange.question, "" if draft.ids else media).reply(exchange)
        if draft.ids and len(draft.ids) + len(turn.ids) > room:
            refused += 1
            if refused > 3:
                break
            continue
        draft.follow(turn)
    return draft
