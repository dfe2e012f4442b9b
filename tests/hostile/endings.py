"""The end of a server in the middle of answers to many visitors: `make ending`.

Every stream must end with a word in time, the server by itself and in order, and what was answered so far must be
among the conversations that are kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pipelines.archive import Archive
from pipelines.host.turns import ENDING
from tests.hostile.tab import RefusedError, Tab
from tests.page_server import SCRIPTED, PageServer

MAX_S = 20.0
PATIENCE_S = 120.0


@dataclass
class Report:
    """How the streams ended. `slowest_s` and `ended_s` are counted from the signal."""

    last_words: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    ended_s: float = 0.0
    num_kept: int = 0
    problems: list[str] = field(default_factory=list)


class Listener:
    """A visitor who has asked, and follows the answer to its end."""

    def __init__(self, address: str, question: str, *, is_program: bool) -> None:
        self.has_begun = threading.Event()
        self.last_word, self.ended_s = "", 0.0
        self._address, self._question = address, question
        self._thread = threading.Thread(target=self._as_program if is_program else self._in_a_tab)
        self._thread.start()

    def join(self) -> None:
        """Wait until the stream has ended."""
        self._thread.join(PATIENCE_S)

    def _in_a_tab(self) -> None:
        tab = Tab(self._address)
        try:
            for status in tab.ask(self._question):
                if status.startswith("Thinking"):
                    self.has_begun.set()
            self.last_word = tab.status
        except (RefusedError, httpx.HTTPError, RuntimeError) as error:
            # what follows an answer is asked for, and refused or not heard any more
            self.last_word = tab.status or repr(error)
        self.ended_s = time.monotonic()
        tab.close()

    def _as_program(self) -> None:
        try:
            with httpx.Client(base_url=self._address, timeout=PATIENCE_S) as client:
                begun = client.post("gradio_api/call/v2/ask", json={"question": self._question, "thinking": True})
                with client.stream("GET", f"gradio_api/call/ask/{begun.json()['event_id']}") as stream:
                    for line in stream.iter_lines():
                        if '"reasoning"' in line:
                            self.has_begun.set()
                        self.last_word = line or self.last_word
        except httpx.HTTPError as error:
            self.last_word = repr(error)
        self.ended_s = time.monotonic()


def run(num_visitors: int, folder: Path, options: Sequence[str] = ()) -> Report:
    """End a page in the middle of the answers to so many visitors, every fourth a program."""
    report = Report()
    server = PageServer(SCRIPTED, str(folder), options=options, is_quiet=True)
    questions = [f"Question {number}?" for number in range(num_visitors)]
    tabs = [question for number, question in enumerate(questions) if number % 4]
    listeners = [Listener(server.address, text, is_program=text not in tabs) for text in questions]
    have_begun = [listener.has_begun.wait(PATIENCE_S) for listener in listeners]
    if not all(have_begun):
        report.problems.append(f"{have_begun.count(False)} answers did not begin")
    began_s = time.monotonic()
    server.close()
    report.ended_s = time.monotonic() - began_s
    if server.exit_code:
        report.problems.append(f"the server ended with {server.exit_code}")
    for listener in listeners:
        listener.join()
        report.last_words.append(listener.last_word)
        report.slowest_s = max(report.slowest_s, listener.ended_s - began_s)
    report.problems += [f"no word: {word[-200:]!r}" for word in report.last_words if ENDING not in word]
    if report.slowest_s > MAX_S:
        report.problems.append(f"a stream ended after {report.slowest_s:.1f} s")
    archive = Archive(folder)
    kept = [archive.find(listed.id) for listed in archive.listed()]
    whole = {one.rounds[0].question for one in kept if one and one.rounds[0].reply.reasoning}
    report.num_kept = len(whole)
    if whole != set(tabs):
        report.problems.append(f"{len(whole)} of {len(tabs)} conversations are kept")
    return report


def main() -> int:
    """End a page, print how it went, and fail where a stream or a conversation was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--visitors", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ending-") as folder:
        report = run(options.visitors, Path(folder))
    print(
        f"{len(report.last_words)} streams, the last ended {report.slowest_s:.1f} s after the signal, the server "
        f"after {report.ended_s:.1f} s; {report.num_kept} conversations kept; problems: {len(report.problems)}"
    )
    print(*report.problems[:50], sep="\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
