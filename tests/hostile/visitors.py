"""Many visitors at once, some of them rude, for some minutes: `make load` (`LOAD_MINUTES`, `LOAD_VISITORS`).

Each visitor asks about a picture or a clip over the page's own queue, follows the stream, and asks again. A fifth
closes the tab in the middle, a tenth sends hostile files. The run fails for an error that is no sentence, and where a
minute after the last visitor the server holds more than it held before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.hostile.clips import write_clips
from tests.hostile.pictures import write_pictures
from tests.page_server import ROOT, PageServer

EXAMPLES = ROOT / "assets" / "examples"
FILES = ("shapes.png", "signs.png", "newcomer.mp4", "moving-circle.mp4")
QUESTIONS = ("How many red shapes are there?", "What is there?", "Which way does the circle move?")
LEAVES, IS_HOSTILE = 0.2, 0.1
SETTLE_S = 60.0
TIMEOUT_S = 120.0
SENTENCE = re.compile(r"[A-Z\"][^\n<>]{8,400}[.!?]")


@dataclass(frozen=True)
class Holdings:
    """What a process holds: memory in bytes, threads, open files, and files for uploads."""

    memory: int
    threads: int
    descriptors: int
    uploads: int

    @classmethod
    def of(cls, number: int) -> Holdings:
        """Those of a running page."""
        status = Path(f"/proc/{number}/status").read_text()
        uploads = Path(os.environ.get("GRADIO_TEMP_DIR", Path(tempfile.gettempdir()) / "gradio"))
        return cls(
            _kilobytes(status, "VmRSS") * 1024,
            _kilobytes(status, "Threads"),
            sum(1 for _ in Path(f"/proc/{number}/fd").iterdir()),
            sum(1 for path in uploads.rglob("*") if path.is_file()) if uploads.exists() else 0,
        )


@dataclass
class Report:
    """What visitors met."""

    first_token_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    answered: int = 0
    refused: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)
    held: list[Holdings] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def table(self) -> str:
        """The figures, in Markdown."""
        before, after = self.held[0], self.held[-1]
        rows = {
            "answered": f"{self.answered:,}",
            "refused in a sentence": f"{self.refused:,}",
            "tabs closed in the middle": f"{self.left:,}",
            "time to first token, p50 and p95": _both(self.first_token_s, 95),
            "gap between updates, p50 and p99": _both(self.gaps_s, 99),
            "memory before and after": f"{before.memory / 1e6:.0f} MB, {after.memory / 1e6:.0f} MB",
            "threads before and after": f"{before.threads}, {after.threads}",
            "open files before and after": f"{before.descriptors}, {after.descriptors}",
        }
        return "\n".join(["| load | |", "|---|---|", *(f"| {name} | {told} |" for name, told in rows.items())])


class Visitor:
    """One browser tab after another, until the time is over."""

    def __init__(self, server: PageServer, hostile: list[Path], report: Report, seed: int) -> None:
        self._server, self._hostile, self._report, self._lock = server, hostile, report, report.lock
        self._rng = random.Random(seed)

    def visit(self, until_s: float) -> None:
        """Ask again and again."""
        while time.monotonic() < until_s:
            try:
                with httpx.Client(base_url=self._server.address, timeout=TIMEOUT_S) as client:
                    self._ask(client)
            except Exception as error:
                with self._lock:
                    self._report.problems.append(repr(error))

    def _ask(self, client: httpx.Client) -> None:
        is_hostile, leaves = self._rng.random() < IS_HOSTILE, self._rng.random() < LEAVES
        path = self._rng.choice(self._hostile) if is_hostile else EXAMPLES / self._rng.choice(FILES)
        with path.open("rb") as file:
            uploaded = client.post("gradio_api/upload", files={"files": (path.name, file)})
        if uploaded.status_code != 200:
            self._refused(uploaded.text)
            return
        files = [{"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}]
        body = {"question": self._rng.choice(QUESTIONS), "files": files, "thinking": True, "max_new_tokens": 200}
        began_s = last_s = time.monotonic()
        begun = client.post("gradio_api/call/v2/ask", json=body)
        if begun.status_code != 200:
            self._refused(begun.text)
            return
        gaps: list[float] = []
        with client.stream("GET", f"gradio_api/call/ask/{begun.json()['event_id']}") as stream:
            event = ""
            for line in stream.iter_lines():
                now_s = time.monotonic()
                event = line.removeprefix("event: ") if line.startswith("event: ") else event
                if not line.startswith("data: ") or event == "heartbeat":
                    continue
                if event == "error":
                    self._refused(_told(line))
                    return
                if _has_text(line):
                    gaps.append(now_s - last_s)
                    last_s = now_s
                if leaves and len(gaps) > 2:
                    self._count(gaps, left=1)
                    return
        if event != "complete":
            raise RuntimeError(f"a stream ended after {now_s - began_s:.0f} s with {event!r}")
        self._count(gaps, answered=1)

    def _count(self, gaps: list[float], answered: int = 0, left: int = 0) -> None:
        with self._lock:
            self._report.answered += answered
            self._report.left += left
            self._report.first_token_s += gaps[:1]
            self._report.gaps_s += gaps[1:]

    def _refused(self, sentence: str) -> None:
        with self._lock:
            self._report.refused += 1
            if not SENTENCE.fullmatch(sentence.strip()):
                self._report.problems.append(f"no sentence: {sentence[:200]!r}")


def run(server: PageServer, folder: Path, minutes: float, num_visitors: int, seed: int, settle_s: float) -> Report:
    """The visit of all, and what is left of it."""
    report = Report()
    hostile = [*write_pictures(folder), *write_clips(folder)]
    Visitor(server, hostile, report, seed).visit(time.monotonic() + 1)  # what the first question loads stays
    report.held.append(Holdings.of(server.number))
    until_s = time.monotonic() + 60 * minutes
    visitors = [Visitor(server, hostile, report, seed + number) for number in range(1, num_visitors + 1)]
    threads = [threading.Thread(target=visitor.visit, args=(until_s,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _settle(server, report, settle_s)
    return report


def _settle(server: PageServer, report: Report, settle_s: float) -> None:
    """Wait until the server holds no more than before, and note where it does not come to that."""
    before, deadline_s = report.held[0], time.monotonic() + settle_s
    while True:
        now = Holdings.of(server.number)
        excess = [
            f"{name}: {was:,} before, {is_now:,} after"
            for name, was, is_now, slack in (
                ("memory", before.memory, now.memory, MEMORY_SLACK),
                ("threads", before.threads, now.threads, THREAD_SLACK),
                ("open files", before.descriptors, now.descriptors, DESCRIPTOR_SLACK),
            )
            if is_now > was + slack
        ]
        if not excess or time.monotonic() > deadline_s:
            report.held.append(now)
            report.problems += excess
            return
        time.sleep(0.5)


MEMORY_SLACK = 600 * 1024**2
"""What is kept on purpose: opened files (256 MB), patches, states of conversations."""
THREAD_SLACK = 48
"""Gradio's pool of 40 worker threads stays once it has grown."""
DESCRIPTOR_SLACK = 24
"""Four workers with a connection and shared memory each, and connections that are kept open for a while."""


