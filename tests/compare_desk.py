"""A page on which two models are compared, for tests: its own model and another, each with a fixed reply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.catalogue.device import Device
from pipelines.checkpoint import Checkpoint
from pipelines.conversation import Draft
from pipelines.engine import Engine, ScriptedEngine
from pipelines.host.turns import Turns, Visitor
from pipelines.models import Running
from pipelines.present.comparison import Comparison
from pipelines.present.figures.history import History
from pipelines.serving.comparing import Comparing
from pipelines.serving.model import Model
from pipelines.serving.rivals import Rivals
from pipelines.types import Settings, UserError

FAST = Settings(thinking=False)
ASKING = Visitor("session", "127.0.0.1")


class Desk:
    """A page's comparing, whose own model says `first` and the other one `second`, where it can be had."""

    def __init__(self, checkpoint: Checkpoint, first: str, second: str | UserError, delay_s: float = 0.0) -> None:
        self.engine = ScriptedEngine(first, checkpoint, delay_s)
        self.engine.info = replace(self.engine.info, model="first")
        self.loaded: list[str] = []
        self.addresses: list[str | None] = []

        def load(name: str, running: Running) -> Engine:
            self.loaded.append(name)
            self.addresses.append(running.base_url)
            if isinstance(second, UserError):
                raise second
            other = ScriptedEngine(second, checkpoint, delay_s)
            other.info = replace(other.info, model=name)
            return other

        self.model, self.history, self.comparison = Model("first", self.engine), History(), Comparison()
        self.rivals = Rivals(self.model, lambda: Device("GPU", 10**12), lambda _: None, load)
        self.rivals.is_open = True
        self.turns = Turns(4)
        self.comparing = Comparing(self.model, self.rivals, self.turns)

    def begin(
        self, question: str, files: Sequence[Path] = (), other: str = "demo", settings: Settings = FAST
    ) -> Iterator[str]:
        self.comparison.begin(Draft(question, tuple(files)), ("first", other))
        return self.comparing.run(self.comparison, settings, (3600.0, 0.0), self.history, ASKING)

    def ask(self, question: str, files: Sequence[Path] = (), other: str = "demo") -> str:
        *_, last = self.begin(question, files, other)
        return last
