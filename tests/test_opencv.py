"""Without OpenCV: its wheel does not load where the libraries of a desktop are missing, as on most servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines import inputs
from pipelines.commands.machine import opencv_finding
from pipelines.models import DEMO_FOLDER
from tests.media_makers import write_clip
from tests.page_server import ROOT

EXAMPLES = DEMO_FOLDER.parent / "examples"
MISSING = "libxcb.so.1: cannot open shared object file: No such file or directory"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which OpenCV does not load."""
    (tmp_path / "cv2.py").write_text(f"raise ImportError({MISSING!r})", encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def asked(environment: dict[str, str], *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", "ask", *map(str, files), "-q", "What is this?", "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=environment, check=False)


def test_answers_are_the_same(bare: dict[str, str], tmp_path: Path) -> None:
    Image.open(EXAMPLES / "shapes.png").convert("RGB").save(tmp_path / "shapes.jpg")
    files = (tmp_path / "shapes.jpg", EXAMPLES / "moving-circle.mp4")
    with_it, without = (asked(environment, *files) for environment in (dict(os.environ), bare))
    assert without.returncode == with_it.returncode == 0, without.stderr
    told, expected = json.loads(without.stdout), json.loads(with_it.stdout)
    assert [told[key] for key in ("reasoning", "answer", "media")] == [
        expected[key] for key in ("reasoning", "answer", "media")
    ]


def test_a_clip_that_only_it_reads_is_refused(bare: dict[str, str], tmp_path: Path) -> None:
    path = write_clip(tmp_path / "walk.mkv", "ffv1", frames=4)
    assert asked(dict(os.environ), path).returncode == 0
    done = asked(bare, path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith('"walk.mkv" is encoded in a way that is not read here')


def test_the_page_starts(bare: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import app"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env=bare,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_patches_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 64, 96), np.uint8))
    expected = inputs.cut(frames).clone()
    monkeypatch.setattr(inputs, "has_opencv", lambda: False)
    assert torch.equal(inputs.cut(frames), expected)


def test_the_doctor_says_what_to_install(bare: dict[str, str]) -> None:
    code = "from pipelines.commands.machine import opencv_finding; print(opencv_finding('OpenCV').wrong)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=ROOT, env=bare, check=True
    )
    assert done.stdout.startswith(f"OpenCV cannot be loaded ({MISSING}): ")
    assert "apt-get install libgl1 libglib2.0-0 libxcb1" in done.stdout
    assert not opencv_finding("OpenCV").wrong
