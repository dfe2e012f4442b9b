"""Opening what strangers give: by a worker, which a hostile file can break without breaking anything else.

The pixels are those of `pipelines.media.opening`, which is what the worker calls; choosing the frames of a clip and
bringing them to size stays on this side, so that a worker needs to know of decoders only.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.media import opening
from pipelines.media.content import PICTURE, kind_of
from pipelines.media.errors import broke_the_reader, too_slow
from pipelines.media.footage import Choose, Footage, Frame, keep_footage
from pipelines.media.hand import Died, Hand, Silent, Spent
from pipelines.media.limits import (
    MAX_CLIP_FRAMES,
    MAX_DECODED_PIXELS,
    MAX_PICTURE_PIXELS,
    PICTURE_SILENCE_S,
    SILENCE_S,
)
from pipelines.media.look import Look
from pipelines.media.pool import POOL, Pool
from pipelines.media.wire import NUM_SLOTS, SLOT_BYTES, Message
from pipelines.types import ClipReader, Media, Picture, Probe, ProbedClip, ProbedPicture, UserError

IS_POSSIBLE = hasattr(os, "fork")
"""Windows forks no processes: files are opened in the server's own there."""
Order = tuple[Literal["open", "probe"], ClipReader, bool]
"""What a worker is to do with a file, and of a clip: with which reader, and whether its frames may move."""
MAX_TURNS = 4
"""Messages before the first frame: times and a beginning for the first reader, times for the last resort, the clip."""


def open_guarded(
    path: Path,
    look: Look,
    clip_reader: ClipReader = "pyav",
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    pool: Pool = POOL,
) -> Media:
    """As `pipelines.media.opening.open_media`, by a worker; Stop ends that, whatever it is at.

    A worker that breaks or falls silent is a UserError too.
    """
    if not IS_POSSIBLE:
        return opening.open_media(path, look, clip_reader, on_progress, should_stop)
    with _reading(path, ("open", clip_reader, look.may_move), should_stop or _never, pool) as reading:
        return reading.media(look, on_progress or (lambda _done, _total: None))


@contextmanager
def footage_guarded(
    path: Path, choose: Choose, should_stop: Callable[[], bool] | None = None, pool: Pool = POOL
) -> Iterator[Footage]:
    """The chosen frames of a clip for the length of a `with` block, one at a time, however many they are.

    However many such clips are read, a worker is left for other files. The pixels of a frame hold until the next is
    asked for. Raises UserError as `open_guarded`, and for a picture.
    """
    if not IS_POSSIBLE:
        yield _moving(path, opening.read_media(path, choose, "pyav", should_stop or _never, may_move=False))
        return
    with _reading(path, ("open", "pyav", False), should_stop or _never, pool, is_long=True) as reading:
        yield _moving(path, reading.begun(choose, lambda _done, _total: None))


def probe_guarded(path: Path, pool: Pool = POOL) -> Probe:
    """As `pipelines.media.opening.probe`, by a worker."""
    if not IS_POSSIBLE:
        return opening.probe(path)
    with _reading(path, ("probe", "pyav", False), _never, pool) as reading:
        return reading.probe()


def make_ready() -> None:
    """Start a worker beside whatever else starts, so that the first file does not wait for it."""
    if IS_POSSIBLE:
        threading.Thread(target=POOL.warm, daemon=True, name="workers").start()


