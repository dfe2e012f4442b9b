"""`transformers serve` with the shipped model, for tests: `python -m tests.transformers_server FOLDER PORT`.

It is transformers' own server, with its own loop, templates and parser of reasoning. Only its processor is told to
leave clips out, since those need torchvision, which this project does without.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.models import DEMO_FOLDER
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 180.0


class TransformersServer:
    """A running server. The model goes by the path of its folder there."""

    def __init__(self, folder: Path) -> None:
        self.model = str(_without_clips(folder))
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        command = [sys.executable, "-m", "tests.transformers_server", self.model, str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).close()
                return
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.2)
        raise RuntimeError("transformers serve did not start")

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()


@contextmanager
def transformers_server(folder: Path) -> Iterator[TransformersServer]:
    """A server that runs meanwhile, with its files in `folder`."""
    server = TransformersServer(folder)
    try:
        server.wait()
        yield server
    finally:
        server.kill()


def _without_clips(folder: Path) -> Path:
    """A copy of the shipped model that names the processor of `main`."""
    copy = folder / "demo"
    shutil.copytree(DEMO_FOLDER, copy)
    file = copy / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "processor_class": "PictureProcessor"}))
    return copy


def main() -> None:
    """Serve until the process is ended."""
    folder, port = sys.argv[1:]
    from transformers import AutoProcessor, Qwen3_5Config
    from transformers.cli.transformers import main as transformers
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

    class PictureProcessor(Qwen3VLProcessor):  # type: ignore[misc]
        """The official processor without a video processor."""

        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            super().__init__(image_processor, tokenizer, None, chat_template=chat_template)

        def check_argument_for_proper_class(self, name: str, value: Any) -> Any:
            return None if value is None else super().check_argument_for_proper_class(name, value)

    AutoProcessor.register(Qwen3_5Config, PictureProcessor, exist_ok=True)
    sys.argv = ["transformers", "serve", folder, "--device", "cpu", "--dtype", "float32", "--port", port]
    transformers()


if __name__ == "__main__":
    main()
