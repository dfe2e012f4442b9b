"""What the requests hold and draw while they run: memory of the model's device, and its energy.

Both belong to the device and not to one request: what one is told is what the device held at most, and drew, while
that request ran, whoever else did. On a GPU the allocator counts its highest point itself; on a CPU it is the memory of
this process, looked at between the pieces of the work. NVML takes some milliseconds to say what a GPU has drawn: it is
asked in a thread beside, and whoever reads the reply waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import torch

from pipelines.types import Usage

MOST_WAIT_S = 1.0
"""How long a reply waits for what was drawn; an NVML that hangs holds up nobody for longer."""

Joules = Callable[[], "float | None"]
Asked = Callable[[], "Future[float | None]"]
"""Has somebody say the joules, as of some milliseconds later."""
Bytes = Callable[[], tuple[int, int]]
"""The most since it was last asked, and now."""

_log = logging.getLogger(__name__)


@dataclass
class _Live:
    peak_bytes: int
    joules: Future[float | None]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a request used, where its energy may still be asked for: in all, before it and behind it."""

    peak_bytes: int
    present_bytes: int
    before: Future[float | None]
    behind: Future[float | None]

    def usage(self) -> Usage:
        """The figures, waited for up to `MOST_WAIT_S`."""
        try:
            behind = self.behind.result(MOST_WAIT_S)
            before = self.before.result(0)  # asked first, and answered first
        except Exception as error:
            _log.warning("What a request drew is not known: %s: %s", type(error).__name__, error)
            before = behind = None
        drawn = None if before is None or behind is None else behind - before
        return Usage(self.peak_bytes, self.present_bytes, drawn)


class Asker:
    """A thread that asks one question after the other: one for all engines, begun with the first, never at its end.

    It is a daemon, so that the interpreter does not wait for it; it runs nothing of torch, which would mind.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Joules, Future[float | None]]] = SimpleQueue()
        self._thread: Thread | None = None
        self._lock = Lock()

    def ask(self, joules: Joules) -> Future[float | None]:
        """Put a question behind the others; by any thread."""
        future: Future[float | None] = Future()
        try:
            self._begin()
        except RuntimeError as error:  # of a system that has no thread left
            future.set_exception(error)
        else:
            self._waiting.put((joules, future))
        return future

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = Thread(target=self._work, name="gauge", daemon=True)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        while True:
            joules, future = self._waiting.get()
            try:
                future.set_result(joules())
            except Exception as error:
                future.set_exception(error)


_ASKER = Asker()


class Gauge:
    """The requests that run, each with the most memory since it began."""

    def __init__(self, device: torch.device, memory: Bytes | None = None, joules: Asked | None = None) -> None:
        self._memory = memory or _memory_of(device)
        self._joules = joules or _joules_of(device)
        self._live: dict[object, _Live] = {}

    def begin(self, who: object) -> None:
        """A request begins."""
        _, now = self.look()
        self._live[who] = _Live(now, self._joules())

    def look(self) -> tuple[int, int]:
        """Hold on to the most that was used since the last look."""
        most, now = self._memory()
        for one in self._live.values():
            one.peak_bytes = max(one.peak_bytes, most)
        return most, now

    def drop(self, who: object) -> None:
        """Ask no more for one, whose end nobody is told."""
        self._live.pop(who, None)

    def end(self, who: object) -> Measured | None:
        """What it came to; None for a request that never began."""
        if who not in self._live:
            return None
        _, now = self.look()
        one = self._live.pop(who)
        return Measured(one.peak_bytes, now, one.joules, self._joules())


def _memory_of(device: torch.device) -> Bytes:
    if device.type == "cuda":

        def allocated() -> tuple[int, int]:
            found = torch.cuda.memory_stats_as_nested_dict(device)["allocated_bytes"]["all"]
            torch.cuda.reset_peak_memory_stats(device)
            return found["peak"], found["current"]

        return allocated
    import psutil

    process = psutil.Process()

    def resident() -> tuple[int, int]:
        now = int(process.memory_info().rss)
        return now, now

    return resident


def _joules_of(device: torch.device) -> Asked:
    """What a GPU has drawn since its driver was loaded, where NVML is there and counts it (Volta and later)."""
    if device.type != "cuda":
        return _nothing
    try:
        import pynvml
    except ImportError:  # not on every platform
        return _nothing
    # by its own name: CUDA_VISIBLE_DEVICES changes the numbers
    return asked_joules(pynvml, f"GPU-{torch.cuda.get_device_properties(device).uuid}")


def asked_joules(nvml: Any, name: str) -> Asked:
    """As `counted_joules`, asked in a thread beside where there is an answer."""
    joules = counted_joules(nvml, name)
    return _nothing if joules is None else lambda: _ASKER.ask(joules)


def counted_joules(nvml: Any, name: str) -> Joules | None:
    """What the GPU of that UUID has drawn, by an NVML, and None where it has no answer later; None where it has none.

    Each answer takes some milliseconds.
    """

    def drawn() -> float | None:
        try:
            nvml.nvmlInit()  # counts who began it, and is there for as long as the program
            handle = nvml.nvmlDeviceGetHandleByUUID(name)
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except nvml.NVMLError:
            return None

    return None if drawn() is None else drawn


def _nothing() -> Future[float | None]:
    future: Future[float | None] = Future()
    future.set_result(None)
    return future
