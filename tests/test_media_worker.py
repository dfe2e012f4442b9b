"""Files are read by a process that may break: what then happens to the file, to the server, and to the next file."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.media import Cancelled, guarded, open_media, worker
from pipelines.media.footage import Footage, Frame
from pipelines.media.guarded import footage_guarded, open_guarded, probe_guarded
from pipelines.media.hand import Hand
from pipelines.media.opening import probe
from pipelines.media.pool import Pool
from pipelines.media.wire import Region, new_region_fd, send
from pipelines.types import Clip, Media, Picture, UserError
from tests.hostile.clips import endless_stts
from tests.media_makers import At, number_in, write_clip
from tests.media_workers import number_of, wait_for_end


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One worker at a time, so that a test knows which one it gets."""
    pool = Pool(1)
    yield pool
    pool.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def spend(number: int) -> None:
    """What the kernel does to a process at the end of its processor time."""
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGXCPU)


def assert_equal(ours: Media, theirs: Media) -> None:
    assert np.array_equal(ours.rgb, theirs.rgb)
    if isinstance(ours, Clip) and isinstance(theirs, Clip):
        assert (ours.times_s, ours.indices, ours.duration_s, ours.file_size) == (
            theirs.times_s,
            theirs.indices,
            theirs.duration_s,
            theirs.file_size,
        )


def test_a_worker_gives_the_pixels_and_times_that_reading_here_gives(pool: Pool, photo: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=60)
    for path in (photo, clip):
        assert_equal(open_guarded(path, At(step=7), pool=pool), open_media(path, At(step=7)))
        assert probe_guarded(path, pool=pool) == probe(path)


