"""A clip from a file: which frames to take and when each is shown.

The times of all frames are read first; a reader then decodes the frames that are wanted, and no more than it must. Each
is brought to the size in which it is kept before the next is decoded: a clip in memory is no larger than what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.media.errors import Cancelled, damaged
from pipelines.media.look import Look
from pipelines.media.nearby import at_keyframes
from pipelines.media.source import open_source
from pipelines.media.timeline import Opener, Timeline, read_timeline
from pipelines.types import Clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

Read = Callable[[Path, Opener, Timeline, Sequence[int]], "Iterator[tuple[int, NDArray[np.uint8]]]"]
"""Yields, for frame numbers in ascending order, the number and uint8 [height, width, 3], upright, all of one size.

A frame that cannot be decoded gives the next one that can, with its own number.
"""


def open_clip(
    path: Path,
    demuxer: str,
    look: Look,
    read: Read,
    on_progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> Clip:
    """Read the frames that `look` chooses, in the size that it gives them: uint8 [frames, height, width, 3], upright.

    `times_s` start at the first frame of the file. Of a long clip whose chosen frames are far apart, the keyframes next
    to them are taken, with their own times; see `pipelines.media.nearby`. A damaged clip gives the frames that can be
    decoded. `on_progress(done, total)` is called as the decoding begins and at each frame.

    Raises UserError where no frame can be read, what `look` raises, and Cancelled when `should_stop` says so.
    """
    opener = partial(open_source, path, demuxer, should_stop)
    timeline = read_timeline(opener, path.name)
    if not timeline.stamps:
        raise damaged(path.name)
    chosen = sorted(set(look.choose(timeline.times_s, timeline.duration_s)))
    wanted = at_keyframes(chosen, timeline)
    canvas: NDArray[np.uint8] | None = None
    file_size: tuple[int, int] | None = None
    taken: list[int] = []
    on_progress(0, len(wanted))
    for number, rgb in read(path, opener, timeline, wanted):
        if should_stop():
            raise Cancelled
        frame = look.fit(rgb, len(wanted))
        if canvas is None:
            file_size = rgb.shape[1], rgb.shape[0]
            canvas = np.empty((len(wanted), *frame.shape), np.uint8)
        canvas[len(taken)] = frame
        taken.append(number)
        on_progress(len(taken), len(wanted))
    if canvas is None:
        raise damaged(path.name)
    times_s = tuple(timeline.times_s[number] for number in taken)
    return Clip(path.name, canvas[: len(taken)], times_s, tuple(taken), timeline.duration_s, file_size)
