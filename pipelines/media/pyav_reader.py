"""Frames of a clip, decoded with PyAV and taken by their time stamps.

A frame is taken exactly, whatever the container, codec, rate or order of frames. Pixels that are not square are kept as
stored, and high dynamic range is not tone-mapped.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Container, Generator, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from av.video.reformatter import VideoReformatter

from pipelines.media.errors import decoding
from pipelines.media.limits import MIN_SKIPPED_FRAMES
from pipelines.media.source import Source
from pipelines.media.timeline import Opener, Timeline
from pipelines.media.upright import UPRIGHT, turned

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray


def read(
    path: Path, opener: Opener, timeline: Timeline, wanted: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the wanted frames; see `pipelines.media.clip.Read`."""
    convert = _Converter()
    for stamp, frame in _frames_at(opener, timeline, [timeline.stamps[number] for number in wanted]):
        with decoding(path.name):
            rgb = convert(frame)
        yield min(bisect_left(timeline.stamps, stamp), len(timeline.stamps) - 1), rgb


def axes_of(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Which way is up, by the display matrix that a frame carries; see `pipelines.media.upright.turned`."""
    side_data: Any = frame.side_data
    if "DISPLAYMATRIX" not in side_data:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", side_data["DISPLAYMATRIX"])
    return a, b, c, d


class _Converter:
    """Frames to upright RGB of one size, that of the first frame: a clip may change its size on the way."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._axes = UPRIGHT

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        if self._size is None:
            self._size = frame.width, frame.height
            self._axes = axes_of(frame)
        width, height = self._size
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24").to_ndarray()
        return turned(rgb.astype(np.uint8, copy=False), self._axes)


def _frames_at(opener: Opener, timeline: Timeline, stamps: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
    """Yield the frames at these ascending stamps; for one that is missing, the next that can be decoded."""
    remaining = deque(stamps)
    for keys in (timeline.keys, ()):
        # The second time decodes from the start, for what a jump to a keyframe missed.
        with opener() as source:
            has_missed = yield from _taken(source, timeline, keys, remaining)
        if not has_missed:
            return


def _taken(
    source: Source, timeline: Timeline, keys: Sequence[int], remaining: deque[int]
) -> Generator[tuple[int, VideoFrame], None, bool]:
    """Take stamps off `remaining` while they can be reached; return whether a jump to a keyframe went wrong."""
    wanted = None if timeline.counted else frozenset(remaining)
    frames = timeline.stamped(source.frames(wanted))
    position = timeline.stamps[0]
    while remaining:
        key = _key_ahead(timeline.stamps, keys, position, remaining[0])
        if key is not None:
            landed = _from_key(source, timeline, key, wanted)
            if landed is None:
                return True
            frames = landed
        taken = next((pair for pair in frames if pair[0] >= remaining[0]), None)
        if taken is None:
            return False
        position = taken[0]
        while remaining and remaining[0] <= position:
            remaining.popleft()
        yield taken
    return False


def _key_ahead(stamps: Sequence[int], keys: Sequence[int], position: int, wanted: int) -> int | None:
    """Return the last keyframe up to `wanted`, where jumping to it skips enough frames to be worth it."""
    number = bisect_right(keys, wanted)
    if not number:
        return None
    skipped = bisect_left(stamps, keys[number - 1]) - bisect_left(stamps, position)
    return keys[number - 1] if skipped >= MIN_SKIPPED_FRAMES else None


def _from_key(
    source: Source, timeline: Timeline, key: int, wanted: Container[int] | None
) -> Iterator[tuple[int, VideoFrame]] | None:
    """Jump to a keyframe; None where the container came to lie behind it."""
    if not source.seek(key):
        return None
    frames = timeline.stamped(source.frames(wanted))
    first = next(frames, None)
    return None if first is None or first[0] > key else chain((first,), frames)
