"""Fixtures that more than one test module needs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.page_server import SCRIPTED, PageServer, serving

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may fetch weights, nor any process that it starts
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


@pytest.fixture(scope="session")
def page_server() -> Iterator[PageServer]:
    """The page as it is started by hand, with the model that ships."""
    yield from serving("demo")


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[PageServer]:
    """The page with an engine that thinks slowly and for long."""
    yield from serving(SCRIPTED)
