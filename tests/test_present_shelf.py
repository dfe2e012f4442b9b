"""The pictures that the page shows in full: written whole or not at all, whoever clears the folder meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.host.sweeping import Sweep
from pipelines.present.shelf import MAX_AGE_S, NO_ROOM, UNWRITABLE, Shelf
from pipelines.types import UserError

RGB = np.zeros((40, 40, 3), np.uint8)


def test_what_was_cut_out_is_thrown_away_after_a_day(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    (old, beside), long_ago_s = (shelf.keep(RGB, name) for name in ("old", "beside")), time.time() - 2 * MAX_AGE_S
    os.utime(old, (long_ago_s, long_ago_s))
    shelf.keep(RGB + 1)
    assert (old.exists(), beside.exists()) == (False, True)
    os.utime(beside, (long_ago_s, long_ago_s))
    assert shelf.keep(RGB, "again").exists()
    assert not beside.exists()


def test_a_picture_comes_about_though_its_folder_is_swept_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, write = Shelf(tmp_path), Path.write_bytes
    swept: list[int] = []
    before = shelf.keep(RGB)

    def late(path: Path, data: memoryview) -> int:
        if not swept:
            swept.append(Sweep(tmp_path, 0.0)())
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", late)
    after = shelf.keep(RGB + 1)
    assert (swept, before.exists(), after.exists()) == ([1], False, True)
    assert [path.name for path in after.parent.iterdir()] == [after.name]


@pytest.mark.parametrize(("number", "sentence"), [(28, NO_ROOM), (13, UNWRITABLE), (2, UNWRITABLE)])
def test_what_cannot_be_written_is_told_and_leaves_nothing(
    number: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, _: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UserError, match=f"^{sentence}$"):
        Shelf(tmp_path).put(RGB)
    assert list((tmp_path / "shown").iterdir()) == []
