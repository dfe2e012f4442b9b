"""A clip from a file: which frames to take and when each is shown.

The times of all frames are read first; a reader then decodes the frames that are wanted, and no more than it must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.media.errors import Cancelled, damaged
from pipelines.media.footage import Choose, Footage, Frame
from pipelines.media.nearby import at_keyframes
from pipelines.media.source import open_source
from pipelines.media.timeline import Opener, Timeline, read_timeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Read = Callable[[Path, Opener, Timeline, Sequence[int]], "Iterator[tuple[int, NDArray[np.uint8]]]"]
"""Yields, for frame numbers in ascending order, the number and uint8 [height, width, 3], upright, all of one size.

A frame that cannot be decoded gives the next one that can, with its own number.
"""


def read_footage(
    path: Path, demuxer: str, choose: Choose, read: Read, should_stop: Callable[[], bool], *, may_move: bool
) -> Footage:
    """Choose frames by the times of all, and make ready to decode them.

    Of a long clip whose chosen frames are far apart, the keyframes next to them are taken where they `may_move`, with
    their own times; see `pipelines.media.nearby`. A damaged clip gives the frames that can be decoded.

    Raises UserError where the times cannot be read, what `choose` raises, and Cancelled when `should_stop` says so.
    """
    opener = partial(open_source, path, demuxer, should_stop)
    timeline = read_timeline(opener, path.name)
    if not timeline.stamps:
        raise damaged(path.name)
    chosen = sorted(set(choose(timeline.times_s, timeline.duration_s)))
    wanted = at_keyframes(chosen, timeline) if may_move else chosen

    def frames() -> Iterator[Frame]:
        for number, rgb in read(path, opener, timeline, wanted):
            if should_stop():
                raise Cancelled
            yield Frame(number, timeline.times_s[number], rgb)

    return Footage(timeline.duration_s, len(wanted), frames(), timeline.lead_s)
