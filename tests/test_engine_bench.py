"""The benchmarks of the engine: they have to start on a lent GPU where little more than torch and transformers is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks import engine as bench
from benchmarks import kinds
from benchmarks.pair import Pair
from benchmarks.pair import pair_of as made
from pipelines.engine import LocalEngine, roofline
from pipelines.models import DEMO_FOLDER
from tests.imitated_gpu import imitate, lend

BARE = """
import sys
for name in ("gradio", "av", "cv2", "decord", "pynvml"):
    sys.modules[name] = None
from benchmarks import engine, timing
from pipelines.engine import LocalEngine
from benchmarks import evidence
"""


def test_they_start_without_what_the_page_and_the_files_need() -> None:
    """But for the one that draws, which says so."""
    command = [sys.executable, "-W", "ignore", "-c", BARE]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=DEMO_FOLDER.parent.parent, check=False
    )
    assert done.stderr.endswith("\nThe scenes are drawn with OpenCV: install it with `pip install opencv-python`.\n")
    assert done.returncode == 1


def test_it_comes_to_its_end_on_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A lent one is given back after some minutes: what fails there is not tried again soon."""
    gpu = imitate(monkeypatch)

    def pair_of(name: str, model: Any, peer: Any, *_: object) -> Pair:
        pair = replace(made(name, model, peer, 192 * 192), repeats=1)
        lend(pair.ours, has_kernels=True)
        return pair

    monkeypatch.setattr(bench, "random_model", lambda *_: LocalEngine.load(DEMO_FOLDER, "demo").model)
    monkeypatch.setattr(bench, "pair_of", pair_of)
    monkeypatch.setattr(bench, "VISITOR_TOKENS", 10)
    monkeypatch.setattr(bench, "ANSWER_TOKENS", 60)
    monkeypatch.setattr(roofline, "BUDGET_S", 0.01)
    bench.on_gpu(["0.8B"], torch.device("cpu"))
    rows = capsys.readouterr().out.splitlines()
    steps = "capture", "1 row", "2 rows", "4 rows"
    replies = "decode, ", "first token, ", "new size", "drawn tokens"
    told = *steps, *replies, *["follow-up"] * 4, "visitors", "gap"
    assert len(rows) == len(told)
    assert all(part in row for part, row in zip(told, rows, strict=True))
    assert gpu.num_replays > 100


def test_replies_that_end_before_all_have_come_are_not_waited_for(
    loaded: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for as many at once as can run, for ever where the first had ended before the last began."""
    short = replace(kinds.ABOUT_PICTURE, settings=replace(kinds.SETTINGS, max_new_tokens=1))
    monkeypatch.setattr(kinds, "ABOUT_PICTURE", short)
    assert kinds._queued(loaded).wall_ms > 0
    monkeypatch.setattr(kinds, "_drain", lambda _engine: [])
    assert kinds._queued(loaded).wall_ms > 0
