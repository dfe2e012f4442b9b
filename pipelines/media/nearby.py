"""Frames of a long clip that can be had cheaply: keyframes, next to the frames that were chosen.

To reach one frame exactly, all frames since the keyframe before it are decoded. For 64 frames of an hour those are
thousands, though the moments were only spaced evenly, and are no better than those beside them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pipelines.media.limits import MAX_EXACT_FRAMES
from pipelines.media.timeline import Timeline

MAX_SHIFT = 0.5
"""Of the time to the next chosen frame on that side: nearer than that, all stay apart and in their order."""


def at_keyframes(chosen: Sequence[int], timeline: Timeline) -> list[int]:
    """The numbers of the frames to take for those `chosen`, both ascending.

    They are the same where reaching them decodes no more than `MAX_EXACT_FRAMES`. Else a chosen frame gives its place
    to the keyframe nearest in time, where that is nearer than `MAX_SHIFT`, if that saves half of the decoding. There
    are as many as were chosen.
    """
    stamps = timeline.stamps
    # an edit that cuts a clip leaves keyframes before its first frame and behind its last
    keys = [bisect_left(stamps, stamp) for stamp in timeline.keys if stamps[0] <= stamp <= stamps[-1]]
    num_exact = sum(_distances(chosen, keys))
    if not keys or num_exact <= MAX_EXACT_FRAMES:
        return list(chosen)
    moved = list(moved_to_keys(chosen, keys, stamps))
    return moved if 2 * sum(_distances(moved, keys)) <= num_exact else list(chosen)


def moved_to_keys(chosen: Sequence[int], keys: Sequence[int], stamps: Sequence[int]) -> Iterator[int]:
    """The chosen frames, each moved to the keyframe nearest in time where that is nearer than `MAX_SHIFT`."""
    gaps = [stamps[after] - stamps[before] for before, after in pairwise(chosen)] or [0]
    # a frame at an end may move outwards as far as inwards
    for number, before, after in zip(chosen, [gaps[0], *gaps], [*gaps, gaps[-1]], strict=False):
        key = _nearest(number, keys, stamps)
        shift = stamps[key] - stamps[number]
        yield key if -MAX_SHIFT * before < shift < MAX_SHIFT * after else number


def _distances(chosen: Sequence[int], keys: Sequence[int]) -> Iterator[int]:
    """How many frames are decoded for each chosen one: from the keyframe before it, or from the chosen one before."""
    previous = -1
    for number in chosen:
        before = bisect_right(keys, number)
        yield number - max(previous, keys[before - 1] - 1 if before else -1)
        previous = number


def _nearest(number: int, keys: Sequence[int], stamps: Sequence[int]) -> int:
    after = bisect_left(keys, number)
    around = keys[max(0, after - 1) : after + 1]
    return min(around, key=lambda key: abs(stamps[key] - stamps[number]))
