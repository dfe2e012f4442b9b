"""Frames of a clip, decoded with decord: an alternative to PyAV, for trusted files only.

decord bundles an old FFmpeg. A file made for it can end the whole process, which no `except` catches. It reads no AV1
and no GIF, turns a clip but does not mirror it, and where groups of pictures are open it may give a neighbour of the
frame; what it is known to number wrongly is refused. The times of the frames come from PyAV all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.media.limits import DECODER_THREADS
from pipelines.media.timeline import Opener, Timeline
from pipelines.types import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

# Elsewhere its frame numbers do not count what is shown: in transport streams, AVI with reordered frames, and HEVC.
_CONTAINERS = ("mov", "matroska")
_DECODERS = ("h264", "mpeg4", "vp8", "vp9")


def read(path: Path, opener: Opener, timeline: Timeline, wanted: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
    """Yield the wanted frames; see `pipelines.media.clip.Read`.

    Raises UserError when decord is not installed, cannot read the clip, or would take the wrong frames from it.
    """
    decord = _imported()
    with opener() as source:
        container = source.container.format.name.split(",")[0]
        is_exact = container in _CONTAINERS and source.stream.codec_context.name in _DECODERS
    refusal = UserError(f'"{path.name}" cannot be read by the decord reader: use the pyav reader.')
    if not is_exact:
        raise refusal
    try:
        frames = decord.VideoReader(str(path), num_threads=DECODER_THREADS)
        if len(frames) != len(timeline.stamps):
            raise refusal
        for number in wanted:
            yield number, frames[number].asnumpy()
    except (decord.DECORDError, RuntimeError, IndexError) as error:
        raise refusal from error


def _imported() -> Any:
    try:
        import decord
    except ImportError as error:
        raise UserError("decord has no build for this machine: use the pyav reader.") from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord
