"""A page in a process of its own, for tests: `python -m tests.page_server MODEL PORT DATA`.

MODEL is a name, "scripted" or "roomy"; of the last two, a number more is how many may ask from one address.

Whatever the server tries to reach outside of this machine is refused, and told on stdout. The scripted page tells when
its engine begins and is free again: it thinks slowly and for long, and in the fast mode gives a hostile answer at once,
or the one that the question tells it. Where LONG_TOKENS new ones or more are allowed, it writes so many at LONG_RATE a
second. The roomy page has the model that ships, on a machine where every other one would fit.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from tests.ports import free_port

if TYPE_CHECKING:
    from pipelines.serving.model import Model

ROOT = Path(__file__).resolve().parent.parent
READY, BEGUN, FREED, OUTGOING = "Glassbox is on ", "engine begun", "engine freed", "outgoing: "
HOLDS = "holds: "
SCRIPTED, ROOMY = "scripted", "roomy"
THOUGHT = "Let me look at the picture.\n" + "".join(f"Step {step} of the thought. " for step in range(1, 301))
REPLY = f"{THOUGHT}</think>\n\nIt shows a circle."
HOSTILE_LABEL = "<img src=x onerror=alert(1)> {{7*7}} ${7*7}"
HOSTILE_REPLY = f"""![a](http://example.com/a.png) <img src="http://example.com/b.png"> <style>@import "http://example.com"</style>

```json
[{{"bbox_2d": [100, 200, 400, 700], "label": "red circle"}}, {{"point_2d": [900, 950], "label": "{HOSTILE_LABEL}"}}]
```
"""
SAY = "Say: "
"""Begins a question that tells the scripted page its fast answer."""
QUEUED, TOO_LARGE = "Let me wait.", "Too large?"
"""Questions that the scripted page lets wait behind two others until they are stopped, and finds no memory for."""
LONG_TOKENS, LONG_RATE = 4000, 200
LONG_REPLY = THOUGHT * 2 + "</think>\n\n" + THOUGHT * 4
START_TIMEOUT_S = 180.0


class PageServer:
    """A running page: its address, and the lines that it prints."""

    def __init__(
        self,
        model: str,
        data: str = "none",
        port: int | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        file_limit: int | None = None,
        *,
        is_quiet: bool = False,
    ) -> None:
        """`file_limit` bounds the bytes of each file that it writes, as a disk that is full does."""
        self.port = port or free_port()
        self.uploads = Path(_uploads().name, str(self.port))
        self._is_quiet = is_quiet
        command = [sys.executable, "-m", "tests.page_server", model, str(self.port), data, *options]
        # a server that ends deletes what it cached, and shares it with none that goes on
        own = {"GRADIO_TEMP_DIR": str(self.uploads), **(environment or {})}
        if file_limit:
            command = ["prlimit", f"--fsize={file_limit}", *command]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **own}, text=True, encoding="utf-8", **pipes
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.printed: list[str] = []
        try:
            self.address = self.wait_for(READY, START_TIMEOUT_S).removeprefix(READY)
        except BaseException:
            self.kill()
            raise

    @property
    def number(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the process ended, if it did."""
        return self._process.poll()

    def wait_for(self, text: str, timeout_s: float = 60.0) -> str:
        """The next line that holds `text`."""
        while True:
            try:
                line = self._lines.get(timeout=timeout_s)
            except queue.Empty:
                raise TimeoutError(f"no line with {text!r} within {timeout_s} s:\n" + "\n".join(self.printed)) from None
            if line is None:
                raise RuntimeError("the page ended:\n" + "\n".join(self.printed))
            self.printed.append(line)
            if text in line:
                return line

    def drain(self) -> list[str]:
        """All lines so far."""
        with contextlib.suppress(queue.Empty):
            while (line := self._lines.get_nowait()) is not None:
                self.printed.append(line)
        return self.printed

    def holds(self) -> dict[str, int]:
        """What the page keeps of its visitors: sessions, and questions that are answered or wait."""
        os.kill(self.number, signal.SIGUSR1)
        told: dict[str, int] = json.loads(self.wait_for(HOLDS).removeprefix(HOLDS))
        return told

    def kill(self) -> None:
        """End the process as a crash would."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if not self._is_quiet:
                print(line, end="")  # shown with the test that fails
            self._lines.put(line.rstrip())
        self._lines.put(None)


def serving(model: str, data: str = "none") -> Iterator[PageServer]:
    """A running page, ended afterwards: for a fixture to yield from."""
    server = PageServer(model, data)
    try:
        yield server
    finally:
        server.close()


@cache
def _uploads() -> tempfile.TemporaryDirectory[str]:
    """Gone with the tests: a server that is started again at its port finds what it had."""
    return tempfile.TemporaryDirectory(prefix="glassbox-test-")


def _stay_local(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to connect to, or to look up, anything but this machine."""
    target = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0] if arguments else None
    if event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo") or isinstance(target, bytes):
        return
    host = str(target[0] if isinstance(target, tuple) else target)
    if host not in ("::1", "localhost", "0.0.0.0", "None", "") and not host.startswith(("127.", "/", "\0")):
        print(f"{OUTGOING}{event} {target}", flush=True)
        raise OSError(f"{OUTGOING}{target}")


