"""The model behind a page: loaded once, and asked by all visitors."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

from pipelines.engine import Engine
from pipelines.host.policy import PRIVATE_HOST
from pipelines.media import make_ready
from pipelines.models import DEMO, load_engine
from pipelines.present.metrics import Metrics
from pipelines.run import answer, foresee
from pipelines.types import Deltas, Observe, Probe, Request, Roofline, Settings, Sight, WeightFormat


class Model:
    """The engine, loaded by `load`, or by whoever asks first.

    `name`, `weights`, `is_warm` and `policy`, the limits of the host, may change until then.
    """

    def __init__(self, name: str = DEMO, engine: Engine | None = None) -> None:
        self.name = name
        self.weights: WeightFormat = "full"
        self.is_warm = False
        self.policy = PRIVATE_HOST
        self.metrics: Metrics | None = None
        self._engine = engine
        self._loading = threading.Lock()

    def load(self) -> Engine:
        """The engine, after loading it where that is still to be done."""
        with self._loading:
            if self._engine is None:
                print(f"Loading the model {self.name} ...", file=sys.stderr, flush=True)
                make_ready()
                self._engine = load_engine(self.name, weights=self.weights, is_warm=self.is_warm)
                info = self._engine.info
                print(f"{info.model} on {info.device}, {info.dtype}; {info.kernels}", file=sys.stderr, flush=True)
            return self._engine

    def use(self, engine: Engine) -> None:
        """Answer with an engine that is there already."""
        with self._loading:
            self._engine = engine

    def foresee(self, path: Path, settings: Settings) -> tuple[Probe, Sight]:
        """What a file is, and how the model will see it."""
        return foresee(path, self.policy.lowered(settings), self.load().vision)

    def answer(self, request: Request, stop: threading.Event, observe: Observe, hurry: threading.Event) -> Deltas:
        """Answer within the limits of the host; the engine knows who comes first."""
        request = replace(request, settings=self.policy.lowered(request.settings))
        engine = self.load()
        yield from answer(request, engine, stop, self.metrics.observing(observe) if self.metrics else observe, hurry)

    def roofline(self) -> Roofline | None:
        """The best that its device does, where that is known."""
        return self.load().roofline()

    def forget(self, conversation: str) -> None:
        """Free what the engine keeps of a conversation that is over."""
        with self._loading:
            if self._engine is not None:
                self._engine.forget(conversation)
