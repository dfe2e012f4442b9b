"""When each frame of a clip is shown, found without decoding.

Containers state frame counts and rates that are missing, rounded or wrong; the time stamps of the frames themselves
are right for variable rates, cut starts and reordered frames alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, islice
from typing import TYPE_CHECKING

import numpy as np

from pipelines.media.limits import MAX_CLIP_FRAMES
from pipelines.media.source import Source
from pipelines.types import UserError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_DEFAULT_RATE = Fraction(25)
NUM_COMPARED = 64
"""Packets at the start of a clip that must agree with its index, for the index to be believed."""

Opener = Callable[[], AbstractContextManager[Source]]
"""Opens the clip afresh, from its start."""


@dataclass(frozen=True)
class Timeline:
    """The frames of a clip in the order in which they are shown.

    `stamps` ascend, in units of `unit_s` seconds; `keys` are the stamps at which decoding can start, empty where they
    are not known. The last frame stays for `last_s` seconds. `counted` says that the decoder's stamps mean nothing and
    its n-th frame is the n-th of `stamps`. For `lead_s` seconds before the first frame a player has sound alone.
    """

    stamps: Sequence[int]
    keys: Sequence[int]
    unit_s: Fraction
    last_s: float
    counted: bool = False
    lead_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame's appearance to the last frame's end."""
        return self.times_s[-1] + self.last_s

    @cached_property
    def times_s(self) -> Sequence[float]:
        """When each frame is shown, in seconds after the first."""
        since = np.asarray(self.stamps, np.int64) - self.stamps[0]
        # one division, so that the n-th frame of a constant rate has the time that n / rate gives
        return tuple((since * self.unit_s.numerator / self.unit_s.denominator).tolist())

    def stamped(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        """Pair decoded frames with their stamps."""
        if self.counted:
            return zip(self.stamps, frames, strict=False)
        return ((int(frame.pts), frame) for frame in frames if frame.pts is not None)


def read_timeline(open_clip: Opener, name: str) -> Timeline:
    """Read the times of all frames; `stamps` is empty where there are none.

    They are in the container's index, or in its packets. A clip without usable stamps is decoded once to count its
    frames, and takes a constant rate. Raises UserError for more than `MAX_CLIP_FRAMES`, and whatever `open_clip`
    raises.
    """
    for read in (from_index, from_delays, from_packets):
        with open_clip() as source:
            timeline = read(source, name)
        if timeline is not None:
            return timeline
    with open_clip() as source:
        total = sum(1 for _ in source.frames())
        rate = _rate(source)
    return Timeline(range(total), (), 1 / rate, float(1 / rate), counted=True)


def from_index(source: Source, name: str) -> Timeline | None:
    """The times by the index of an MP4, which saves reading the whole file; None where it does not tell them.

    The index tells when frames are decoded. That is when they are shown, unless they are reordered; then, and where
    frames are cut off or left out by an edit, the packets know better.
    """
    stream = source.stream
    if not source.container.format.name.startswith("mov") or stream.codec_context.has_b_frames:
        return None
    entries = list(stream.index_entries)
    if not entries or len(entries) != stream.frames or any(entry.is_discard for entry in entries):
        return None
    if max(entry.pos + entry.size for entry in entries) > source.num_bytes:
        return None
    first = [(packet.pts, packet.dts) for packet in islice(source.packets(), NUM_COMPARED) if packet.size]
    stamps = [entry.timestamp for entry in entries]
    if first != [(stamp, stamp) for stamp in stamps[: len(first)]] or stamps != sorted(set(stamps)):
        return None
    _check_count(len(stamps), name)
    unit_s = stream.time_base or 1 / _DEFAULT_RATE
    end = (stream.start_time or 0) + (stream.duration or 0)
    last_s = float(max(0, end - stamps[-1]) * unit_s) or _mean_gap_s(stamps, unit_s) or float(1 / _rate(source))
    keys = [entry.timestamp for entry in entries if entry.is_keyframe]
    return Timeline(stamps, keys, unit_s, last_s, lead_s=_lead_s(source, stamps[0] * unit_s))


def from_delays(source: Source, name: str) -> Timeline | None:
    """The times of a GIF as browsers show it: a frame that is to stay for a hundredth of a second stays for a tenth."""
    if source.container.format.name != "gif":
        return None
    delays: list[int] = []
    for packet in source.packets():
        if packet.size:
            _check_count(len(delays) + 1, name)
            delays.append(packet.duration or 0)
    stays = [delay if delay > 1 else 10 for delay in delays]
    begins = [0, *accumulate(stays)][:-1]
    return Timeline(begins, (), Fraction(1, 100), stays[-1] / 100 if stays else 0.0, counted=True)


def from_packets(source: Source, name: str) -> Timeline | None:
    """The times by the packets; None where they do not tell them."""
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
        _check_count(len(stamps) + 1, name)
        if packet.is_keyframe:
            keys.append(stamp)
        if not packet.is_discard:
            stamps.append(stamp)
            last = max(last, (stamp, max(packet.duration or 0, 0)))
    shown = sorted(set(stamps))
    if keys != sorted(set(keys)) or 2 * len(shown) <= len(stamps):
        return None
    unit_s = source.stream.time_base or 1 / _DEFAULT_RATE
    last_s = float(_stay(source.stream, *last) * unit_s) or _mean_gap_s(shown, unit_s) or float(1 / _rate(source))
    lead_s = 0.0 if is_avi else _lead_s(source, shown[0] * unit_s)
    return Timeline(shown, () if is_avi else keys, unit_s, last_s, counted=is_avi, lead_s=lead_s)


def _stay(stream: VideoStream, stamp: int, duration: int) -> int:
    """How long the last frame stays. Where frames are reordered, its packet tells when the next one is decoded."""
    end = (stream.start_time or 0) + (stream.duration or 0)
    return min(duration, end - stamp) if end > stamp else duration


def _check_count(num_frames: int, name: str) -> None:
    if num_frames > MAX_CLIP_FRAMES:
        raise UserError(f'"{name}" has more than {MAX_CLIP_FRAMES} frames: cut it to the part you ask about.')


def _lead_s(source: Source, first_s: Fraction) -> float:
    return max(0.0, float(first_s) - source.begin_s)


def _mean_gap_s(stamps: Sequence[int], unit_s: Fraction) -> float:
    return float((stamps[-1] - stamps[0]) * unit_s / max(1, len(stamps) - 1))


def _rate(source: Source) -> Fraction:
    rate = source.stream.average_rate
    return rate if rate is not None and rate > 0 else _DEFAULT_RATE
