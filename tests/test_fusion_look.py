"""Which frames of a clip are taken, and how large, by rate, by number and by a budget of visual tokens."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.checkpoint import Checkpoint
from pipelines.engine import ScriptedEngine
from pipelines.fusion import SpanLook, look_of, sample_frames
from pipelines.fusion.frames import frames_by_number, frames_by_rate
from pipelines.fusion.resizing import clip_frames
from pipelines.media import Look, open_media
from pipelines.media.guarded import open_guarded
from pipelines.media.nearby import moved_to_keys
from pipelines.models import DEMO_FOLDER
from pipelines.present.moments import AtTimes
from pipelines.run import answer, foresee
from pipelines.types import Clip, Limits, Media, Request, Result, Settings
from tests.media_makers import At, number_in, write_clip


@pytest.fixture(scope="module")
def official() -> Checkpoint:
    """With the limits of Qwen3.5's own checkpoints."""
    demo = Checkpoint.open(DEMO_FOLDER)
    return replace(demo, clip_limits=Limits(4_096, 25_165_824), min_frames=4, max_frames=768)


@given(total=st.integers(1, 3000), fps=st.sampled_from([5, 10, 24, 25, 30, 60]), rate=st.sampled_from([0.5, 1, 2, 3]))
def test_a_constant_rate_is_sampled_as_the_reference_does(total: int, fps: int, rate: float) -> None:
    times = [number / fps for number in range(total)]
    assert frames_by_rate(times, total / fps, rate) == sample_frames(total, fps, rate)


@pytest.mark.parametrize("num_frames", [1, 3, 17, 50, 60])
def test_a_number_of_frames_is_taken_where_there_are_so_many(num_frames: int) -> None:
    taken = frames_by_number([number / 25 for number in range(50)], num_frames)
    assert len(taken) == len(set(taken)) == min(num_frames, 50)
    assert taken[0] == 0


def test_frames_of_a_variable_rate_are_spread_over_time() -> None:
    """Thirty frames in the first second, then one a second: by number, nearly all would be from the first second."""
    times = [number / 30 for number in range(30)] + [float(second) for second in range(1, 10)]
    assert [times[index] for index in frames_by_number(times, 10)] == pytest.approx(range(10))


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=60), st.integers(1, 70))
def test_as_many_frames_as_asked_for_in_order_whatever_their_times(gaps: list[float], num_frames: int) -> None:
    times = np.cumsum([0.0, *gaps]).tolist()
    taken = frames_by_number(times, num_frames)
    assert taken == sorted(set(taken))
    assert len(taken) == min(num_frames, len(times))


def test_a_still_moment_gives_its_places_to_others() -> None:
    """Two bursts of five frames with a minute between them, in which nothing is shown anew."""
    times = [0, 0.1, 0.2, 0.3, 0.4, 60, 60.1, 60.2, 60.3, 60.4]
    taken = frames_by_number(times, 6)
    assert len(taken) == 6
    assert {0, 4, 5, 9} <= set(taken)


def test_a_span_begins_with_the_frame_that_is_shown_then() -> None:
    """Of slides the one that fills most of a span was left out where another came up before its end."""
    slides = [0.0, 10.0, 20.0, 30.0]
    look = partial(SpanLook, num_frames=4, limits=Limits(4_096, 25_165_824))
    spans = [(5, 12), (12, 15), (10, 20), (35, 40), (0, 40)]
    chosen = [look(start_s, end_s).choose(slides, 40.0) for start_s, end_s in spans]
    assert chosen == [[0, 1], [1], [1, 2], [3], [0, 1, 2, 3]]


def test_no_frames_and_no_rate_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        frames_by_number([], 4)


def test_the_choice_of_a_person(official: Checkpoint) -> None:
    times = [number / 25 for number in range(1500)]
    for settings, expected in (
        (Settings(), 120),
        (Settings(sample_fps=0.5), 30),
        (Settings(max_frames=20), 20),
        (Settings(num_frames=33), 33),
        (Settings(num_frames=33, max_frames=20), 20),
        (Settings(sample_fps=0.01), official.min_frames),
        (Settings(num_frames=2), 2),
    ):
        assert len(look_of(settings, official).choose(times, 60.0)) == expected, settings