class _Reading:
    """One file on its way from a worker. Whatever that says is checked before it is believed."""

    def __init__(self, path: Path, hand: Hand, should_stop: Callable[[], bool], silence_s: float) -> None:
        self._name, self._hand, self._should_stop, self._silence_s = path.name, hand, should_stop, silence_s
        self._is_mid_clip = False

    def media(self, look: Look, on_progress: Callable[[int, int], None]) -> Media:
        """The picture, or the clip with all frames that were chosen."""
        item = self.begun(look.choose, on_progress)
        return keep_footage(self._name, item, look, on_progress) if isinstance(item, Footage) else item

    def begun(self, choose: Choose, on_progress: Callable[[int, int], None]) -> Picture | Footage:
        """The picture, or the clip frame by frame: the pixels of one hold until the next is asked for."""
        for _ in range(MAX_TURNS):
            match self._hear():
                case ["picture", int(height), int(width), bool(more)] if _fits(height, width, MAX_PICTURE_PIXELS):
                    rgb = self._hand.region.view((height, width, 3), np.uint8).copy()
                    self._end()
                    return Picture(self._name, rgb, is_animated=more)
                case ["times", int(count), float(duration_s)]:
                    self._take(choose(self._times(count), duration_s))
                case ["decoding", int(num_frames)]:
                    on_progress(0, num_frames)
                case ["clip", float(duration_s), int(num_frames), float(lead_s)] if (
                    0 < num_frames <= MAX_CLIP_FRAMES and math.isfinite(lead_s)
                ):
                    return Footage(duration_s, num_frames, self._frames(num_frames), lead_s)
                case _:
                    break
        raise Died

    def probe(self) -> Probe:
        """What the headers say."""
        match self._hear():
            case ["size", int(height), int(width), bool(is_animated)]:
                self._end()
                return ProbedPicture(self._name, width, height, is_animated)
            case ["sizes", int(height), int(width), int(count), float(duration_s)]:
                times_s = self._times(count)
                self._end()
                return ProbedClip(self._name, width, height, times_s, duration_s)
        raise Died

    def _frames(self, num_frames: int) -> Iterator[Frame]:
        self._is_mid_clip = True
        for count in range(num_frames + 1):
            match self._hear():
                case ["frame", int(number), float(time_s), int(height), int(width)] if (
                    _fits(height, width, MAX_DECODED_PIXELS) and count < num_frames
                ):
                    start = count % NUM_SLOTS * SLOT_BYTES
                    yield Frame(number, time_s, self._hand.region.view((height, width, 3), np.uint8, start))
                    self._hand.send("taken")
                case ["done"]:
                    self._hand.is_clean = True
                    return
                case _:
                    raise Died
        raise Died

    def _take(self, numbers: Sequence[int]) -> None:
        """Say which frames to take, where the times lay: they may be more than a message holds."""
        self._hand.region.put(np.array(numbers, np.int64))
        self._hand.send(len(numbers))

    def _times(self, count: int) -> tuple[float, ...]:
        if not 0 < count <= MAX_CLIP_FRAMES:
            raise Died
        return tuple(self._hand.region.view((count,), np.float64).tolist())

    def _end(self) -> None:
        if self._hear() != ["done"]:
            raise Died
        self._hand.is_clean = True

    def _hear(self) -> Message:
        message = self._hand.hear(self._should_stop, self._silence_s)
        match message:
            case ["refused", str(sentence)]:
                self._hand.is_clean = not self._is_mid_clip
                raise UserError(sentence)
            case ["failed", str(text)]:
                raise RuntimeError(f"a worker failed:\n{text}")
        return message


@contextmanager
def _reading(
    path: Path, order: Order, should_stop: Callable[[], bool], pool: Pool, *, is_long: bool = False
) -> Iterator[_Reading]:
    task, clip_reader, may_move = order
    silence_s = PICTURE_SILENCE_S if kind_of(path) == PICTURE else SILENCE_S
    try:
        with pool.worker(should_stop, is_long=is_long) as hand:
            hand.send(task, str(path.absolute()), clip_reader, may_move)
            yield _Reading(path, hand, should_stop, silence_s)
    except (Silent, Spent) as error:
        raise too_slow(path.name) from error
    except Died as error:
        raise broke_the_reader(path.name) from error


def _moving(path: Path, item: Picture | Footage) -> Footage:
    if isinstance(item, Picture):
        raise UserError(f'"{path.name}" is a picture: this is for clips.')
    return item


def _fits(height: int, width: int, max_pixels: int) -> bool:
    return min(height, width) > 0 and height * width <= max_pixels


def _never() -> bool:
    return False
