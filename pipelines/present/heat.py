"""Where the model looked as it wrote a word, as a soft map over the picture or the frames, with its top marked.

A visual token is a large square: on a small picture a fifth of a side. So each token's weight is spread around its
middle by a parabola (Epanechnikov's kernel): the top of such a map is the centre of mass of the tokens next to it
(Cheng 1995, "Mean shift, mode seeking, and clustering"). The map is a style that lays a small picture over those of the
Evidence pane, so that nothing there is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.present.answered import Answered
from pipelines.present.evidence import title_of
from pipelines.present.frames import THUMBNAIL_PX, chosen_frames, nearest
from pipelines.present.moments import exact
from pipelines.present.overlay import address_of, data_uri, figure
from pipelines.present.timeline import seconds
from pipelines.types import Gaze, Point

NOT_TOLD = '<p class="gb-note">Where the model looked cannot be told of this reply.</p>'
MAX_PATCHES = 12
"""Temporal patches of a clip that get a heat map, those that weigh most."""
REACH = 1.5
"""How far a token's weight is spread, in tokens: the tokens next to the top decide where it lies."""
HEAT_PX = 192
MOST_ALPHA = 0.8
RED, GREEN, BLUE = 213, 94, 0
RING = "transparent 6px,#fff 6.5px 8.5px,#111 9px 10.5px,transparent 11px"
Map = NDArray[np.float32]
FrameAt = Callable[[int, float], NDArray[np.uint8]]
"""The frame of a medium at a time in seconds, uint8 [height, width, 3]. May raise UserError."""


def heat_html(gaze: Gaze | None, tokens: range, answered: Answered, frame_at: FrameAt) -> str:
    """The style that shows where the model looked as it wrote these tokens, and a line that tells how much.

    Of a clip the frame that weighs most comes forward, from the file where the pane shows only some of many frames. The
    page's script fills the copy of what is scrolled out of sight there.
    """
    if gaze is None:
        return NOT_TOLD
    weights = gaze.of(tokens)[: len(answered.request.files)]
    if not any(one.any() for one in weights):
        return NOT_TOLD
    maps = {
        (number, patch): soft(one[patch])
        for number, one in enumerate(weights)
        for patch in np.argsort(-one.max((1, 2)), kind="stable")[:MAX_PATCHES].tolist()
    }
    first = max(maps, key=lambda place: float(maps[place].max()))
    most = float(maps[first].max())
    rules = [_rule(_stages(place, answered), heat / most, is_first=place == first) for place, heat in maps.items()]
    small = f'<div class="gb-copy" data-of="{escape(",".join(_stages(first, answered)))}"></div>'
    if first[0] in answered.times_s:
        forward = ",".join(_frames(first, answered.times_s[first[0]]))
        rules.append(f"{forward}{{order:-1;outline:2px solid #d55e00;outline-offset:2px}}")
        small = _missing(first, answered, frame_at) or small
    share = sum(float(one.sum()) for one in weights)
    are_clips = [number in answered.times_s for number in range(len(answered.request.files))]
    where = f" in {title_of(first[0], are_clips)}" if len(are_clips) > 1 else ""  # which may lie behind its tab
    note = (
        f'<p class="gb-note">{share:.0%} of the attention went to what was seen.'
        f" The ring{where} is where most of it met.</p>"
    )
    return f"<style>{''.join(rules)}</style>{small}{note}"


def soft(weights: NDArray[np.float32]) -> Map:
    """The weights [h, w] of tokens spread over pixels, float32 [height, width], `HEAT_PX` at the longer side."""
    scale = HEAT_PX / max(weights.shape)
    rows, columns = (_spread(size, max(1, round(size * scale))) for size in weights.shape)
    return np.asarray(rows @ weights @ columns.T, np.float32)


def top(heat: Map) -> Point:
    """Where a map is highest, in 0 to 1000 of its picture."""
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    return (column + 0.5) / heat.shape[1] * 1000, (row + 0.5) / heat.shape[0] * 1000


def _spread(num_tokens: int, num_px: int) -> Map:
    """What each of a row of tokens gives to each pixel beside it, [pixels, tokens]."""
    places = (np.arange(num_px, dtype=np.float32)[:, None] + 0.5) * num_tokens / num_px
    distances = places - (np.arange(num_tokens, dtype=np.float32) + 0.5)
    shares: Map = (1 - (distances / REACH) ** 2).clip(0)
    return shares


def _stages(place: tuple[int, int], answered: Answered) -> list[str]:
    """What the map of a medium's patch lies over: the picture, or the frames of a clip that are in the patch."""
    number, _ = place
    if number not in answered.times_s:
        return [f"{_section(number)} .gb-whole-picture .gb-stage"]
    return [f"{frame} .gb-stage" for frame in _frames(place, answered.times_s[number])]


def _missing(place: tuple[int, int], answered: Answered, frame_at: FrameAt) -> str:
    """A frame of a patch, where the strip shows none of it."""
    number, patch = place
    times_s, regions = answered.times_s[number], answered.grounding.regions
    marked = [nearest(times_s, one.at_s) for one in regions if one.media_index == number]
    if {2 * patch, 2 * patch + 1} & set(chosen_frames(len(times_s), marked)):
        return ""
    time_s = times_s[2 * patch]
    rgb = frame_at(number, time_s)
    size = (rgb.shape[1], rgb.shape[0])
    shown = figure(data_uri(rgb, THUMBNAIL_PX), size, [], "", caption=seconds(time_s), classes="gb-frame")
    return f'<div class="gb-copy">{shown}</div>'


def _frames(place: tuple[int, int], times_s: Sequence[float]) -> list[str]:
    number, patch = place
    shown = times_s[2 * patch : 2 * patch + 2]
    return [f'{_section(number)} .gb-strip .gb-frame[data-time="{exact(time_s)}"]' for time_s in shown]


def _section(number: int) -> str:
    return f'#evidence section[data-medium="{number}"]'


def _rule(stages: Sequence[str], heat: Map, *, is_first: bool) -> str:
    x, y = top(heat)
    ring = f"radial-gradient(circle at {x / 10:.2f}% {y / 10:.2f}%,{RING})," if is_first else ""
    here = [*stages, "#heat .gb-frame .gb-stage"] if is_first else stages
    after = ",".join(f"{stage}::after" for stage in here)
    picture = f"background:{ring}url({_png(heat)}) 0 0/100% 100%"
    return f'{after}{{content:"";position:absolute;inset:0;pointer-events:none;{picture}}}'


def _png(heat: Map) -> str:
    """A map of 0 to 1 as an address within the page: one colour, the denser the higher."""
    pixels = np.empty((*heat.shape, 4), np.uint8)
    pixels[..., :3] = RED, GREEN, BLUE
    pixels[..., 3] = np.rint(heat.clip(0, 1) * MOST_ALPHA * 255)
    return address_of(Image.fromarray(pixels), "png")
