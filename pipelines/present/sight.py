"""How the model saw a medium: in words, and as its pixels."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from pipelines.present.counted import counted
from pipelines.present.overlay import address_of
from pipelines.present.preview import FIRST_FRAME, SENT, seen_or_sent
from pipelines.types import Clip, Media, Picture, Sight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    SeenPixels = Callable[[Media, Sight], NDArray[np.uint8]]
    """The pixels as the model got them: uint8 [frames, height, width, 3], of a clip only the first frames."""

MAX_LOSSLESS_PIXELS = 64 * 1024
"""Such small ones are drawn large, and 16 larger ones of a camera would be megabytes."""


def seen_in_words(item: Media, sight: Sight) -> str:
    """How large the model saw it, what that cost, and whether it was not all; of a server only how it was sent."""
    frames = f"{counted(sight.num_frames, 'frame')} " if isinstance(item, Clip) else ""
    cost = "" if sight.num_visual_tokens is None else f", {counted(sight.num_visual_tokens, 'visual token')}"
    more = f", {FIRST_FRAME}" if isinstance(item, Picture) and item.is_animated else ""
    return f"{frames}{seen_or_sent(sight)} at {sight.width} × {sight.height}{cost}{more}"


def seen_html(item: Media, sight: Sight, pixels: NDArray[np.uint8]) -> str:
    """The pixels that the model got, folded away, each drawn as a square."""
    images = "".join(
        f'<img src="{exact_uri(frame)}" width="{sight.width}" height="{sight.height}" alt="{escape(alt)}">'
        for frame, alt in zip(pixels, _alts(item, len(pixels)), strict=True)
    )
    is_sent = seen_or_sent(sight) == SENT
    what, got = ("What was sent", "were sent") if is_sent else ("What the model saw", "it got")
    more = f", the first {len(pixels)} frames of {sight.num_frames}" if len(pixels) < sight.num_frames else ""
    many = " gb-many" if len(pixels) > 1 else ""
    return (
        f'<details class="gb-seen"><summary>{what}</summary><p class="gb-note">The pixels that {got}'
        f'{more}, at {sight.width} × {sight.height}.</p><div class="gb-pixels{many}">{images}</div></details>'
    )


def exact_uri(rgb: NDArray[np.uint8]) -> str:
    """The picture in its own size within the page: lossless where small, else a JPEG that keeps its colours."""
    picture = Image.fromarray(rgb)
    if rgb.shape[0] * rgb.shape[1] <= MAX_LOSSLESS_PIXELS:
        return address_of(picture, "png")
    return address_of(picture, "jpeg", quality=92, subsampling=0)


def _alts(item: Media, count: int) -> list[str]:
    if isinstance(item, Clip):
        return [f"{item.name} at {time_s:.1f} s as the model saw it" for time_s in item.times_s[:count]]
    return [f"{item.name} as the model saw it"]
