"""The engine's benchmark: it has to start on a lent GPU where little more than torch and transformers is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks import engine as bench
from pipelines.engine import LocalEngine, roofline
from pipelines.models import DEMO_FOLDER
from tests.imitated_gpu import imitate, lend

BARE = """
import sys
for name in ("gradio", "av", "cv2", "decord", "pynvml"):
    sys.modules[name] = None
from benchmarks import engine
from pipelines.engine import LocalEngine
"""


def test_it_starts_without_what_the_page_and_the_files_need() -> None:
    command = [sys.executable, "-W", "ignore", "-c", BARE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=DEMO_FOLDER.parent.parent)
    assert done.returncode == 0, done.stderr


def test_it_comes_to_its_end_on_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A lent one is given back after some minutes: what fails there is not tried again soon."""
    gpu, made = imitate(monkeypatch), bench.pair_of

    def pair_of(name: str, model: Any, peer: Any, *_: object) -> bench.Pair:
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
    told = "capture", "1 row", "2 rows", "4 rows", "decode", "first token, ", *["follow-up"] * 4, "visitors", "gap"
    assert len(rows) == len(told)
    assert all(part in row for part, row in zip(told, rows, strict=True))
    assert gpu.num_replays > 100