@pytest.mark.parametrize("budget", [16, 100, 1_000, 4_096, 12_288])
@pytest.mark.parametrize("seconds", [1, 20, 600])
def test_a_budget_of_visual_tokens_is_held(official: Checkpoint, budget: int, seconds: int) -> None:
    look = look_of(Settings(max_clip_tokens=budget), official)
    num_frames = len(look.choose([number / 25 for number in range(25 * seconds)], seconds))
    height, width = look.size(1080, 1920, num_frames)
    tokens = -(-num_frames // 2) * (height // 32) * (width // 32)
    assert tokens <= budget
    assert tokens >= min(budget, 768 * num_frames // 2) * 0.4


def test_a_clip_is_seen_as_the_reference_sees_its_full_frames(tmp_path: Path, official: Checkpoint) -> None:
    """Each frame is resized as it is decoded: the same values as decoding all at full size and resizing then."""
    path = write_clip(tmp_path / "a.mp4", frames=9, size=(1284, 724), rate=2)
    look = look_of(Settings(max_clip_tokens=600), official)
    seen, full = open_media(path, look), open_media(path, At())
    assert isinstance(seen, Clip)
    assert (seen.width, seen.height, full.rgb.shape[1:3]) == (1284, 724, (724, 1284))
    expected = clip_frames(full.rgb, look.limits)
    assert expected.shape == (10, 3, *seen.rgb.shape[1:3])
    assert clip_frames(seen.rgb, look.limits).equal(expected)


def test_what_is_foreseen_by_number_and_budget_is_what_is_seen(tmp_path: Path, official: Checkpoint) -> None:
    times_ms = [0, 30, 60, 90, 400, 420, 1500, 1533, 2600, 2650, 2700, 5000]
    path = write_clip(tmp_path / "a.mkv", frames=12, times_ms=times_ms, size=(322, 98))
    for settings in (Settings(num_frames=5), Settings(max_clip_tokens=64), Settings(num_frames=9, max_clip_tokens=40)):
        chosen = replace(settings, thinking=False)
        _, sight = foresee(path, chosen, official)
        *_, result = answer(Request("What moves?", (path,), chosen), ScriptedEngine("It.", official))
        assert isinstance(result, Result)
        assert result.sights == (sight,)


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A clip of 400 frames with a keyframe each 19, and a limit that makes it a long one."""
    monkeypatch.setattr("pipelines.media.nearby.MAX_EXACT_FRAMES", 50)
    return lambda name: write_clip(tmp_path / name, frames=400, options={"preset": "ultrafast", "g": "19"})


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_a_long_clip_gives_keyframes_near_the_moments_with_their_own_times(
    long: Callable[[str], Path], name: str
) -> None:
    spread = tuple(range(0, 400, 40))
    clip = open_media(long(name), At(spread, may_move=True))
    assert isinstance(clip, Clip)
    assert all(number % 19 == 0 for number in clip.indices)
    for number, moment, time_s, rgb in zip(clip.indices, spread, clip.times_s, clip.rgb, strict=True):
        assert abs(number - moment) <= 10
        assert time_s == pytest.approx(number / 25, abs=0.002)
        assert number_in(rgb) == number % 256


@pytest.mark.parametrize("cut_s", [14.4, 15.2, 15.6])
def test_a_long_clip_that_was_cut_without_coding_it_anew_is_read_to_its_cut(
    long: Callable[[str], Path], cut_s: float
) -> None:
    """As phones cut clips: a keyframe behind the cut is still in the file, and no frame."""
    path = long("long.mp4")
    film = bytearray(path.read_bytes())
    (unit_s,) = struct.unpack_from(">I", film, film.index(b"mvhd") + 16)
    struct.pack_into(">I", film, film.index(b"elst") + 12, round(cut_s * unit_s))
    path.write_bytes(film)
    spread = (*range(9, 340, 30), round(cut_s * 25) - 1)
    clip = open_media(path, At(spread, may_move=True))
    assert isinstance(clip, Clip)
    assert len(clip.indices) == len(spread)
    assert max(clip.indices) < cut_s * 25


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("num_frames", [4, 8, 16, 32])
def test_as_many_frames_of_a_recording_that_stands_still_for_long_as_were_foreseen(
    num_frames: int, official: Checkpoint, tmp_path: Path
) -> None:
    """Frames of a busy moment moved onto the same keyframe, and the model got a third of those it was asked with."""
    times_ms = [burst * 60_000 + number * 33 for burst in range(4) for number in range(60)]
    options = {"preset": "ultrafast", "g": "30"}
    path = write_clip(tmp_path / "screen.mp4", options=options, frames=240, times_ms=times_ms)
    settings = Settings(num_frames=num_frames)
    clip = open_media(path, look_of(settings, official))
    _, sight = foresee(path, settings, official)
    assert isinstance(clip, Clip)
    assert len(clip.indices) == sight.num_frames == num_frames


@given(st.lists(st.floats(0.01, 9), min_size=1, max_size=80), st.data())
def test_frames_that_move_stay_apart_and_in_order(gaps: list[float], data: st.DataObject) -> None:
    stamps = (np.cumsum([0.0, *gaps]) * 1000).astype(int).tolist()
    numbers = st.sets(st.integers(0, len(gaps)), min_size=1)
    chosen, keys = sorted(data.draw(numbers)), sorted({0, *data.draw(numbers)})
    moved = list(moved_to_keys(chosen, keys, stamps))
    assert moved == sorted(set(moved))
    assert len(moved) == len(chosen)


@pytest.mark.parametrize("by", [open_media, open_guarded])
def test_frames_that_were_named_are_taken_whatever_they_cost(
    long: Callable[[str], Path], by: Callable[[Path, Look], Media]
) -> None:
    """Marks lay on keyframes seconds away from the frames that the answer named."""
    moments = tuple(range(7, 400, 40))
    clip = by(long("long.mp4"), AtTimes(tuple(number / 25 for number in moments)))
    assert isinstance(clip, Clip)
    assert clip.indices == moments


def test_where_keyframes_save_little_the_frames_are_exact(long: Callable[[str], Path]) -> None:
    spread = tuple(range(0, 400, 4))
    clip = open_media(long("a.mp4"), At(spread, may_move=True))
    assert isinstance(clip, Clip)
    assert clip.indices == spread


def test_a_rate_beyond_all_numbers_takes_what_there_is() -> None:
    """The product of the rate and the seconds was infinite, which is no count."""
    times_s = [number / 25 for number in range(500)]
    assert sample_frames(500, 25, 1e308) == list(range(500))
    assert frames_by_rate(times_s, 20.0, 1e308, max_frames=3) == [0, 250, 499]
