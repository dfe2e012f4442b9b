"""The reply word by word, tinted by how sure the model was of each.

Words are plain HTML with their tokens in `data-tokens`; `words.js` tells which is pointed at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from pipelines.present.words import Word, words_of
from pipelines.types import Result

EMPTY = '<div class="gb-words gb-empty"><p>The words of the reply appear here, each with how sure it was.</p></div>'
OF_A_SERVER = (
    '<div class="gb-words gb-empty"><p>Single words are told of a model that runs here, and not of one on a server.</p>'
    "</div>"
)
MAX_WORDS = 3_000


def words_html(result: Result | None) -> str:
    """The thought and the answer word by word."""
    if result is None:
        return EMPTY
    thought, answer = words_of(result.said, "reasoning"), words_of(result.said, "answer")
    if not thought and not answer:
        return OF_A_SERVER if result.engine.server else EMPTY
    body = "".join(
        f"<h3>{title}</h3><p>{_words(_begun(words[:MAX_WORDS]))}</p>{_more(len(words) - MAX_WORDS)}"
        for title, words in (("Thought", thought), ("Answer", answer))
        if words
    )
    switch = '<label><input type="checkbox" class="gb-tint"> Tint the words by how sure the model was of them</label>'
    note = '<p class="gb-note">Point at a word, or tap it, to see where the model looked as it wrote it.</p>'
    return f'<div class="gb-words">{switch}{note}{body}</div>'


def _more(num_left: int) -> str:
    return f'<p class="gb-note">{num_left:,} more are not shown.</p>' if num_left > 0 else ""


def _begun(words: Sequence[Word]) -> list[Word]:
    """The words without the empty lines before the first."""
    return [replace(words[0], text=words[0].text.lstrip()), *words[1:]]


def _words(words: Sequence[Word]) -> str:
    """The keyboard reaches the first, and walks from there."""
    return "".join(_word(word, ' tabindex="0"' * (number == 0)) for number, word in enumerate(words))


def _word(word: Word, stop: str) -> str:
    tokens = f"{word.tokens.start} {word.tokens.stop}"
    text = escape(word.text).replace("\n", "<br>")
    if word.probability is None:
        return f'<span data-tokens="{tokens}"{stop} title="not chosen by the model">{text}</span>'
    parts = [
        f"{token.text.strip() or 'space'} {math.exp(token.logprob):.3f}"
        for token in word.chosen
        if token.logprob is not None
    ]
    told = f"{word.probability:.3f}" + (f" = {' × '.join(parts)}" if len(parts) > 1 else "")
    return (
        f'<span data-tokens="{tokens}"{stop} style="--doubt:{1 - word.probability:.3f}" title="{escape(told)}">'
        f"{text}</span>"
    )
