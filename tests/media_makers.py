"""Small pictures and clips for the tests, made on the spot; each frame of a clip carries its own number."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 128, 64
_BITS = 8
_MILLISECONDS = Fraction(1, 1000)


def coded_frame(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Return uint8 [height, width, 3] whose eight bars, white for 1, are the bits of `number`, lowest at the left."""
    bars = np.array([255 * (number >> bit & 1) for bit in range(_BITS)], np.uint8)
    row = bars[np.arange(width) * _BITS // width]
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def number_in(rgb: NDArray[np.uint8]) -> int:
    """Return the number that an upright frame carries."""
    columns = np.split(rgb[:, : rgb.shape[1] // _BITS * _BITS], _BITS, axis=1)
    return sum(int(np.median(column) > 128) << bit for bit, column in enumerate(columns))


@dataclass(frozen=True)
class At:
    """A way of looking at a clip that takes the frames of these numbers, or every `step`-th, in the size they have."""

    numbers: tuple[int, ...] | None = None
    step: int = 1
    may_move: bool = False

    def choose(self, times_s: Sequence[float], duration_s: float) -> Sequence[int]:  # noqa: ARG002
        return range(0, len(times_s), self.step) if self.numbers is None else self.numbers

    def fit(self, rgb: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:  # noqa: ARG002
        return rgb


@contextmanager
def priority_kept() -> Iterator[None]:
    """Leave the process as urgent as it was.

    SVT-AV1 makes one of root's a real-time process for good, and all that it starts later: a browser then takes the
    whole machine.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, urgency = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, urgency)


def write_clip(
    path: Path,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    *,
    frames: int = 40,
    times_ms: Sequence[int] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    rate: int = 25,
    turn: tuple[int, bool, bool] | None = None,
    sound: bool = False,
    muxer: dict[str, str] | None = None,
) -> Path:
    """Write a clip of coded frames, at `rate` a second or at `times_ms`.

    `options` go to the encoder and `muxer` to the container; `turn` is degrees to the left, and flips.
    """
    with priority_kept(), av.open(str(path), "w", format=container, options=muxer or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if times_ms is not None:
            stream.codec_context.time_base = _MILLISECONDS
        if turn is not None:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        voice = output.add_stream("aac", rate=16000, layout="mono") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(coded_frame(number, *size), format="rgb24")
            if times_ms is not None:
                frame.time_base, frame.pts = _MILLISECONDS, times_ms[number]
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
        if voice is not None:
            _speak(output, voice)
    return path


def write_sound(path: Path) -> Path:
    """Write two seconds of sound and no video."""
    with av.open(str(path), "w") as output:
        _speak(output, output.add_stream("aac", rate=16000, layout="mono"))
    return path


def _speak(output: av.container.OutputContainer, stream: av.AudioStream) -> None:
    wave = (np.sin(np.arange(32000) / 5) * 8000).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
    frame.rate, frame.pts = 16000, 0
    output.mux(stream.encode(frame))
    output.mux(stream.encode())
