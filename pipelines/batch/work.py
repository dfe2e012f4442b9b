"""Asks the items of a batch, several at once: the engine answers them side by side in its slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from threading import Lock

from pipelines.batch.copies import drawn, save
from pipelines.batch.items import Item
from pipelines.batch.lines import Line, Results, answered, failed, why
from pipelines.engine import Engine
from pipelines.interrupts import ROUND_S
from pipelines.present.told import told
from pipelines.run import answer
from pipelines.types import Request, Result, Settings

Done = Callable[[Line], None]


@dataclass(frozen=True)
class Asking:
    """Whom to ask and how, and the folder for marked copies where they are wanted."""

    engine: Engine
    settings: Settings
    copies: Path | None = None


def run(items: Sequence[Item], asking: Asking, results: Results, at_once: int, on_done: Done) -> None:
    """Ask all items, `at_once` beside each other, and write each line as soon as it is there.

    `on_done` is called with each line that is written, by one thread at a time. What interrupts this function stops
    the answers that run, and nothing is written of them. Raises UserError where lines or copies cannot be written.
    """
    stop, writing, left = Flag(), Lock(), iter(items)

    def work() -> None:
        for item in _shared(left, writing, stop):
            line = _line(item, asking, stop)
            if line is not None:
                with writing:
                    results.append(line)
                    on_done(line)

    with ThreadPoolExecutor(at_once, thread_name_prefix="batch") as pool:
        try:
            workers = {pool.submit(work) for _ in range(at_once)}
            while workers:
                ended, workers = wait(workers, ROUND_S, FIRST_COMPLETED)
                for worker in ended:
                    worker.result()
        finally:
            stop.set()


def _shared(left: Iterator[Item], lock: Lock, stop: Flag) -> Iterator[Item]:
    """The items that are left, of which each goes to one worker."""
    while not stop.is_set():
        with lock:
            item = next(left, None)
        if item is None:
            return
        yield item


def _line(item: Item, asking: Asking, stop: Flag) -> Line | None:
    """The line of an item; None where it was stopped on the way.

    Raises UserError where its copies cannot be written: without a line, the next run asks it again and makes them.
    """
    model, folder = asking.engine.info.model, asking.copies
    try:
        *_, result = answer(Request(item.question, (item.path,), asking.settings), asking.engine, stop)
        if stop.is_set() or not isinstance(result, Result):
            return None
        copies = drawn(item, result, folder) if folder is not None else {}
        line = answered(item, asking.settings, told(result), [path.as_posix() for path in copies])
    except Exception as error:
        return failed(item, model, asking.settings, why(error))
    save(copies)
    return line
