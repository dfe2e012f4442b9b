"""Clips: the frames taken are the frames asked for, at the right times, in every declared container.

Every frame of a clip carries its own number, so a test sees which frame it was given.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.media import Cancelled, open_media
from pipelines.media.source import open_source
from pipelines.media.timeline import Timeline, from_index, from_packets
from pipelines.media.upright import UPRIGHT, turned
from pipelines.types import Clip, Picture
from tests.media_makers import HEIGHT, WIDTH, At, coded_frame, write_clip
from tests.opened_clips import FRAME_S, numbers, opened, refusal

QUIET = "log-level=none"


CLIPS = [
    ("clip.mp4", "libx264", {"g": "12"}),
    ("clip.mov", "libx264", {"g": "12", "bf": "0"}),
    ("clip.mkv", "libx264", {"g": "12", "bf": "3"}),
    ("clip.ts", "libx264", {"g": "12"}),
    ("clip.avi", "libx264", {"g": "12"}),
    ("clip.mp4", "libx265", {"x265-params": QUIET}),
    ("clip.mkv", "libx265", {"x265-params": f"{QUIET}:keyint=12"}),
    ("clip.avi", "mpeg4", {}),
    ("clip.avi", "mpeg4", {"bf": "2"}),
    ("clip.mp4", "mpeg4", {}),
    ("clip.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}),
    ("clip.webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}),
    ("clip.mp4", "libsvtav1", {"preset": "12"}),
    ("clip.mkv", "libsvtav1", {"preset": "12"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), CLIPS, ids=[f"{codec}-{name}" for name, codec, _ in CLIPS])
def test_frames_and_times(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    clip = opened(write_clip(tmp_path / name, codec, options))
    assert clip.rgb.shape == (14, HEIGHT, WIDTH, 3)
    assert clip.indices == tuple(range(0, 40, 3))
    assert numbers(clip) == list(clip.indices)
    assert clip.times_s == pytest.approx([index * FRAME_S for index in clip.indices], abs=0.002)
    assert clip.duration_s == pytest.approx(40 * FRAME_S, abs=0.002)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_variable_rate(tmp_path: Path, name: str) -> None:
    """The times are those of the frames, not a number divided by an average rate."""
    times_ms = [0]
    for number in range(39):
        times_ms.append(times_ms[-1] + (10, 40, 200, 33)[number % 4])
    clip = opened(write_clip(tmp_path / name, times_ms=times_ms), step=1)
    assert numbers(clip) == list(range(40))
    assert clip.times_s == pytest.approx([time_ms / 1000 for time_ms in times_ms], abs=0.0011)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi"])
@pytest.mark.parametrize("wanted", [[0, 100, 199], [150, 151, 152], [11, 49, 50, 51, 120, 198], [199]])
def test_jumps_over_long_gaps_are_exact(tmp_path: Path, name: str, wanted: list[int]) -> None:
    path = write_clip(tmp_path / name, frames=200, options={"g": "25"})
    clip = open_media(path, At(tuple(wanted)))
    assert isinstance(clip, Clip)
    assert numbers(clip) == wanted
    assert clip.indices == tuple(wanted)
    assert clip.times_s == pytest.approx([index * FRAME_S for index in wanted], abs=0.002)


def test_a_start_cut_in_the_container_only(tmp_path: Path) -> None:
    """A phone trims a clip by saying where it starts; the frames before are stored and never shown."""
    path = write_clip(tmp_path / "trimmed.mp4", options={"g": "40", "bf": "0"}, muxer={"use_editlist": "1"})
    content = bytearray(path.read_bytes())
    entry = content.find(b"elst") + 12
    struct.pack_into(">Ii", content, entry, 1200, 10 * 512)
    path.write_bytes(content)
    clip = opened(path, step=1)
    assert numbers(clip) == list(range(10, 40))
    assert clip.times_s == pytest.approx([number * FRAME_S for number in range(30)], abs=0.002)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("hflip", "vflip"), [(False, False), (True, False), (False, True)])
def test_turned_clips_come_out_upright(tmp_path: Path, degrees: int, hflip: bool, vflip: bool) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=6, turn=(degrees, hflip, vflip))
    clip = opened(path, step=5)
    expected = np.rot90(coded_frame(5), degrees // 90)
    expected = expected[:, ::-1] if hflip else expected
    expected = expected[::-1] if vflip else expected
    assert clip.rgb.shape[1:] == expected.shape
    assert np.abs(clip.rgb[1].astype(int) - expected).mean() < 20


def test_axes_of_a_quarter_turn() -> None:
    """The matrix that phones write for a quarter turn to the right."""
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    one = 0x10000
    assert turned(stored, (0, one, -one, 0))[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert turned(stored, UPRIGHT) is stored


@pytest.mark.parametrize("size", [(321, 241), (16, 16), (130, 66)])
def test_sizes_are_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = opened(write_clip(tmp_path / "clip.mp4", frames=4, size=size, pix_fmt="yuv444p"), step=1)
    assert clip.rgb.shape == (4, size[1], size[0], 3)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "options"),
    [
        ("libx264", "yuv420p10le", {}),
        ("libx265", "yuv420p10le", {"x265-params": QUIET}),
        ("prores_ks", "yuv422p10le", {}),
        ("mjpeg", "yuvj420p", {}),
    ],
)
def test_pixel_formats(tmp_path: Path, codec: str, pix_fmt: str, options: dict[str, str]) -> None:
    clip = opened(write_clip(tmp_path / "clip.mov", codec, options, frames=8, pix_fmt=pix_fmt), step=1)
    assert numbers(clip) == list(range(8))
    assert clip.rgb.min() <= 12
    assert clip.rgb.max() >= 243


def test_one_frame(tmp_path: Path) -> None:
    clip = opened(write_clip(tmp_path / "clip.mp4", frames=1))
    assert numbers(clip) == [0]
    assert clip.times_s == (0.0,)
    assert clip.duration_s == pytest.approx(FRAME_S)


def test_sound_is_passed_over(tmp_path: Path) -> None:
    assert numbers(opened(write_clip(tmp_path / "clip.mp4", sound=True))) == list(range(0, 40, 3))


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
@pytest.mark.parametrize("options", [{}, {"bf": "0"}], ids=["reordered", "in-order"])
def test_what_is_heard_before_the_first_frame(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    times_ms = [500 + 40 * number for number in range(40)]
    for sound, lead_s in ((True, 0.5), (False, 0.0)):
        clip = opened(write_clip(tmp_path / name, options=options, times_ms=times_ms, sound=sound))
        assert clip.times_s[0] == 0
        # a sound's encoder needs a few of its samples before the first that is heard
        assert clip.lead_s == pytest.approx(lead_s, abs=0.07)


def test_fragments_without_a_frame_count(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", muxer={"movflags": "frag_keyframe+empty_moov"}, options={"g": "12"})
    assert numbers(opened(path)) == list(range(0, 40, 3))


def test_recordings_one_after_the_other(tmp_path: Path) -> None:
    """Two transport streams put together count their time from the same start twice."""
    path = write_clip(tmp_path / "clip.ts", options={"g": "12"})
    path.write_bytes(path.read_bytes() * 2)
    clip = opened(path, step=1)
    assert numbers(clip) == [*range(40), *range(40)]
    assert clip.times_s == pytest.approx([number * FRAME_S for number in range(80)], abs=0.002)


def test_a_short_recording_and_a_longer_one_behind_it(tmp_path: Path) -> None:
    """Both begin with their only keyframe, at the same time: of what both have a time for, half was lost."""
    path, longer = write_clip(tmp_path / "clip.ts", frames=15), write_clip(tmp_path / "longer.ts")
    path.write_bytes(path.read_bytes() + longer.read_bytes())
    assert numbers(opened(path, step=1)) == [*range(15), *range(40)]


def test_animated_gif_is_a_clip(tmp_path: Path) -> None:
    frames = [Image.fromarray(coded_frame(number)) for number in range(5)]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 300, 100, 200, 100])
    clip = opened(path, step=1)
    assert numbers(clip) == list(range(5))
    assert clip.times_s == pytest.approx([0.0, 0.1, 0.4, 0.5, 0.7])


def test_a_gif_that_asks_for_more_than_browsers_do_is_timed_as_they_show_it(tmp_path: Path) -> None:
    """Ten frames that last a second in every browser were told as a tenth of one."""
    frames = [Image.fromarray(coded_frame(number)) for number in range(5)]
    path = tmp_path / "fast.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[10, 20, 10, 0, 10])
    clip = opened(path, step=1)
    assert numbers(clip) == list(range(5))
    assert clip.times_s == pytest.approx([0.0, 0.1, 0.12, 0.22, 0.32])
    assert clip.duration_s == pytest.approx(0.42)


def test_transparent_gif_is_over_white(tmp_path: Path) -> None:
    first, second = (Image.new("RGBA", (32, 32), (0, 0, 0, 0)) for _ in range(2))
    second.paste((255, 0, 0, 255), (0, 0, 16, 32))
    path = tmp_path / "moving.gif"
    first.save(path, save_all=True, append_images=[second], duration=100, disposal=2)
    clip = opened(path, step=1)
    assert (clip.rgb[0] == 255).all()
    assert clip.rgb[1, 0, 0].tolist() == [255, 0, 0]
    assert clip.rgb[1, 0, 31].tolist() == [255, 255, 255]


def test_still_gif_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "still.gif"
    Image.fromarray(coded_frame(5)).save(path)
    assert isinstance(open_media(path, At()), Picture)


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.png", container="mp4")
    assert numbers(opened(path)) == list(range(0, 40, 3))


@pytest.mark.parametrize("name", ["a b%20#?.mp4", "kısa-видео-短片.mp4", "clip:1|2.mp4", "-i.mp4", "%03d.mp4"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / "clip.mp4").rename(tmp_path / name)
    assert numbers(opened(path)) == list(range(0, 40, 3))


def test_progress_rises_to_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = write_clip(tmp_path / "clip.mp4")
    open_media(path, At(step=3), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 14) for done in range(15)]


@pytest.mark.parametrize("asked", [1, 2, 30, 45, 60])
def test_stop_while_reading(tmp_path: Path, asked: int) -> None:
    """Stop is heard before, while the times are read, and while frames are decoded."""
    path = write_clip(tmp_path / "clip.mp4")
    calls = 0

    def should_stop() -> bool:
        nonlocal calls
        calls += 1
        return calls >= asked

    with pytest.raises(Cancelled):
        open_media(path, At(step=3), should_stop=should_stop)
    assert calls == asked


def test_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "bomb.mp4", frames=1, size=(4800, 3600), options={"preset": "ultrafast"})
    assert refusal(path) == '"bomb.mp4" has more than 16 megapixels: make it smaller and try again.'


DECORD = [clip for clip in CLIPS if clip[0][-3:] not in (".ts", "avi") and clip[1] not in ("libx265", "libsvtav1")]


@pytest.mark.parametrize(("name", "codec", "options"), DECORD, ids=[f"{codec}-{name}" for name, codec, _ in DECORD])
def test_decord_takes_the_same_frames(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    pytest.importorskip("decord")
    path = write_clip(tmp_path / name, codec, options)
    expected, found = opened(path), opened(path, reader="decord")
    assert numbers(found) == numbers(expected)
    assert (found.indices, found.times_s, found.duration_s) == (expected.indices, expected.times_s, expected.duration_s)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("clip.mp4", "libsvtav1"), ("clip.ts", "libx264"), ("clip.avi", "libx264"), ("clip.mkv", "libx265")],
)
def test_decord_refuses_what_it_reads_wrongly(tmp_path: Path, name: str, codec: str) -> None:
    pytest.importorskip("decord")
    path = write_clip(tmp_path / name, codec, {"x265-params": QUIET} if codec == "libx265" else {})
    assert refusal(path, reader="decord") == f'"{name}" cannot be read by the decord reader: use the pyav reader.'


def test_decord_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    path = write_clip(tmp_path / "clip.mp4", frames=2)
    assert refusal(path, reader="decord") == "decord has no build for this machine: use the pyav reader."


def test_the_times_come_from_the_index_where_no_frame_is_reordered(tmp_path: Path) -> None:
    """The index of an MP4 tells them without reading the file; both ways give the same times."""
    timelines: list[tuple[Timeline | None, Timeline | None]] = []
    for name, options in (("plain.mp4", {"bf": "0", "g": "7"}), ("reordered.mp4", {"bf": "3"})):
        path = write_clip(tmp_path / name, options=options)
        with open_source(path, "mov", lambda: False) as source:
            by_index = from_index(source, name)
        with open_source(path, "mov", lambda: False) as source:
            timelines.append((by_index, from_packets(source, name)))
    (plain, expected), (reordered, _) = timelines
    assert plain is not None
    assert expected is not None
    assert reordered is None
    assert (plain.times_s, plain.duration_s, list(plain.keys)) == (
        expected.times_s,
        expected.duration_s,
        list(expected.keys),
    )


def test_the_index_of_a_variable_rate(tmp_path: Path) -> None:
    times_ms = [0, 10, 50, 250, 283, 300, 900, 933]
    clip = opened(write_clip(tmp_path / "a.mp4", options={"bf": "0"}, frames=8, times_ms=times_ms), step=1)
    assert clip.times_s == pytest.approx([time_ms / 1000 for time_ms in times_ms], abs=0.0011)


def test_the_last_of_reordered_slides_stays_as_long_as_a_player_shows_it(tmp_path: Path) -> None:
    """It stayed for as long as it is until another one is decoded."""
    times_ms = range(0, 10_000, 2000)
    clip = opened(write_clip(tmp_path / "slides.mp4", frames=5, times_ms=times_ms, size=(256, 192)), step=1)
    assert clip.times_s == (0.0, 2.0, 4.0, 6.0, 8.0)
    assert clip.duration_s == pytest.approx(8 + FRAME_S)


def test_times_are_what_number_over_rate_gives(tmp_path: Path) -> None:
    """Rounded to tenths they are told to the model, and a last digit may turn 0.15 into 0.2."""
    clip = opened(write_clip(tmp_path / "a.mp4", rate=20), step=1)
    assert clip.times_s == tuple(number / 20 for number in range(40))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_frames_that_nothing_refers_to_are_left_undecoded(tmp_path: Path, codec: str) -> None:
    options = {"x265-params": f"{QUIET}:keyint=40:bframes=3"} if codec == "libx265" else {"bf": "3", "g": "40"}
    path = write_clip(tmp_path / "a.mp4", codec, options)
    with open_source(path, "mov", lambda: False) as source:
        every = {frame.pts or 0: frame.to_ndarray() for frame in source.frames()}
    wanted = sorted(every)[7]
    with open_source(path, "mov", lambda: False) as source:
        some = {frame.pts or 0: frame.to_ndarray() for frame in source.frames({wanted})}
    assert len(some) < len(every)
    assert wanted in some
    assert all(np.array_equal(frame, every[stamp]) for stamp, frame in some.items())
