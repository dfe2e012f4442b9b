"""Clips that are damaged, none, or more than a clip: each gives what is there, or one sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.media_makers import write_clip, write_sound
from tests.opened_clips import FRAME_S, numbers, opened, refusal

DAMAGED = '"walk.mp4" is cut off or damaged: export or download it again.'


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_cut_off_before_the_index(tmp_path: Path, part: float) -> None:
    path = write_clip(tmp_path / "walk.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert refusal(path) == DAMAGED


@pytest.mark.parametrize(
    ("name", "muxer"), [("walk.mp4", {"movflags": "faststart"}), ("walk.mkv", {}), ("walk.ts", {}), ("walk.avi", {})]
)
def test_cut_in_the_middle_gives_what_is_there(tmp_path: Path, name: str, muxer: dict[str, str]) -> None:
    path = write_clip(tmp_path / name, options={"g": "12"}, frames=100, muxer=muxer)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    clip = opened(path, step=1)
    assert 20 <= len(clip.indices) < 100
    assert clip.times_s == pytest.approx([number * FRAME_S for number in numbers(clip)], abs=0.002)


def test_a_hole_gives_the_frames_around_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "walk.mkv", options={"g": "12"}, frames=100)
    content = bytearray(path.read_bytes())
    middle, length = len(content) // 2, len(content) // 10
    content[middle : middle + length] = bytes(length)
    path.write_bytes(content)
    clip = opened(path, step=1)
    assert clip.times_s[0] == 0
    assert clip.times_s[-1] > 3.8
    assert clip.times_s == pytest.approx([number * FRAME_S for number in numbers(clip)], abs=FRAME_S)


@pytest.mark.parametrize(
    "content",
    [b"\0\0\0\x20ftypisom" + bytes(20), b"\x1a\x45\xdf\xa3" + bytes(500), b"RIFF\0\0\0\0AVI LIST", b"GIF89a"],
    ids=["mp4", "mkv", "avi", "gif"],
)
def test_headers_alone_are_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "walk.mp4"
    path.write_bytes(content)
    assert refusal(path) == DAMAGED


def test_sound_alone(tmp_path: Path) -> None:
    assert refusal(write_sound(tmp_path / "talk.mp4")) == '"talk.mp4" holds no video: use a clip with pictures.'


def test_no_frames(tmp_path: Path) -> None:
    """The container is whole and announces a video, and all frames are missing."""
    path = write_clip(tmp_path / "walk.mkv", frames=30)
    content = path.read_bytes()
    path.write_bytes(content[: content.find(b"\x1f\x43\xb6\x75")])
    assert refusal(path) == DAMAGED.replace("mp4", "mkv")


def test_an_encoding_that_is_not_read(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "walk.mkv", "ffv1", frames=2)
    assert refusal(path) == '"walk.mkv" is encoded in a way that is not read here: export it as MP4 (H.264).'


def test_text_renamed(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("hello\n" * 1000)
    assert "is not a picture or clip that can be read" in refusal(path)


@pytest.mark.parametrize("start", [b"", b"\0\0\0\x08free"], ids=["bare", "as-mp4"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{target}'\n",
    ],
    ids=["hls", "concat"],
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_playlists_never_reach_another_file(tmp_path: Path, text: str, scheme: str, start: bytes) -> None:
    target = write_clip(tmp_path / "secret.ts")
    os.utime(target, (0, 0))
    path = tmp_path / "list.mp4"
    path.write_bytes(start + text.format(target=f"{scheme}{target}").encode())
    assert refusal(path)
    assert target.stat().st_atime == 0


def test_playlists_never_reach_the_network(tmp_path: Path) -> None:
    path = tmp_path / "list.mp4"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n")
        assert refusal(path)
        with pytest.raises(BlockingIOError):
            server.accept()
