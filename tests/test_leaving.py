"""The end of a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENDED = """
import atexit
import sys
from pipelines.leaving import Leaving

class Held:
    def __del__(self):
        print("collected")

leaving = Leaving()
atexit.register(print, "told")
held = Held()
print("said")
{ended}
"""


def told_by(ended: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", ENDED.format(ended=ended)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def test_a_command_ends_without_a_last_collection() -> None:
    """It took two seconds behind the last line of an answer; what wants to be told of the end still is."""
    assert told_by("leaving.code = 3; sys.exit(3)") == (3, "said\ntold\n", "")


def test_what_nobody_foresaw_ends_as_the_interpreter_does() -> None:
    code, said, error = told_by("1 / 0")
    assert (code, said) == (1, "said\ntold\ncollected\n")
    assert error.endswith("ZeroDivisionError: division by zero\n")
