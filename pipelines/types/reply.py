"""What a model writes, token by token, and what it looked at on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from pipelines.types.media import Media, Picture
from pipelines.types.places import Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Channel = Literal["reasoning", "answer", "tool_call"]
MAX_KEPT_SIDE_PX = 480
MAX_KEPT_FRAMES = 8
"""Frames of a closer look that are kept to be shown."""


@dataclass(frozen=True)
class Token:
    """One generated token: its id, and the text that it completes (empty inside a multi-byte character).

    `logprob` is the natural logarithm of the model's own probability of it, before any sampling; None where the model
    did not choose it, or its engine does not tell.
    """

    id: int
    text: str
    logprob: float | None = None


@dataclass(frozen=True)
class Said:
    """A token of a reply, and the channel that it belongs to."""

    token: Token
    channel: Channel


@dataclass(frozen=True, eq=False)
class Gaze:
    """Where the model looked as it wrote the tokens of a reply, from the token `first` on.

    `weights` is float16 [tokens, visual tokens]: the share of attention, averaged over heads and layers, that each
    visual token got from the position that predicts the token. `grids` are those of the media in the order of the
    prompt: t, h, w in visual tokens.
    """

    weights: NDArray[np.float16]
    grids: tuple[tuple[int, int, int], ...]
    first: int = 0

    def of(self, tokens: range) -> tuple[NDArray[np.float32], ...]:
        """The mean over some tokens of the reply, float32 [t, h, w] for each medium; zero where none is known."""
        rows = range(max(tokens.start - self.first, 0), max(tokens.stop - self.first, 0))
        known = self.weights[rows.start : rows.stop].astype("float32")
        seen = known.mean(0) if len(known) else self.weights[:1].astype("float32").sum(0) * 0
        starts = [0, *accumulate(math.prod(grid) for grid in self.grids)]
        return tuple(
            seen[start : start + math.prod(grid)].reshape(grid) for start, grid in zip(starts, self.grids, strict=False)
        )


@dataclass(frozen=True)
class Delta:
    """A piece of the reply, on the channel it belongs to."""

    channel: Channel
    text: str


@dataclass(frozen=True, eq=False)
class Look:
    """A call of a tool on the way to an answer, and what the model got: a part of a medium to see, or a refusal.

    `reasoning` and `remark` are what was thought and said before it, `name` and `arguments` the call as it was written.
    `shown` is what came back, and None where the sentence `refused` did. It shows `box` of the medium `media_index`, or
    the span `span_s` of it, in seconds; `whole` is that medium. It took `duration_ms` from the call until it was there.
    """

    reasoning: str
    remark: str
    name: str
    arguments: Mapping[str, str]
    duration_ms: float
    shown: Media | None = None
    refused: str = ""
    media_index: int = 0
    box: Box | None = None
    span_s: tuple[float, float] | None = None
    whole: Media | None = None

    def reduced(self) -> Look:
        """The same with pictures small enough to be kept for as long as the conversation is shown."""
        return replace(self, shown=_reduced(self.shown), whole=_reduced(self.whole))


def _reduced(item: Media | None) -> Media | None:
    """Every n-th pixel of a picture, and of the first frames of a clip, with n as small as the bound lets it."""
    if item is None:
        return None
    step = math.ceil(max(item.rgb.shape[-3:-1]) / MAX_KEPT_SIDE_PX)
    if isinstance(item, Picture):
        return replace(item, rgb=item.rgb[::step, ::step].copy())
    frames = slice(0, MAX_KEPT_FRAMES)
    rgb = item.rgb[frames, ::step, ::step].copy()
    return replace(item, rgb=rgb, times_s=item.times_s[frames], indices=item.indices[frames])
