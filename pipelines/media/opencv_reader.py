"""Clips that the other readers cannot decode, decoded with OpenCV: the last resort, in a worker only.

It decodes every encoding that its FFmpeg knows, and tells little of what it does: so a clip comes here only after PyAV
has refused it, and where a crash costs nothing. Frames are taken by counting, in two passes from the start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipelines.media.content import PICTURE, kind_of
from pipelines.media.errors import too_large
from pipelines.media.footage import Choose, Footage, Frame
from pipelines.media.limits import MAX_CLIP_FRAMES, MAX_DECODED_PIXELS
from pipelines.opencv import has_opencv
from pipelines.types import ProbedClip

if has_opencv():
    import cv2

_DEFAULT_RATE = 25.0
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


def read_footage(path: Path, choose: Choose, should_stop: Callable[[], bool]) -> Footage | None:
    """As `pipelines.media.clip.read_footage`; None where OpenCV reads no frame either."""
    probed = probe_clip(path, should_stop)
    if probed is None:
        return None
    wanted = sorted(set(choose(probed.times_s, probed.duration_s)))
    frames = _frames(path, kind_of(path), wanted, probed.times_s, should_stop)
    return Footage(probed.duration_s, len(wanted), frames)


def probe_clip(path: Path, should_stop: Callable[[], bool]) -> ProbedClip | None:
    """As `pipelines.media.probing.probe_clip`, by going through all of the clip.

    None where OpenCV reads no frame, or is not here.
    """
    kind = kind_of(path)
    if kind == PICTURE or not has_opencv():
        return None
    with _opened(path, kind) as reader:
        width, height = (int(reader.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_DECODED_PIXELS:
            raise too_large(path.name, MAX_DECODED_PIXELS)
        rate = reader.get(cv2.CAP_PROP_FPS)
        times_s = _times(reader, rate if 0 < rate < 1000 else _DEFAULT_RATE, should_stop)
    if not times_s:
        return None
    duration_s = times_s[-1] + (times_s[-1] / (len(times_s) - 1) if len(times_s) > 1 else 1 / _DEFAULT_RATE)
    return ProbedClip(path.name, width, height, times_s, duration_s)


def _times(reader: cv2.VideoCapture, rate: float, should_stop: Callable[[], bool]) -> list[float]:
    """When each frame is shown, in seconds after the first; by the rate where the file does not tell it."""
    stamps_ms: list[float] = []
    while len(stamps_ms) < MAX_CLIP_FRAMES and not should_stop() and reader.grab():
        stamps_ms.append(reader.get(cv2.CAP_PROP_POS_MSEC))
    if (np.diff(stamps_ms) > 0).all():
        return [(stamp - stamps_ms[0]) / 1000 for stamp in stamps_ms]
    return [number / rate for number in range(len(stamps_ms))]


def _frames(
    path: Path, kind: str, wanted: list[int], times_s: Sequence[float], should_stop: Callable[[], bool]
) -> Iterator[Frame]:
    with _opened(path, kind) as reader:
        number = -1
        for target in wanted:
            while number < target and not should_stop() and reader.grab():
                number += 1
            is_there, bgr = reader.retrieve()
            if number < target or not is_there:
                return
            yield Frame(number, times_s[number], cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[cv2.VideoCapture]:
    os.environ[_OPTIONS] = f"protocol_whitelist;file|format_whitelist;{kind}|max_pixels;{MAX_DECODED_PIXELS}"
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        yield reader
    finally:
        reader.release()
