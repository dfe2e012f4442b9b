"""The run of `make ending`, short: fewer visitors, the same code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.hostile.endings import run


@pytest.mark.skipif(sys.platform == "win32", reason="no process is asked to end there")
def test_every_stream_ends_with_a_word_and_is_kept(tmp_path: Path) -> None:
    """Streams used to break within 0.05 s of the signal."""
    report = run(8, tmp_path)
    assert report.problems == []
    assert report.num_kept == 6
