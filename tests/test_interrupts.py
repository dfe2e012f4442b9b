"""Ctrl-C at moments at which nothing has begun yet, or all is over: no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHAPES = "assets/examples/shapes.png"
PATIENCE_S = 120
"""For what went on in place of ending."""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process is sent such a signal there")


def interrupted(program: str, moment: str, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """A program that gets Ctrl-C as it imports the module `moment`, or at its end."""
    code = f"""
import atexit, os, runpy, signal, sys
{before}

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

class Interrupting:
    def find_spec(self, name, *_):
        if name == {moment!r}:
            sys.meta_path.remove(self)
            interrupt()

if {moment!r} == "the end":
    atexit.register(interrupt)
sys.meta_path.insert(0, Interrupting())
sys.argv[0] = {program!r}
run = runpy.run_path if {program!r}.endswith(".py") else runpy.run_module
run({program!r}, run_name="__main__")
"""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("program", "moment", "arguments"),
    [
        pytest.param("pipelines", "numpy", ["--help"], id="the command line begins"),
        pytest.param("pipelines", "the end", ["--help"], id="the command line ends"),
        pytest.param("app.py", "gradio", ["--data", "none"], id="the page begins"),
        pytest.param("app.py", "transformers", ["--data", "none"], id="the page loads its model"),
    ],
)
def test_ctrl_c_ends_what_has_nothing_to_put_in_order(program: str, moment: str, arguments: list[str]) -> None:
    """For seconds, until all was imported and the model loaded, each of them answered with a traceback."""
    run = interrupted(program, moment, *arguments)
    assert run.returncode == -signal.SIGINT
    assert "Traceback" not in run.stderr


def test_ctrl_c_stops_a_command_with_a_word() -> None:
    run = interrupted("pipelines", "pipelines.run", "ask", SHAPES, "-q", "What is this?")
    assert run.returncode == 130
    assert run.stderr == "Stopped.\n"


def test_ctrl_c_ends_the_bar_of_a_comparison_before_the_word(tmp_path: Path) -> None:
    """The word stood behind the bar on one line, and the bar was drawn once more below."""
    listed = tmp_path / "list.txt"
    listed.write_text(f"{ROOT / SHAPES}\n", "utf-8")
    asked = ("compare", str(listed), "-q", "What is this?", "--models", "demo", "demo")
    run = interrupted("pipelines", "pipelines.run", *asked, before="sys.stderr.isatty = lambda: True")
    assert run.returncode == 130
    assert "0/1" in run.stderr
    assert run.stderr.splitlines()[-1] == "Stopped."


def test_what_ignores_ctrl_c_goes_on_to() -> None:
    """A shell starts what shall run in the background so."""
    run = interrupted("pipelines", "numpy", "--help", before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    assert run.returncode == 0
    assert "usage" in run.stdout
