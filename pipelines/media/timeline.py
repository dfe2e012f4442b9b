"""When each frame of a clip is shown, found without decoding.

Containers state frame counts and rates that are missing, rounded or wrong; the time stamps of the frames themselves
are right for variable rates, cut starts and reordered frames alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pipelines.media.limits import MAX_CLIP_FRAMES
from pipelines.media.source import Source
from pipelines.types import UserError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_DEFAULT_RATE = Fraction(25)

Opener = Callable[[], AbstractContextManager[Source]]
"""Opens the clip afresh, from its start."""


@dataclass(frozen=True)
class Timeline:
    """The frames of a clip in the order in which they are shown.

    `stamps` ascend, in units of `unit_s` seconds; `keys` are the stamps at which decoding can start, empty where they
    are not known. The last frame stays for `last_s` seconds. `counted` says that the decoder's stamps mean nothing and
    its n-th frame is the n-th of `stamps`.
    """

    stamps: Sequence[int]
    keys: Sequence[int]
    unit_s: Fraction
    last_s: float
    counted: bool = False

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame's appearance to the last frame's end."""
        return self.time_s(self.stamps[-1]) + self.last_s

    @property
    def fps(self) -> float:
        """Frames a second on average."""
        return len(self.stamps) / self.duration_s

    def time_s(self, stamp: int) -> float:
        """Seconds after the first frame."""
        return float((stamp - self.stamps[0]) * self.unit_s)

    def stamped(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        """Pair decoded frames with their stamps."""
        if self.counted:
            return zip(self.stamps, frames, strict=False)
        return ((int(frame.pts), frame) for frame in frames if frame.pts is not None)


def read_timeline(open_clip: Opener, name: str) -> Timeline:
    """Read the times of all frames; `stamps` is empty where there are none.

    A clip without usable stamps is decoded once to count its frames, and takes a constant rate. Raises UserError for
    more than `MAX_CLIP_FRAMES`, and whatever `open_clip` raises.
    """
    with open_clip() as source:
        timeline = _from_packets(source, name)
    if timeline is not None:
        return timeline
    with open_clip() as source:
        total = sum(1 for _ in source.frames())
        rate = _rate(source)
    return Timeline(range(total), (), 1 / rate, float(1 / rate), counted=True)


def _from_packets(source: Source, name: str) -> Timeline | None:
    # AVI has no time of showing, only one of decoding; sorted, both are the same moments.
    is_avi = source.container.format.name == "avi"
    stamps: list[int] = []
    keys: list[int] = []
    last = (0, 0)
    for packet in source.packets():
        stamp = packet.dts if is_avi else packet.pts
        if not packet.size:
            continue
        if stamp is None:
            return None
        if len(stamps) == MAX_CLIP_FRAMES:
            raise UserError(f'"{name}" has more than {MAX_CLIP_FRAMES} frames: cut it to the part you ask about.')
        if packet.is_keyframe:
            keys.append(stamp)
        if not packet.is_discard:
            stamps.append(stamp)
            last = max(last, (stamp, max(packet.duration or 0, 0)))
    shown = sorted(set(stamps))
    if keys != sorted(keys) or 2 * len(shown) <= len(stamps):
        return None
    unit_s = source.stream.time_base or 1 / _DEFAULT_RATE
    last_s = float(last[1] * unit_s) or _mean_gap_s(shown, unit_s) or float(1 / _rate(source))
    return Timeline(shown, () if is_avi else keys, unit_s, last_s, counted=is_avi)


def _mean_gap_s(stamps: Sequence[int], unit_s: Fraction) -> float:
    return float((stamps[-1] - stamps[0]) * unit_s / max(1, len(stamps) - 1))


def _rate(source: Source) -> Fraction:
    rate = source.stream.average_rate
    return rate if rate is not None and rate > 0 else _DEFAULT_RATE
