"""A Space from its first byte: `make try-space`, or `python -m tests.try_space KIND`.

Builds the folder that would be uploaded, makes an empty virtual environment, and installs into it what the host of that
kind would install and nothing else: the framework that its `README.md` names, then its `requirements.txt`. Then it
starts the Space there as user 1000, from code that is read-only, and asks it a question. The suite does the same
without the installation, which takes minutes and the network.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import yaml
from gradio_client import Client, handle_file

from tests.space_host import started

ROOT = Path(__file__).resolve().parent.parent
SHAPES = ROOT / "assets" / "examples" / "shapes.png"
QUESTION, EXPECTED = "How many red shapes are there?", "There are 3 red shapes."
COMMANDS = {"cpu": ["space.py"], "gpu": ["app.py"]}
"""What the host runs. What ZeroGPU brings is on that host alone: the suite imitates it."""


def installed(folder: Path, built: Path) -> Path:
    """The interpreter of a new environment in `folder` that has what the host installs for the Space `built`."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    told = yaml.safe_load((built / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    framework = [f"gradio=={told['sdk_version']}"] if told["sdk"] == "gradio" else []
    wanted = [*framework, "--requirement", str(built / "requirements.txt")]
    # an index that is not to be reached (the CPU builds of torch have one of their own) is left out after one try
    command = [str(python), "-m", "pip", "install", "--quiet", "--retries", "0", "--no-cache-dir", *wanted]
    subprocess.run(command, check=True)
    return python


def main() -> int:
    """Try one kind, and say what it answered and how long it took."""
    parser = argparse.ArgumentParser(description="Start a Space in a fresh environment and ask it a question.")
    parser.add_argument("kind", choices=COMMANDS)
    kind = parser.parse_args().kind
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)  # the user of the host reads it
        built = home / "space"
        deploy = [sys.executable, str(ROOT / "spaces" / "deploy.py"), "me/glassbox", "--kind", kind, "--dry-run"]
        subprocess.run([*deploy, "--folder", str(built)], check=True)
        began_s = time.monotonic()
        python = installed(home / "venv", built)
        installed_s = time.monotonic() - began_s
        print(f"Installed in {installed_s:.0f} s.", flush=True)
        with started(built, COMMANDS[kind], {"GLASSBOX_MODEL": "demo"}, python=python) as space:
            client = Client(space.address, verbose=False)
            told = client.predict(QUESTION, [handle_file(SHAPES)], api_name="/ask")
    print(f"{kind}: {told['model']} says: {told['answer']}")
    return int(told["answer"] != EXPECTED)


if __name__ == "__main__":
    sys.exit(main())
