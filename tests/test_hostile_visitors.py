"""The runs of `make load` and `make churn`, short: fewer visitors for some seconds, on the shipped model's page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.visitors import OPTIONS, SHORT, Visit
from tests.page_server import PageServer

VISITS = {
    "load": Visit(6, minutes=0.2),
    "churn": Visit(6, num_questions=60, manner=SHORT),
}


@pytest.fixture(scope="module")
def fresh_server() -> Iterator[PageServer]:
    """A page that nothing else has asked, and that clears away at once what visitors leave."""
    server = PageServer("demo", options=[*OPTIONS[:-1], "0.1"])
    yield server
    server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
@pytest.mark.parametrize("kind", VISITS)
def test_visitors_leave_nothing_behind(kind: str, fresh_server: PageServer, tmp_path: Path) -> None:
    report = VISITS[kind].run(fresh_server, tmp_path, 3)
    print(report.table())
    assert report.problems == []
    assert report.answered
    assert report.left
    assert len(report.held) == 2
