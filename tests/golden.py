"""Where the reference cases lie: beside the checkout, and only there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "golden"
needs_golden = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the folder of reference cases is not beside the checkout"
)


def read(name: str) -> Any:
    """The content of a JSON file of the folder; an empty list where the folder is not there."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8")) if FOLDER.is_dir() else []
