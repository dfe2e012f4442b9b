"""Where the time of a request goes, stage by stage.

A `Stopwatch` is told when a stage begins; the stages do not know that they are timed. Two clocks are passed in: the
host's for what the CPU does (`open`, `fuse`), and the engine's for the rest: CUDA events on the stream that does the
work, or the host's again. Nothing is synchronised before `stop`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

from pipelines.types import Span, Stage, Timing

HOST_STAGES: frozenset[Stage] = frozenset({"open", "fuse"})
Mark = Any
"""A moment on one clock; only that clock can read it."""


class Clock(Protocol):
    """What measures. Marks are cheap to take; reading them may wait for the device."""

    @property
    def name(self) -> Literal["perf_counter", "cuda event"]:
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
    """`torch.cuda.Event` on the current stream."""

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


@dataclass(frozen=True)
class _Begun:
    stage: Stage
    host: Mark
    device: Mark


class Stopwatch:
    """The times of one request, from its construction on."""

    def __init__(self, device: Clock, host: Clock | None = None) -> None:
        self._host, self._device = host or HostClock(), device
        self._asked = self._host.mark()
        self._begun: list[_Begun] = []
        self._first_token: Mark | None = None

    def enter(self, stage: Stage) -> None:
        """End the stage before, if any, and begin this one."""
        self._begun.append(_Begun(stage, self._host.mark(), self._device.mark() if stage not in HOST_STAGES else None))

    def note_token(self) -> None:
        """Note a token; the first one counts."""
        if self._first_token is None:
            self._first_token = self._host.mark()

    def stop(self) -> Timing:
        """End the last stage and read every clock."""
        end_device = self._device.mark() if any(begun.device is not None for begun in self._begun) else None
        end = _Begun("answer", self._host.mark(), end_device)
        later = [*self._begun[1:], end]
        spans = tuple(self._span(begun, after) for begun, after in zip(self._begun, later, strict=True))
        first = None if self._first_token is None else self._host.elapsed_ms(self._asked, self._first_token)
        return Timing(spans, self._host.elapsed_ms(self._asked, end.host), first, self._device.name)

    def _span(self, begun: _Begun, after: _Begun) -> Span:
        start_ms = self._host.elapsed_ms(self._asked, begun.host)
        if begun.device is None or after.device is None:
            return Span(begun.stage, start_ms, self._host.elapsed_ms(begun.host, after.host))
        return Span(begun.stage, start_ms, self._device.elapsed_ms(begun.device, after.device))