def _scripted_model() -> Model:
    from pipelines.checkpoint import Checkpoint
    from pipelines.engine import Enter, ScriptedEngine, Step, Waiting
    from pipelines.engine.local import OUT_OF_MEMORY
    from pipelines.inputs import ModelInputs
    from pipelines.models import DEMO_FOLDER
    from pipelines.serving.model import Model
    from pipelines.types import Settings, TooLittleMemoryError

    class ToldEngine(ScriptedEngine):
        """Tells on stdout when it works."""

        def __init__(self, checkpoint: Checkpoint) -> None:
            super().__init__(REPLY, checkpoint, token_delay_s=0.02)
            self._hostile = ScriptedEngine(HOSTILE_REPLY, checkpoint)
            self._long = ScriptedEngine(LONG_REPLY, checkpoint, token_delay_s=1 / LONG_RATE)

        def generate(
            self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
        ) -> Iterator[Step]:
            print(BEGUN, flush=True)
            prompt = self.checkpoint.tokenizer.decode(inputs.input_ids[0].tolist(), skip_special_tokens=False)
            if TOO_LARGE in prompt:
                raise TooLittleMemoryError(OUT_OF_MEMORY.format(device="CPU"))
            while QUEUED in prompt and not stop.wait(0.1):
                yield Waiting(2)
            told = re.findall(rf"{SAY}(.*?)<\|im_end\|>", prompt, re.DOTALL)
            # what a person types spells no control token, and what a model writes does
            fast = ScriptedEngine(told[-1].replace("\u2060", ""), self.checkpoint) if told else self._hostile
            try:
                generate = super().generate if settings.thinking else fast.generate
                if settings.max_new_tokens >= LONG_TOKENS:
                    generate = self._long.generate
                yield from generate(inputs, settings, enter, stop, hurry)
            finally:
                print(FREED, flush=True)

    return Model(engine=ToldEngine(Checkpoint.open(DEMO_FOLDER)))


def tell(num_sessions: int, num_questions: int) -> None:
    """Tell what the page keeps of its visitors."""
    print(HOLDS + json.dumps({"sessions": num_sessions, "questions": num_questions}), flush=True)


def main() -> None:
    """Serve one page until the process is ended."""
    model, port, data, *options = sys.argv[1:]
    sys.addaudithook(_stay_local)
    import app
    from pipelines.archive import Archive
    from pipelines.catalogue.device import Device
    from pipelines.page.host import Host
    from pipelines.page.launch import serve, wait_for_the_end
    from pipelines.serving.model import Model
    from pipelines.serving.swapping import Machine

    host, page = app.host, app.demo
    if model in (SCRIPTED, ROOMY):
        archive = Archive(None if data == "none" else Path(data))
        chosen = _scripted_model() if model == SCRIPTED else Model()
        if options:
            chosen.policy = replace(chosen.policy, max_per_address=int(options[0]))
        host = Host.of(chosen, archive, Machine(lambda: Device("CPU", 10**11, "fp32")))
        page = app.build(host)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, lambda *_: tell(len(page.state_holder.session_data), host.turns.num_questions))
    if model in (SCRIPTED, ROOMY):
        print(READY + serve(host, page, port=int(port)), flush=True)
        wait_for_the_end(host, page)
    else:
        sys.exit(app.main(["--model", model, "--port", port, "--data", data, *options]))


if __name__ == "__main__":
    main()
