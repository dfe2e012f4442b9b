"""The same content is opened and resized once, whatever it is called; other content and other looks are not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.cache import Cache
from pipelines.checkpoint import Checkpoint
from pipelines.digests import DIGESTS
from pipelines.engine import ScriptedEngine
from pipelines.fusion import fuse as fusing
from pipelines.fusion.fuse import FRAMES_SEEN
from pipelines.media import Cancelled, open_once
from pipelines.media.kept import OPENED
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.types import Clip, Picture, Request, Result, Settings, UserError
from tests.media_makers import At, write_clip


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    for cache in (OPENED, DIGESTS, FRAMES_SEEN):
        cache.clear()
    yield
    for cache in (OPENED, DIGESTS, FRAMES_SEEN):
        cache.clear()


def draw(path: Path, colour: str = "red") -> Path:
    Image.new("RGB", (60, 40), colour).save(path)
    return path


def test_a_picture_of_two_names_is_decoded_once(tmp_path: Path) -> None:
    first = open_once(draw(tmp_path / "a.png"), At())
    second = open_once(draw(tmp_path / "b.png"), At())
    assert (first.name, second.name) == ("a.png", "b.png")
    assert second.rgb is first.rgb
    assert isinstance(first, Picture)
    assert isinstance(second, Picture)
    assert first.content == second.content != ""


def test_new_content_under_an_old_name_is_seen(tmp_path: Path) -> None:
    old = open_once(draw(tmp_path / "a.png", "red"), At())
    os.utime(draw(tmp_path / "a.png", "blue"), ns=(1, 1))
    new = open_once(tmp_path / "a.png", At())
    assert old.rgb[0, 0].tolist() == [255, 0, 0]
    assert new.rgb[0, 0].tolist() == [0, 0, 255]


def test_another_look_at_a_clip_is_decoded_anew(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=10)
    first, again, other = (open_once(path, At(step=step)) for step in (2, 2, 5))
    assert isinstance(first, Clip)
    assert isinstance(other, Clip)
    assert again.rgb is first.rgb
    assert (first.indices, other.indices) == ((0, 2, 4, 6, 8), (0, 5))


def test_what_is_wrong_is_told_each_time(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for _ in range(2):
        with pytest.raises(UserError, match="cut off or damaged"):
            open_once(tmp_path / "a.png", At())
    with pytest.raises(UserError, match="There is no file"):
        open_once(tmp_path / "none.png", At())
    assert OPENED.num_bytes == 0


def test_stop_while_the_content_is_read(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        open_once(draw(tmp_path / "a.png"), At(), should_stop=lambda: True)


def test_a_second_question_resizes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same picture and clip asked about again come from the store, and the reply is the same."""
    engine = ScriptedEngine("Red.", Checkpoint.open(DEMO_FOLDER))
    files = (draw(tmp_path / "a.png"), write_clip(tmp_path / "a.mp4", frames=10))

    def ask() -> Result:
        *_, last = answer(Request("What is there?", files, Settings(thinking=False)), engine)
        assert isinstance(last, Result)
        return last

    first = ask()

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("resized again")

    monkeypatch.setattr("torch.nn.functional.interpolate", forbidden)
    second = ask()
    assert second.sights == first.sights
    assert all(a.rgb is b.rgb for a, b in zip(first.media, second.media, strict=True))


def test_other_limits_are_other_frames(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(DEMO_FOLDER)
    Image.new("RGB", (900, 600)).save(tmp_path / "a.png")
    item = open_once(tmp_path / "a.png", At())
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}
    sizes = {
        fusing([message], [item], checkpoint.limited(max_pixels), False).pictures[0].shape  # type: ignore[list-item]
        for max_pixels in (checkpoint.picture_limits.max_pixels, checkpoint.picture_limits.min_pixels)
    }
    assert len(sizes) == len({checkpoint.picture_limits.max_pixels, checkpoint.picture_limits.min_pixels})


def test_the_store_is_bounded_in_bytes() -> None:
    cache: Cache[int, np.ndarray] = Cache(1000, lambda value: value.nbytes)
    for key in range(5):
        cache.get(key, lambda: np.zeros(300, np.uint8))
    assert cache.num_bytes == 900
    made: list[int] = []

    def make(key: int) -> np.ndarray:
        made.append(key)
        return np.zeros(300, np.uint8)

    for key in (2, 3, 4, 1, 2, 4):
        cache.get(key, lambda key=key: make(key))  # type: ignore[misc]
    assert made == [1, 2]
    cache.get(9, lambda: np.zeros(2000, np.uint8))
    assert cache.num_bytes == 900


def test_the_store_keeps_its_count_among_threads() -> None:
    cache: Cache[int, bytes] = Cache(10, len)

    def use() -> None:
        for number in range(3000):
            cache.get(number % 17, lambda: b"abc")

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.num_bytes == 9
