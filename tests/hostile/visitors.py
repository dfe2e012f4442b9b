"""Many visitors at once, some of them rude, for some minutes: `make load` (`LOAD_MINUTES`, `LOAD_VISITORS`).

Three of four hold a page as a browser does, ask about a picture or a clip, and ask on; the others are programs. A fifth
go away in the middle, a tenth send hostile files. The run fails for an error that is no sentence, and where a minute
after the last visitor the server holds more than it held before. `make churn` is the same with short answers and a
number of questions in the place of a time.
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
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from pipelines.present.choices import FAST, THINK, Choices
from pipelines.present.status import DOING, ENDS
from tests.hostile.clips import write_clips
from tests.hostile.holdings import Holdings
from tests.hostile.pictures import write_pictures
from tests.hostile.tab import RefusedError, Tab
from tests.page_server import ROOT, PageServer

EXAMPLES = ROOT / "assets" / "examples"
FILES = ("shapes.png", "signs.png", "newcomer.mp4", "moving-circle.mp4")
QUESTIONS = ("How many red shapes are there?", "What is there?", "Which way does the circle move?")
LEAVES, IS_HOSTILE, IS_PROGRAM, ASKS_ON = 0.2, 0.1, 0.25, 0.5
WRITES = (DOING["think"], DOING["answer"], *ENDS.values())
"""How a status line begins once the first token of a reply is there."""
SETTLE_S, LOOK_S = 120.0, 0.5
TIMEOUT_S = 120.0
SENTENCE = re.compile(r"[A-Z\"][^\n<>]{8,400}[.!?]")
KEEP_MINUTES = 0.6
"""What visitors leave behind is cleared away after this, which is an hour or a day on a real host."""
OPTIONS = ("--keep-minutes", str(KEEP_MINUTES))


@dataclass(frozen=True)
class Manner:
    """How visitors ask: with answers of so many tokens, with a thought or not."""

    max_new_tokens: int = 200
    is_thinking: bool = True

    @property
    def choices(self) -> Choices:
        """The settings of a page."""
        return replace(Choices(), max_new_tokens=self.max_new_tokens, mode=THINK if self.is_thinking else FAST)


SHORT = Manner(64, is_thinking=False)


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
    settled_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    took_s: float = 0.0

    @property
    def num_asked(self) -> int:
        """Questions so far, whatever became of them."""
        return self.answered + self.refused + self.left

    def settle(self, server: PageServer, settle_s: float) -> None:
        """Wait until the server holds no more than before, and note where it does not come to that."""
        began_s = time.monotonic()
        while True:
            now = Holdings.of(server)
            excess = now.beyond(self.held[0])
            self.settled_s = time.monotonic() - began_s
            if not excess or self.settled_s > settle_s:
                self.held.append(now)
                self.problems += excess
                return
            time.sleep(LOOK_S)

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
            "uploads before and after": f"{before.uploads}, {after.uploads}",
            "sessions before and after": f"{before.sessions}, {after.sessions}",
            "back after": f"{self.settled_s:.0f} s",
        }
        return "\n".join(["| load | |", "|---|---|", *(f"| {name} | {told} |" for name, told in rows.items())])


class Visitor:
    """One tab of a browser, or one program, after another."""

    def __init__(
        self, server: PageServer, hostile: list[Path], report: Report, seed: int, manner: Manner | None = None
    ) -> None:
        self._server, self._hostile, self._report, self._lock = server, hostile, report, report.lock
        self._manner = manner or Manner()
        self._rng = random.Random(seed)

    def visit(self, goes_on: Callable[[], bool]) -> None:
        """Come and ask again and again."""
        while goes_on():
            try:
                if self._rng.random() < IS_PROGRAM:
                    self._as_program()
                else:
                    self._in_a_tab(goes_on)
            except RefusedError as refusal:
                self._refused(str(refusal))
            except Exception as error:
                with self._lock:
                    self._report.problems.append(repr(error))

    def _path(self) -> Path:
        is_hostile = self._rng.random() < IS_HOSTILE
        return self._rng.choice(self._hostile) if is_hostile else EXAMPLES / self._rng.choice(FILES)

    def _in_a_tab(self, goes_on: Callable[[], bool]) -> None:
        """One conversation: about a file, and on about it. Raises RefusedError."""
        with Tab(self._server.address, self._manner.choices, TIMEOUT_S) as tab:
            files = [tab.upload(self._path())]
            while True:
                leaves, gaps = self._rng.random() < LEAVES, Gaps()
                for told in tab.ask(self._rng.choice(QUESTIONS), files):
                    if not told.startswith(WRITES):
                        continue  # it waits, or reads
                    gaps.note()
                    if leaves:
                        self._count(gaps, left=1)
                        return
                self._count(gaps, answered=1)
                files = []
                if self._rng.random() > ASKS_ON or not goes_on():
                    return

    def _as_program(self) -> None:
        """One question over the way for programs. Raises RefusedError."""
        path, leaves = self._path(), self._rng.random() < LEAVES
        with httpx.Client(base_url=self._server.address, timeout=TIMEOUT_S) as client:
            with path.open("rb") as file:
                uploaded = client.post("gradio_api/upload", files={"files": (path.name, file)})
            if uploaded.status_code != 200:
                raise RefusedError(uploaded.text)
            files = [{"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}]
            asked = {"question": self._rng.choice(QUESTIONS), "files": files, "thinking": self._manner.is_thinking}
            begun = client.post("gradio_api/call/v2/ask", json={**asked, "max_new_tokens": self._manner.max_new_tokens})
            if begun.status_code != 200:
                raise RefusedError(begun.text)
            self._follow(client, begun.json()["event_id"], leaves=leaves)

    def _follow(self, client: httpx.Client, event_id: str, *, leaves: bool) -> None:
        gaps, event = Gaps(), ""
        with client.stream("GET", f"gradio_api/call/ask/{event_id}") as stream:
            for line in stream.iter_lines():
                event = line.removeprefix("event: ") if line.startswith("event: ") else event
                if not line.startswith("data: ") or event == "heartbeat":
                    continue
                if event == "error":
                    raise RefusedError(_told(line))
                if _has_text(line):
                    gaps.note()
                    if leaves:
                        self._count(gaps, left=1)
                        return
        if event != "complete":
            raise RuntimeError(f"a stream ended with {event!r}")
        self._count(gaps, answered=1)

    def _count(self, gaps: Gaps, answered: int = 0, left: int = 0) -> None:
        with self._lock:
            self._report.answered += answered
            self._report.left += left
            self._report.first_token_s += gaps.seconds[:1]
            self._report.gaps_s += gaps.seconds[1:]

    def _refused(self, sentence: str) -> None:
        with self._lock:
            self._report.refused += 1
            if not SENTENCE.fullmatch(sentence.strip()):
                self._report.problems.append(f"no sentence: {sentence[:200]!r}")


class Gaps:
    """Seconds from the asking to the first update of a reply, and between those that follow."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last_s = time.monotonic()

    def note(self) -> None:
        """One came now."""
        now_s = time.monotonic()
        self.seconds.append(now_s - self._last_s)
        self._last_s = now_s


