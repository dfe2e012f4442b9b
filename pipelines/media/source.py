"""A clip's file, opened with PyAV so that nothing else can be reached through it.

The demuxer is the one that the first bytes name, no protocol but local files is allowed, and the decoders are a closed
list: a playlist is never followed. Frame sizes are bounded before a frame is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av

from pipelines.media.errors import Cancelled, decoding, too_large, unread_encoding
from pipelines.media.limits import DECODER_THREADS, MAX_DECODED_PIXELS
from pipelines.types import UserError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_DECODERS = (
    "h264",
    "hevc",
    "libdav1d",
    "av1",
    "vp8",
    "vp9",
    "mpeg4",
    "mpeg2video",
    "mpeg1video",
    "mjpeg",
    "prores",
    "h263",
    "msmpeg4",
    "gif",
)
_COVER_ART = 1024


@dataclass(frozen=True)
class Source:
    """An open clip. Reading it moves on; `should_stop` is asked at every packet, and Cancelled raised when it is true.

    What is damaged is passed over: packets end where they can no longer be read, and frames that cannot be decoded are
    left out.
    """

    container: InputContainer
    stream: VideoStream
    num_bytes: int
    should_stop: Callable[[], bool]

    @property
    def begin_s(self) -> float:
        """When a player begins: with the video or with a sound, whichever is earlier, in seconds of the container."""
        starts = ((one.start_time, one.time_base) for one in (self.stream, *self.container.streams.audio))
        return float(min((start * unit_s for start, unit_s in starts if start is not None and unit_s), default=0))

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Read the encoded frames of the video, in decoding order; the last is an empty one."""
        with suppress(av.FFmpegError):
            for packet in self.container.demux(self.stream):
                if self.should_stop():
                    raise Cancelled
                yield packet

    def frames(self, wanted: Container[int] | None = None) -> Iterator[VideoFrame]:
        """Decode the frames, in the order in which they are shown.

        Frames of other stamps than those `wanted`, where it is given, are left out if no other frame refers to them:
        the rest comes out the same, and of what most encoders write half is never decoded.
        """
        for packet in chain(self.packets(), (None,)):
            if wanted is not None:
                is_wanted = packet is None or packet.pts in wanted
                self.stream.codec_context.skip_frame = "DEFAULT" if is_wanted else "NONREF"
            yield from self._decoded(packet)

    def seek(self, stamp: int) -> bool:
        """Go on from the keyframe at `stamp`, or near it: not every container says exactly where it landed."""
        with suppress(av.FFmpegError):
            self.container.seek(stamp, stream=self.stream)
            return True
        return False

    def _decoded(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        with suppress(av.FFmpegError):
            frames: list[VideoFrame] = self.stream.decode(packet)
            return frames
        return []


@contextmanager
def open_source(path: Path, demuxer: str, should_stop: Callable[[], bool]) -> Iterator[Source]:
    """Open a clip for the length of a `with` block.

    Raises UserError when the file is damaged, holds no video, holds video of a kind that is not decoded here, or frames
    larger than `MAX_DECODED_PIXELS`.
    """
    limits = {"codec_whitelist": ",".join(_DECODERS), "max_pixels": str(MAX_DECODED_PIXELS)}
    options = {"format_whitelist": demuxer, "protocol_whitelist": "file", **limits}
    with decoding(path.name):
        container = av.open(f"file:{path}", format=demuxer, options=options, metadata_errors="replace")
    with container:
        stream = _video(container, path.name)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = DECODER_THREADS
        stream.codec_context.options = limits
        yield Source(container, stream, path.stat().st_size, should_stop)


def _video(container: InputContainer, name: str) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & _COVER_ART]
    if not streams:
        raise UserError(f'"{name}" holds no video: use a clip with pictures.')
    context = streams[0].codec_context
    if context is None or context.name not in _DECODERS:
        raise unread_encoding(name)
    if context.width * context.height > MAX_DECODED_PIXELS:
        raise too_large(name, MAX_DECODED_PIXELS)
    return streams[0]
