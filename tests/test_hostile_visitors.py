"""The run of `make load`, short: fewer visitors for some seconds, on the page of the model that ships."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.visitors import SETTLE_S, run
from tests.page_server import PageServer, serving

MINUTES, VISITORS = 0.25, 6


@pytest.fixture
def fresh_server() -> Iterator[PageServer]:
    """A page that nothing else has asked."""
    yield from serving("demo")


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
def test_visitors_leave_nothing_behind(fresh_server: PageServer, tmp_path: Path) -> None:
    report = run(fresh_server, tmp_path, MINUTES, VISITORS, 3, SETTLE_S)
    assert report.problems == []
    assert report.answered
    assert len(report.held) == 2
    print(report.table())
