"""Engines: what turns model inputs into tokens. `LocalEngine` is imported when first asked for, as it is slow to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.engine.base import Closed, Engine, Enter, Kept, Piece, Step, Waiting
from pipelines.engine.scripted import ScriptedEngine

if TYPE_CHECKING:
    from pipelines.engine.local import LocalEngine

__all__ = ["Closed", "Engine", "Enter", "Kept", "LocalEngine", "Piece", "ScriptedEngine", "Step", "Waiting"]


def __getattr__(name: str) -> object:
    if name == "LocalEngine":
        from pipelines.engine.local import LocalEngine

        return LocalEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