def at(values: list[float], percent: float) -> float:
    """A percentile; 0 of nothing."""
    return float(np.percentile(values, percent)) if values else 0.0


def _both(values: list[float], high: float) -> str:
    return f"{at(values, 50):.2f} s, {at(values, high):.2f} s"


def _has_text(line: str) -> bool:
    """Whether an update holds a piece of the reply."""
    value: Any = json.loads(line.removeprefix("data: "))
    told = value[0] if isinstance(value, list) and value else None
    return isinstance(told, dict) and bool(told.get("reasoning") or told.get("answer"))


def _told(line: str) -> str:
    value = json.loads(line.removeprefix("data: "))
    return str(value.get("error") if isinstance(value, dict) else value)


def _kilobytes(status: str, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", status)
    return int(found[1]) if found else 0


def main() -> int:
    """Let visitors in, print the figures, and fail where one met what it should not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("LOAD_MINUTES", "10")))
    parser.add_argument("--visitors", type=int, default=int(os.environ.get("LOAD_VISITORS", "32")))
    options = parser.parse_args()
    server = PageServer("demo")
    try:
        with tempfile.TemporaryDirectory(prefix="load-") as folder:
            report = run(server, Path(folder), options.minutes, options.visitors, 1, SETTLE_S)
    finally:
        server.close()
    print(report.table())
    print(f"\n{options.visitors} visitors, {options.minutes:g} minutes, problems: {len(report.problems)}")
    print(*report.problems[:50], sep="\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
