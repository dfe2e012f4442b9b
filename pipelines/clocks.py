"""What time is measured with: the host's clock, or events on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

from pipelines.types import ClockName

Mark = Any
"""A moment on one clock; only that clock can read it. Those of the host's come in order."""


class Clock(Protocol):
    """What measures. Marks are cheap to take; reading them may wait for the device."""

    @property
    def name(self) -> ClockName:
        """What the times come from."""
        ...

    def mark(self) -> Mark:
        """Note this moment."""
        ...

    def elapsed_ms(self, start: Mark, end: Mark) -> float:
        """Milliseconds between two marks, waiting until both are reached."""
        ...


@dataclass(frozen=True)
class HostClock:
    """`time.perf_counter`, or another source of seconds."""

    seconds: Callable[[], float] = perf_counter
    name: Literal["perf_counter"] = "perf_counter"

    def mark(self) -> Mark:
        """Seconds on the source's own scale."""
        return self.seconds()

    def elapsed_ms(self, start: Mark, end: Mark) -> float:
        """Milliseconds between two marks."""
        return float(end - start) * 1000.0


@dataclass(frozen=True)
class CudaClock:
    """`torch.cuda.Event` on the current stream of the thread's current GPU: that of whoever feeds it."""

    name: Literal["cuda event"] = "cuda event"

    def mark(self) -> Mark:
        """Record an event behind the work queued so far."""
        import torch

        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def elapsed_ms(self, start: Mark, end: Mark) -> float:
        """Milliseconds between two events, waiting for the later one."""
        end.synchronize()
        return float(start.elapsed_time(end))
