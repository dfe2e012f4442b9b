"""A clip from a file: which frames to take and when each is shown.

The times of all frames are read first; a reader then decodes the frames that are wanted, and no more than it must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.media.errors import Cancelled, damaged
from pipelines.media.frames import thinned
from pipelines.media.source import open_source
from pipelines.media.timeline import Opener, Timeline, read_timeline
from pipelines.types import Clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choose = Callable[[int, float], Sequence[int]]
Read = Callable[[Path, Opener, Timeline, Sequence[int]], "Iterator[tuple[int, NDArray[np.uint8]]]"]
"""Yields, for frame numbers in ascending order, the number and uint8 [height, width, 3], upright, all of one size.

A frame that cannot be decoded gives the next one that can, with its own number.
"""


def open_clip(
    path: Path,
    demuxer: str,
    max_frames: int,
    choose: Choose,
    read: Read,
    on_progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Clip:
    """Read the frames that `choose(total frames, frames a second)` names: uint8 [frames, height, width, 3], upright.

    Frames of more than about 1.5 megapixels are reduced to that, keeping their aspect ratio, and further where all
    frames together would exceed `MAX_CLIP_PIXELS`; coordinates are relative, so nothing else changes. `times_s` start
    at the first frame of the file. At most `max_frames` frames are kept, thinned evenly. A damaged clip gives the
    frames that can be decoded. `on_progress(done, total)` is called at each frame.

    Raises UserError where no frame can be read, and Cancelled when `should_stop` says so.
    """
    opener = partial(open_source, path, demuxer, should_stop)
    timeline = read_timeline(opener, path.name)
    if not timeline.stamps:
        raise damaged(path.name)
    wanted = thinned(choose(len(timeline.stamps), timeline.fps), max_frames)
    canvas: NDArray[np.uint8] | None = None
    taken: list[int] = []
    for number, rgb in read(path, opener, timeline, wanted):
        if should_stop():
            raise Cancelled
        if canvas is None:
            canvas = np.empty((len(wanted), *rgb.shape), np.uint8)
        canvas[len(taken)] = rgb
        taken.append(number)
        on_progress(len(taken), len(wanted))
    if canvas is None:
        raise damaged(path.name)
    times_s = tuple(timeline.time_s(timeline.stamps[number]) for number in taken)
    return Clip(path.name, canvas[: len(taken)], times_s, tuple(taken), timeline.duration_s)
