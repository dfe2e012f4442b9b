"""A process that reads files for the server, one after the other, and can be ended at any moment.

It gets an order, `("open" or "probe", path, clip reader, whether frames may move)`, and answers with messages:

    at work                                  often, while something is read
    picture, height, width, animated         its pixels lie in the shared memory
    times, number, seconds                   of all frames, float64 there; how many to take comes back, int64 there
    decoding, number                         the first of so many frames is about to be decoded
    clip, seconds, number, seconds           these frames follow, and so long a player has sound alone before them
    frame, number, second, height, width     its pixels lie in one of two slots, in turn; "taken" comes back
    size, height, width, animated            of a picture that is probed
    sizes, height, width, number, seconds    of a clip that is probed; the times of its frames lie there
    refused, sentence                        what a person is told
    failed, text                             a fault of the program
    done
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from pipelines.media.confinement import allow_processor, confine
from pipelines.media.content import PICTURE, kind_of
from pipelines.media.errors import Undecoded, damaged, too_dear
from pipelines.media.footage import Footage
from pipelines.media.limits import FRAMES_AN_ALLOWANCE, MAX_CLIP_FRAMES, PICTURE_CPU_S, WORKER_CPU_S
from pipelines.media.opening import probe, read_media
from pipelines.media.wire import NUM_SLOTS, SLOT_BYTES, Region, receive, send
from pipelines.types import ClipReader, Picture, ProbedClip, UserError

BEAT_S = 0.2


class Worker:
    """Reads what is ordered."""

    def __init__(self, connection: Connection, region: Region) -> None:
        self._connection, self._region = connection, region
        self._last_beat_s = 0.0

    def run(self) -> None:
        """Do what is ordered until the server is gone."""
        from pipelines.media.picture import allow_long_texts

        allow_long_texts()
        confinement = confine()
        send(self._connection, "ready", confinement.files, confinement.network)
        while True:
            try:
                self._obey(*receive(self._connection))
            except (EOFError, OSError):
                return

    def _obey(self, task: str, path: str, clip_reader: ClipReader, may_move: bool) -> None:
        try:
            allow_processor(PICTURE_CPU_S if kind_of(Path(path)) == PICTURE else WORKER_CPU_S)
            if task == "probe":
                self._probe(Path(path))
            else:
                self._open(Path(path), clip_reader, may_move)
            send(self._connection, "done")
        except UserError as error:
            send(self._connection, "refused", str(error))
        except MemoryError:
            send(self._connection, "refused", str(too_dear(Path(path).name)))
        except (EOFError, BrokenPipeError):
            raise
        except Exception:
            send(self._connection, "failed", traceback.format_exc()[-4000:])

    def _probe(self, path: Path) -> None:
        try:
            found = probe(path, self._beat)
        except Undecoded:
            from pipelines.media.opencv_reader import probe_clip

            clip = probe_clip(path, self._beat)
            if clip is None:
                raise
            found = clip
        if isinstance(found, ProbedClip):
            self._region.put(np.array(found.times_s, np.float64))
            send(self._connection, "sizes", found.height, found.width, len(found.times_s), found.duration_s)
        else:
            send(self._connection, "size", found.height, found.width, found.is_animated)

    def _open(self, path: Path, clip_reader: ClipReader, may_move: bool) -> None:
        item = self._read(path, clip_reader, may_move)
        if isinstance(item, Picture):
            self._region.put(item.rgb)
            send(self._connection, "picture", item.height, item.width, item.is_animated)
        else:
            self._send_footage(item)

    def _read(self, path: Path, clip_reader: ClipReader, may_move: bool) -> Picture | Footage:
        """What the chosen reader makes of the file, or OpenCV where that makes nothing of a clip."""
        try:
            item = read_media(path, self._choose, clip_reader, self._beat, may_move=may_move)
            return item if isinstance(item, Picture) else self._begun(path.name, item)
        except Undecoded:
            from pipelines.media.opencv_reader import read_footage

            footage = read_footage(path, self._choose, self._beat)
            if footage is None:
                raise
            return footage

    def _begun(self, name: str, footage: Footage) -> Footage:
        """The same footage with its first frame decoded. Raises UserError where there is none."""
        send(self._connection, "decoding", footage.num_frames)
        first = next(footage.frames, None)
        if first is None:
            raise damaged(name)
        return replace(footage, frames=chain((first,), footage.frames))

    def _send_footage(self, footage: Footage) -> None:
        send(self._connection, "clip", footage.duration_s, footage.num_frames, footage.lead_s)
        num_sent = 0
        for num_sent, frame in enumerate(footage.frames, 1):
            if num_sent > NUM_SLOTS:
                receive(self._connection)
            self._region.put(frame.rgb, (num_sent - 1) % NUM_SLOTS * SLOT_BYTES)
            send(self._connection, "frame", frame.number, frame.time_s, *frame.rgb.shape[:2])
            if not num_sent % FRAMES_AN_ALLOWANCE:
                allow_processor(WORKER_CPU_S)
        for _ in range(min(num_sent, NUM_SLOTS)):
            receive(self._connection)

    def _choose(self, times_s: Sequence[float], duration_s: float) -> Sequence[int]:
        self._region.put(np.array(times_s[:MAX_CLIP_FRAMES], np.float64))
        send(self._connection, "times", len(times_s), duration_s)
        (count,) = receive(self._connection)
        numbers: list[int] = self._region.view((count,), np.int64).tolist()
        return numbers

    def _beat(self) -> bool:
        """Tell that this is still at work. It is never told to stop: it is ended."""
        now_s = time.monotonic()
        if now_s - self._last_beat_s > BEAT_S:
            self._last_beat_s = now_s
            send(self._connection, "at work")
        return False
