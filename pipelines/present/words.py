"""The words of a reply with the tokens that they are made of: how sure the model was, and where it looked."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from pipelines.types import Channel, Said, Token

_WORD = re.compile(r"\s*\S+")
_TAGS = {"<think>", "</think>", "<tool_call>", "</tool_call>"}


@dataclass(frozen=True)
class Word:
    """A word with the white space before it, and the tokens that it is made of: their places in the reply.

    `probability` is that of all of them, one after the other; None where one was not chosen by the model.
    """

    text: str
    tokens: range
    chosen: tuple[Token, ...]

    @property
    def probability(self) -> float | None:
        """From 0 to 1."""
        logprobs = [token.logprob for token in self.chosen if token.logprob is not None]
        return math.exp(sum(logprobs)) if len(logprobs) == len(self.chosen) else None


def words_of(said: Sequence[Said], channel: Channel) -> list[Word]:
    """The words of the thought or of the answer, in their order. A token belongs to the word in which it begins."""
    pieces = [
        (place, one.token)
        for place, one in enumerate(said)
        if one.channel == channel and one.token.text.strip() not in _TAGS
    ]
    ends = list(accumulate((len(token.text) for _, token in pieces), initial=0))
    words: list[Word] = []
    first = 0
    for found in _WORD.finditer("".join(token.text for _, token in pieces)):
        last = bisect_left(ends, found.end(), hi=len(pieces))
        if first < last:
            places = range(pieces[first][0], pieces[last - 1][0] + 1)
            words.append(Word(found[0], places, tuple(token for _, token in pieces[first:last])))
        elif words:  # a token that spells the ends of one word and all of the next
            words[-1] = Word(words[-1].text + found[0], words[-1].tokens, words[-1].chosen)
        first = last
    return words
