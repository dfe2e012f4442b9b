"""What the model looked at more closely, in the chain of its reasoning: where it lies, and what it shows."""

from __future__ import annotations

import logging
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipelines.present.chat import ChatMessage
from pipelines.present.counted import counted
from pipelines.present.overlay import data_uri
from pipelines.types import Box, Look, Picture

LOGGER = logging.getLogger(__name__)
CASING, LINE = "#000000", "#e69f00"
MAX_FRAMES_SHOWN = 4


def look_in_words(look: Look) -> str:
    """What it was, in a line; untrusted text as it is."""
    if look.shown is None:
        return f"not followed: {look.refused}"
    label = " ".join(look.arguments.get("label", "").split())[:60]
    if look.box is not None:
        place = ", ".join(f"{value:.0f}" for value in look.box)
        return f"{label or 'a part'} at ({place}) of {look.whole.name if look.whole else 'the picture'}"
    start_s, end_s = look.span_s or (0.0, 0.0)
    num_frames = len(look.shown.rgb)
    return f"{counted(num_frames, 'frame')} from {start_s:.1f} s to {end_s:.1f} s"


def looked(look: Look, number: int) -> ChatMessage:
    """The message of one look."""
    return {"role": "assistant", "content": [{"type": "text", "text": look_html(look, number)}]}


def look_html(look: Look, number: int) -> str:
    """One look as HTML that can stand in Markdown too, with all that the model said in it escaped."""
    words = f"Look {number}: {look_in_words(look)} · {look.duration_ms:.0f} ms"
    plain = escape(words).replace("[", "&#91;").replace("*", "&#42;").replace("_", "&#95;").replace("`", "&#96;")
    return f'<div class="gb-look"><p>{plain}</p>{_drawn(look)}</div>'


def _drawn(look: Look) -> str:
    """The pictures of a look; none where they cannot be drawn, as the answer behind them is worth more."""
    try:
        return "".join(f'<img src="{data_uri(rgb, 320)}" alt="{alt}">' for alt, rgb in _pictures(look))
    except Exception:
        LOGGER.exception("a look was not drawn")
        return ""


def _pictures(look: Look) -> list[tuple[str, NDArray[np.uint8]]]:
    if look.shown is None:
        return []
    if not isinstance(look.shown, Picture):
        return [("a frame of the span", rgb) for rgb in look.shown.rgb[:MAX_FRAMES_SHOWN]]
    framed = [("where it lies", _framed(look.whole.rgb, look.box))] if look.whole is not None and look.box else []
    return [*framed, ("what it shows", look.shown.rgb)]


def _framed(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    picture = Image.fromarray(rgb)
    left, right = (value / 1000 * picture.width for value in box[::2])
    top, bottom = (value / 1000 * picture.height for value in box[1::2])
    # on a picture that was reduced a box may be less than a pixel wide
    place = (left, top, max(left, right - 1), max(top, bottom - 1))
    width = max(2, max(picture.size) // 120)
    drawing = ImageDraw.Draw(picture)
    drawing.rectangle(place, outline=CASING, width=2 * width)
    drawing.rectangle(place, outline=LINE, width=width)
    return np.asarray(picture)
