"""The kernels of the decode step on NVIDIA GPUs, run on a CPU by Triton's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton has wheels for Linux alone")
def test_a_step_of_the_kernels_is_that_of_plain_torch() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.fused_steps"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 4
    for name, logits, caches, largest in found:
        assert logits < 1e-4 * largest, name
        assert caches < 1e-4, name
        assert largest > 1, name
