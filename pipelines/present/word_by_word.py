"""The reply word by word: tinted by how sure the model was of each, and where it looked as it wrote it.

Words are plain HTML with their tokens in `data-tokens`; `words.js` tells which is pointed at. The heat map is a style
that lays a small picture over those of the Evidence pane, so that nothing there is drawn anew.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.present.answered import Answered
from pipelines.present.words import Word, words_of
from pipelines.types import Gaze, Result

EMPTY = '<div class="gb-words gb-empty"><p>The words of the reply appear here, each with how sure it was.</p></div>'
NOT_TOLD = '<p class="gb-note">Where the model looked cannot be told of this reply.</p>'
MAX_WORDS = 3_000
MAX_PATCHES = 12
"""Temporal patches of a clip that get a heat map, those that weigh most."""
HEAT_PX = 192
RED, GREEN, BLUE = 213, 94, 0
Grid = NDArray[np.float32]


def words_html(result: Result) -> str:
    """The thought and the answer word by word."""
    thought, answer = words_of(result.said, "reasoning"), words_of(result.said, "answer")
    if not thought and not answer:
        return EMPTY
    body = "".join(
        f"<h4>{title}</h4><p>{''.join(map(_word, words[:MAX_WORDS]))}</p>"
        for title, words in (("Thought", thought), ("Answer", answer))
        if words
    )
    switch = '<label><input type="checkbox" class="gb-tint"> Tint the words by how sure the model was of them</label>'
    note = '<p class="gb-note">Point at a word, or tap it, to see where the model looked as it wrote it.</p>'
    return f'<div class="gb-words">{switch}{note}{body}</div>'


def _word(word: Word) -> str:
    tokens = f"{word.tokens.start} {word.tokens.stop}"
    text = escape(word.text).replace("\n", "<br>")
    if word.probability is None:
        return f'<span data-tokens="{tokens}" title="not chosen by the model">{text}</span>'
    parts = [
        f"{token.text.strip() or 'space'} {np.exp(token.logprob):.3f}"
        for token in word.chosen
        if token.logprob is not None
    ]
    told = f"{word.probability:.3f}" + (f" = {' × '.join(parts)}" if len(parts) > 1 else "")
    return (
        f'<span data-tokens="{tokens}" style="--doubt:{1 - word.probability:.3f}" title="{escape(told)}">{text}</span>'
    )


def heat_html(gaze: Gaze | None, tokens: range, answered: Answered) -> str:
    """The style that shows where the model looked as it wrote these tokens, and a line that tells how much."""
    if gaze is None:
        return NOT_TOLD
    maps = gaze.of(tokens)[: len(answered.request.files)]
    most = max((float(one.max()) for one in maps), default=0.0)
    if not most:
        return NOT_TOLD
    rules: list[str] = []
    for number, weights in enumerate(maps):
        times_s = answered.times_s.get(number)
        place = f'#evidence section[data-medium="{number}"]'
        if times_s is None:
            rules.append(_rule(f"{place} .gb-whole-picture .gb-stage", weights[0] / most))
        else:
            rules += _clip_rules(place, weights / most, times_s)
    share = sum(float(one.sum()) for one in maps)
    note = f'<p class="gb-note">{share:.0%} of the attention went to what was seen.</p>'
    return f"<style>{''.join(rules)}</style>{note}"


def _clip_rules(place: str, weights: Grid, times_s: Sequence[float]) -> list[str]:
    """Rules for the frames that weigh most; those of the first of them come forward."""
    rules: list[str] = []
    peaks = weights.max((1, 2))
    order = sorted(range(len(weights)), key=lambda patch: -float(peaks[patch]))[:MAX_PATCHES]
    for rank, patch in enumerate(order):
        frames = [
            f'{place} .gb-strip .gb-frame[data-time="{time_s:g}"]' for time_s in times_s[2 * patch : 2 * patch + 2]
        ]
        rules.append(_rule(",".join(f"{frame} .gb-stage" for frame in frames), weights[patch]))
        if rank == 0:
            rules.append(f"{','.join(frames)}{{order:-1;outline:2px solid #d55e00;outline-offset:2px}}")
    return rules


def _rule(selector: str, weights: Grid) -> str:
    after = ",".join(f"{one}::after" for one in selector.split(","))
    heat = f"background:url({_png(weights)}) 0 0/100% 100%"
    return f'{after}{{content:"";position:absolute;inset:0;pointer-events:none;{heat}}}'


def _png(weights: Grid) -> str:
    """A soft picture of weights from 0 to 1, [h, w], as an address within the page."""
    height, width = weights.shape
    scale = HEAT_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    soft = Image.fromarray((weights.clip(0, 1) * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[..., :3] = RED, GREEN, BLUE
    pixels[..., 3] = np.asarray(soft) * 0.8
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
