"""How far the loading of a model is, told to whoever began it, who may also end it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Report = Callable[[float], None]
"""Told the part of the weights that is there, 0 to 1. What it raises ends the loading."""
_REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Tell `report` of what is loaded meanwhile."""
    token = _REPORT.set(report)
    try:
        yield
    finally:
        _REPORT.reset(token)


def report_of() -> Report | None:
    """Who listens in this context."""
    return _REPORT.get()


def report(share: float) -> None:
    """Tell how far it is, where somebody listens."""
    if (listener := report_of()) is not None:
        listener(share)