def test_however_many_frames_are_taken_the_messages_are_short(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers of ten thousand are longer than a message may be, and the worker failed."""
    path, sent, send = write_clip(tmp_path / "clip.mp4", frames=60), [], Hand.send

    def noted(hand: Hand, *message: object) -> None:
        sent.append(message)
        send(hand, *message)

    monkeypatch.setattr(Hand, "send", noted)
    with footage_guarded(path, lambda times_s, _duration_s: range(len(times_s)), pool=pool) as moving:
        assert [number_in(frame.rgb) for frame in moving.frames] == list(range(60))
    assert max(map(len, sent)) <= 4


def test_a_long_text_in_a_png_is_passed_over(pool: Pool, tmp_path: Path) -> None:
    """Two megabytes of how a picture was drawn, and it was called damaged."""
    told = PngImagePlugin.PngInfo()
    told.add_text("workflow", "a" * 2_000_000, zip=True)
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png", pnginfo=told)
    assert open_guarded(tmp_path / "a.png", At(), pool=pool).rgb.shape == (20, 40, 3)
    assert probe_guarded(tmp_path / "a.png", pool=pool).width == 40


def test_progress_comes_across(pool: Pool, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = write_clip(tmp_path / "clip.mp4")
    open_guarded(path, At(step=3), on_progress=lambda done, total: seen.append((done, total)), pool=pool)
    assert seen == [(done, 14) for done in range(15)]


def test_one_worker_reads_file_after_file(pool: Pool, photo: Path) -> None:
    number = number_of(pool)
    for _ in range(3):
        open_guarded(photo, At(), pool=pool)
    with pytest.raises(UserError):
        open_guarded(Path(__file__), At(), pool=pool)
    assert pool.numbers() == [number]


def test_a_worker_that_is_killed_while_it_waits_is_replaced(pool: Pool, photo: Path) -> None:
    number = number_of(pool)
    os.kill(number, signal.SIGSEGV)
    wait_for_end(number)
    assert isinstance(open_guarded(photo, At(), pool=pool), Picture)
    assert number_of(pool) != number


def test_a_worker_that_dies_at_work_is_one_sentence(pool: Pool, photo: Path, tmp_path: Path) -> None:
    number = number_of(pool)
    path = write_clip(tmp_path / "clip.mp4", frames=60)
    with pytest.raises(UserError) as refusal:
        open_guarded(path, At(), on_progress=lambda *_: os.kill(number, signal.SIGKILL), pool=pool)
    assert str(refusal.value).startswith('"clip.mp4" broke its reader')
    assert isinstance(open_guarded(photo, At(), pool=pool), Picture)


def test_a_worker_that_has_used_up_its_processor_time_is_not_called_broken(
    pool: Pool, photo: Path, tmp_path: Path
) -> None:
    number = number_of(pool)
    path = write_clip(tmp_path / "clip.mp4", frames=60)
    with pytest.raises(UserError, match=r'"clip.mp4" takes too long to read'):
        open_guarded(path, At(), on_progress=lambda *_: spend(number), pool=pool)
    wait_for_end(number)
    assert isinstance(open_guarded(photo, At(), pool=pool), Picture)


def test_a_clip_that_gives_frames_may_use_the_processor_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """All frames of a long clip of 4K take more of a processor than one file may that gives none."""
    num_allowed = 0

    def allow(_seconds: int) -> None:
        nonlocal num_allowed
        num_allowed += 1

    monkeypatch.setattr(worker, "allow_processor", allow)
    monkeypatch.setattr(worker, "FRAMES_AN_ALLOWANCE", 8)
    ours, theirs = socket.socketpair()
    here = Connection(ours.detach())
    reader = worker.Worker(Connection(theirs.detach()), Region(new_region_fd()))
    for _ in range(20):
        send(here, "taken")
    frames = (Frame(number, number / 10, np.zeros((2, 2, 3), np.uint8)) for number in range(20))
    reader._send_footage(Footage(2.0, 20, frames))
    assert num_allowed == 2


def test_a_file_that_ends_the_process_of_decord_ends_a_worker_alone(pool: Pool, photo: Path, tmp_path: Path) -> None:
    """36 KB made decord abort the whole server, which no `except` catches."""
    path = endless_stts(tmp_path / "stts.mp4")
    with pytest.raises(UserError, match=r'"stts.mp4" (broke its reader|cannot be read by the decord reader)'):
        open_guarded(path, At(step=10), "decord", pool=pool)
    assert isinstance(open_guarded(path, At(step=10), pool=pool), Clip)
    assert isinstance(open_guarded(photo, At(), pool=pool), Picture)


def test_stop_ends_a_worker_that_hangs(pool: Pool, photo: Path) -> None:
    number = number_of(pool)
    os.kill(number, signal.SIGSTOP)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Cancelled):
        open_guarded(photo, At(), should_stop=stop.is_set, pool=pool)
    wait_for_end(number)
    assert isinstance(open_guarded(photo, At(), pool=pool), Picture)


@pytest.mark.parametrize("kind", ["photo", "clip"])
def test_a_worker_that_falls_silent_is_ended(
    kind: str, pool: Pool, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo if kind == "photo" else write_clip(tmp_path / "clip.mp4")
    number = number_of(pool)
    os.kill(number, signal.SIGSTOP)
    monkeypatch.setattr(guarded, "PICTURE_SILENCE_S" if kind == "photo" else "SILENCE_S", 0.2)
    with pytest.raises(UserError, match=r"takes too long to read"):
        open_guarded(path, At(), pool=pool)
    wait_for_end(number)


def test_a_picture_may_be_decoded_without_a_word_for_longer(
    pool: Pool, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others keep the processors busy, 48 megapixels of AVIF took longer than any clip may be silent."""
    number = number_of(pool)
    monkeypatch.setattr(guarded, "SILENCE_S", 0.1)
    os.kill(number, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (number, signal.SIGCONT)).start()
    assert isinstance(open_guarded(photo, At(), pool=pool), Picture)
    assert pool.numbers() == [number]


def test_what_look_refuses_leaves_no_worker_in_the_middle(pool: Pool, photo: Path, tmp_path: Path) -> None:
    class Refusing(At):
        def fit(self, rgb: np.ndarray, num_frames: int) -> np.ndarray:  # noqa: ARG002
            raise ValueError("no")

    path = write_clip(tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match="no"):
        open_guarded(path, Refusing(), pool=pool)
    assert isinstance(open_guarded(photo, At(), pool=pool), Picture)


@pytest.mark.parametrize(
    "said",
    [
        ["picture", 10**6, 10**6, False],
        ["picture", -1, -1, False],
        ["clip", 1.0, 10**9],
        ["times", 10**9, 1.0],
        ["sizes", 1, 1, 1, 1.0],
        ["frame", 0, 0.0, 1, 1],
        ["done"],
        [[]],
        ["times", "1", None],
    ],
    ids=str,
)
def test_what_a_worker_says_is_not_believed(
    said: list[object], pool: Pool, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that has taken over its worker can say anything."""
    monkeypatch.setattr(Hand, "hear", lambda *_: said)
    with pytest.raises(UserError, match="broke its reader"):
        open_guarded(photo, At(), pool=pool)


@pytest.mark.parametrize(("name", "codec"), [("walk.mkv", "ffv1"), ("walk.avi", "huffyuv"), ("walk.avi", "wmv2")])
def test_opencv_reads_what_the_others_do_not(name: str, codec: str, pool: Pool, tmp_path: Path) -> None:
    path = write_clip(tmp_path / name, codec, frames=20, pix_fmt="yuv422p" if codec == "huffyuv" else "yuv420p")
    with pytest.raises(UserError, match="encoded in a way"):
        open_media(path, At(step=5))
    clip = open_guarded(path, At(step=5), pool=pool)
    assert isinstance(clip, Clip)
    assert clip.indices == (0, 5, 10, 15)
    assert clip.times_s == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert [number_in(frame) for frame in clip.rgb] == [0, 5, 10, 15]
