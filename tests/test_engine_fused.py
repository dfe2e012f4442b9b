"""The kernels for NVIDIA GPUs, run on a CPU by Triton's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton has wheels for Linux alone")


def told_by(module: str) -> list[list[Any]]:
    """The lines of JSON that a module prints."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_step_of_the_kernels_is_that_of_plain_torch() -> None:
    found = told_by("tests.fused_steps")
    assert len(found) == 4
    for name, logits, caches, largest in found:
        assert logits < 1e-4 * largest, name
        assert caches < 1e-4, name
        assert largest > 1, name


def test_pieces_of_a_prompt_in_kernels_are_those_of_plain_torch() -> None:
    """Of which none leaves a trace in other rows, nor what fills it up."""
    found = told_by("tests.fused_pieces")
    assert len(found) == 9
    for name, hidden, largest_hidden, state, largest in found:
        assert hidden < 1e-4 * largest_hidden, name
        assert state < 1e-4 * largest, name
        assert largest_hidden > 1, name