@dataclass(frozen=True)
class Visit:
    """How many visitors come, for how long, or until how many questions were asked."""

    num_visitors: int
    minutes: float = 60.0
    num_questions: int | None = None
    manner: Manner = Manner()

    def run(self, server: PageServer, folder: Path, seed: int, settle_s: float = SETTLE_S) -> Report:
        """The visit of all, and what is left of it."""
        report = Report()
        hostile = [*write_pictures(folder), *write_clips(folder)]
        # what the first questions load stays
        Visitor(server, hostile, report, seed, self.manner).visit(_until(time.monotonic() + 3))
        report.held.append(Holdings.of(server))
        began_s = time.monotonic()

        def goes_on() -> bool:
            is_enough = self.num_questions is not None and report.num_asked >= self.num_questions
            return not is_enough and time.monotonic() < began_s + 60 * self.minutes

        visitors = [Visitor(server, hostile, report, seed + 1 + n, self.manner) for n in range(self.num_visitors)]
        threads = [threading.Thread(target=visitor.visit, args=(goes_on,)) for visitor in visitors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report.took_s = time.monotonic() - began_s
        report.settle(server, settle_s)
        return report


def _until(end_s: float) -> Callable[[], bool]:
    return lambda: time.monotonic() < end_s


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


def main() -> int:
    """Let visitors in, print the figures, and fail where one met what it should not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("LOAD_MINUTES", "10")))
    parser.add_argument("--visitors", type=int, default=int(os.environ.get("LOAD_VISITORS", "32")))
    parser.add_argument("--questions", type=int, metavar="N", help="short ones, until there were so many")
    options = parser.parse_args()
    visit = Visit(options.visitors, options.minutes)
    if options.questions:
        visit = Visit(options.visitors, num_questions=options.questions, manner=SHORT)
    server = PageServer("demo", options=OPTIONS, is_quiet=True)
    try:
        with tempfile.TemporaryDirectory(prefix="load-") as folder:
            report = visit.run(server, Path(folder), 1)
    finally:
        server.close()
    print(report.table())
    print(
        f"\n{options.visitors} visitors, {report.num_asked:,} questions in {report.took_s / 60:.1f} minutes, "
        f"problems: {len(report.problems)}"
    )
    print(*report.problems[:50], sep="\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
