"""Clips that are made to do harm, or are merely odd."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from tests.media_makers import write_clip, write_sound

HUGE = 0x7FFF_FFFF
ODD = {
    "one-frame.mp4": ("libx264", {"frames": 1}),
    "tiny.mp4": ("libx264", {"size": (16, 16)}),
    "narrow.mp4": ("libx264", {"size": (16, 1024)}),
    "variable.mkv": ("libx264", {"frames": 5, "times_ms": (0, 10, 5000, 5001, 90_000)}),
    "future.mkv": ("libx264", {"frames": 3, "times_ms": (10**9, 10**9 + 40, 2 * 10**9)}),
    "turned.mp4": ("libx264", {"turn": (90, True, False)}),
    "sound.mp4": ("libx264", {"sound": True}),
    "wide.avi": ("mpeg4", {"size": (2048, 32)}),
    "lossless.mkv": ("ffv1", {"frames": 10}),
    "old.avi": ("wmv2", {"frames": 10}),
    "vp9.webm": ("libvpx-vp9", {"frames": 10}),
    "stream.ts": ("mpeg2video", {"frames": 20}),
    "moving.mov": ("mjpeg", {"frames": 10, "pix_fmt": "yuvj420p"}),
}


def write_clips(folder: Path) -> list[Path]:
    """Odd clips, and hostile ones made of a whole one."""
    paths = [write_clip(folder / name, codec, **keywords) for name, (codec, keywords) in ODD.items()]  # type: ignore[arg-type]
    paths += [endless_stts(folder / "stts.mp4"), write_sound(folder / "only-sound.mp4")]
    whole = write_clip(folder / "whole.mp4").read_bytes()
    for name, change in CHANGES.items():
        (folder / f"{name}.mp4").write_bytes(change(bytearray(whole)))
        paths.append(folder / f"{name}.mp4")
    for name, text in PLAYLISTS.items():
        (folder / name).write_text(text)
        paths.append(folder / name)
    for part in range(1, 8):
        (folder / f"cut-{part}.mp4").write_bytes(whole[: len(whole) * part // 8])
        paths.append(folder / f"cut-{part}.mp4")
    return paths


def endless_stts(path: Path) -> Path:
    """A clip whose table of times states two thousand million frames: decord asks for the memory, and aborts."""
    path.write_bytes(with_field(bytearray(write_clip(path).read_bytes()), b"stts", 12, HUGE))
    return path


def stating_huge_frames(path: Path) -> Path:
    """A clip whose container states frames of 16,384 x 16,384."""
    path.write_bytes(_sized(16_384, 16_384)(bytearray(write_clip(path).read_bytes())))
    return path


def with_field(content: bytearray, box: bytes, offset: int, value: int) -> bytes:
    """The clip with four bytes of a box, counted from its name, set to a value."""
    start = content.index(box) + offset
    content[start : start + 4] = struct.pack(">I", value)
    return bytes(content)


def _sized(width: int, height: int) -> Callable[[bytearray], bytes]:
    """A clip that states other frames than it has, in its container."""

    def change(content: bytearray) -> bytes:
        start = content.index(b"avc1") + 28
        content[start : start + 4] = struct.pack(">HH", width, height)
        return bytes(content)

    return change


CHANGES: dict[str, Callable[[bytearray], bytes]] = {
    "endless-stsz": lambda content: with_field(content, b"stsz", 12, HUGE),
    "endless-ctts": lambda content: with_field(content, b"stsc", 8, HUGE),
    "endless-stss": lambda content: with_field(content, b"stco", 8, HUGE),
    "no-time": lambda content: with_field(content, b"mdhd", 16, 0),
    "box-of-zero": lambda content: with_field(content, b"moov", -4, 0),
    "box-too-large": lambda content: with_field(content, b"moov", -4, HUGE),
    "box-in-itself": lambda content: bytes(content).replace(b"mdia", b"moov"),
    "huge-frames": _sized(16384, 16384),
    "no-frames": _sized(0, 0),
    "twice": lambda content: bytes(content) * 2,
    "zeros": lambda content: bytes(content[:32]) + bytes(100_000),
}
PLAYLISTS = {
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "list.m3u8": "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/canary.ts\n",
    "concat.mp4": "ffconcat version 1.0\nfile /etc/passwd\n",
    "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "dash.mp4": '<?xml version="1.0"?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>',
}
