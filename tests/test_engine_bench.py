"""The engine's benchmark: it has to start on a lent GPU where little more than torch and transformers is."""

from __future__ import annotations

import subprocess
import sys

from pipelines.models import DEMO_FOLDER

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
