"""Starts a built Space as its host does: a fresh environment, user 1000 where possible, code that is read-only."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

READY = "Glassbox is on "
UID = 1000
SPACE_HOST = "someone-glassbox.hf.space"
START_TIMEOUT_S = 240.0


class Started:
    """A Space that runs: its address, and what it prints."""

    def __init__(self, process: subprocess.Popen[str], address: str, environment: dict[str, str]) -> None:
        self.address, self.environment = address, environment
        self.printed: list[str] = []
        self._process = process
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for(READY, START_TIMEOUT_S)

    def wait_for(self, text: str, timeout_s: float = 60.0) -> str:
        """The next line that holds `text`."""
        while (line := self._lines.get(timeout=timeout_s)) is not None:
            self.printed.append(line)
            if text in line:
                return line
        raise RuntimeError("the Space ended:\n" + "\n".join(self.printed))

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            print(line, end="")  # shown with the test that fails
            self._lines.put(line.rstrip())
        self._lines.put(None)


@contextmanager
def started(
    built: Path,
    command: list[str],
    given: Mapping[str, str],
    beside: Path | None = None,
    python: Path | None = None,
) -> Iterator[Started]:
    """A copy of the folder `built`, in which `command` runs. The folder `beside` holds packages that the host brings.

    Without a `python` of its own the environment is fresh but for the packages, which are those of the tests: to
    install them takes minutes.
    """
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        code = Path(shutil.copytree(built, home / "app"))
        written = home / "user"
        (written / "tmp").mkdir(parents=True)
        python = python or _environment(home / "venv", beside)
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(written),
            "TMPDIR": str(written / "tmp"),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SPACE_ID": "someone/glassbox",
            "SPACE_HOST": SPACE_HOST,
            **given,
        }
        is_root = os.geteuid() == 0
        if is_root:
            for path in (written, written / "tmp"):
                os.chown(path, UID, UID)
        for path in code.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        process = subprocess.Popen(
            [str(python), *command],
            cwd=code,
            env=environment,
            user=UID if is_root else None,
            group=UID if is_root else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        try:
            space = Started(process, f"http://127.0.0.1:{port}/", environment)
            try:
                yield space
            finally:
                space.close()
        finally:
            process.kill()
            for path in [code, *code.rglob("*")]:
                path.chmod(0o755)


def _environment(folder: Path, beside: Path | None) -> Path:
    """A new virtual environment that sees the installed packages; its interpreter."""
    venv.create(folder, with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = next(folder.glob(f"lib*/{version}/site-packages"))
    paths = [*([str(beside)] if beside else []), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (own / "host.pth").write_text("\n".join(paths), encoding="utf-8")
    return folder / "bin" / "python"
