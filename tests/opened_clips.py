"""Clips as the tests open them: their frames by number, and what is said of those that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.media import open_media
from pipelines.types import Clip, ClipReader, UserError
from tests.media_makers import At, number_in

FRAME_S = 1 / 25
"""Of the clips that `write_clip` makes where nothing else is said."""


def opened(path: Path, step: int = 3, reader: ClipReader = "pyav") -> Clip:
    """A clip, every `step`th frame of it, as a person opens it."""
    clip = open_media(path, At(step=step), reader)
    assert isinstance(clip, Clip)
    assert clip.name == path.name
    assert clip.rgb.dtype == np.uint8
    assert clip.rgb.flags.c_contiguous
    return clip


def refusal(path: Path, reader: ClipReader = "pyav") -> str:
    """What is said of a clip that is refused: a sentence that names no folder."""
    with pytest.raises(UserError) as caught:
        opened(path, reader=reader)
    message = str(caught.value)
    assert message.endswith(".")
    assert str(path.parent) not in message
    return message


def numbers(clip: Clip) -> list[int]:
    """The numbers that its frames carry."""
    return [number_in(rgb) for rgb in clip.rgb]
