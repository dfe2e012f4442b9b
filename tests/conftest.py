"""Fixtures that more than one test module needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.page_server import SCRIPTED, PageServer, serving

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may fetch weights, nor any process that it starts
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A drawn picture on disk: one blue square."""
    rgb = np.full((160, 192, 3), 230, np.uint8)
    rgb[40:90, 60:110] = (35, 80, 220)
    Image.fromarray(rgb).save(tmp_path / "square.png")
    return tmp_path / "square.png"


@pytest.fixture(scope="session")
def page_server() -> Iterator[PageServer]:
    """The page as it is started by hand, with the model that ships."""
    yield from serving("demo")


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[PageServer]:
    """The page with an engine that thinks slowly and for long."""
    yield from serving(SCRIPTED)
