"""The model behind a page: loaded once, and asked by all visitors."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pipelines.asides import anticipate, check_claim, gaze
from pipelines.checkpoint import Checkpoint
from pipelines.engine import Engine
from pipelines.engine.memory import free_memory
from pipelines.host.arrivals import Arrivals
from pipelines.host.policy import PRIVATE_HOST
from pipelines.media import make_ready
from pipelines.models import DEMO, Running, load_engine
from pipelines.present.figures.metrics import Metrics
from pipelines.present.figures.pace import Pace, Paces
from pipelines.run import answer, foresee
from pipelines.serving.loading import Load, Work
from pipelines.types import (
    Deltas,
    Gaze,
    Observe,
    Probe,
    Progress,
    Record,
    Region,
    Request,
    Result,
    Roofline,
    Settings,
    Sight,
    UserError,
    WeightFormat,
)

SOON_S = 1.0


class Model:
    """The engine, loaded by `load`, or by whoever asks first.

    `name`, `running` and `policy`, the limits of the host, may change until then; afterwards `swap` changes the model,
    and `swapped` hears the name of the one that answers from then on.
    An engine that was swapped is freed when the last answer that it writes has ended.
    """

    def __init__(self, name: str = DEMO, engine: Engine | None = None) -> None:
        self.name = name
        self.running = Running()
        self.policy = PRIVATE_HOST
        self.metrics: Metrics | None = None
        self.paces = Paces()
        self.arrivals = Arrivals()
        self.swapped: Callable[[str], None] = lambda _name: None
        self._engine = engine
        self._is_given = engine is not None
        self._loading = threading.Lock()

    @property
    def may_change(self) -> bool:
        """Whether visitors may have another model: where it was loaded here, and the host lets them."""
        return self.policy.may_change_model and not (self._is_given or self.running.is_remote)

    @property
    def is_loaded(self) -> bool:
        """Whether there is an engine."""
        return self._engine is not None

    def load(self) -> Engine:
        """The engine, after loading it where that is still to be done."""
        with self._loading:
            if self._engine is None:
                what = "Asking the server for its model" if self.running.is_remote else f"Loading the model {self.name}"
                print(f"{what} ...", file=sys.stderr, flush=True)
                make_ready()
                self._engine = load_engine(self.name, self.running, _to_stderr)
                info = self._engine.info
                how = f"; {info.kernels}" if info.kernels else ""
                print(f"{info.model} on {info.place}{how}", file=sys.stderr, flush=True)
            return self._engine

    def use(self, engine: Engine) -> None:
        """Answer with an engine that is there already."""
        with self._loading:
            self._engine, self._is_given = engine, True

    def swap(
        self, name: str, cancel: threading.Event, load: Load = load_engine, *, weights: WeightFormat = "full"
    ) -> Iterator[float]:
        """Load another model beside the one that answers, and answer with it from then on; yields the seconds so far.

        Its weights are held as this host's are, but for those that fit in other `weights` only. Answers that run are
        written to their end by the model that began them. Once `cancel` is set, all stays as it is. Raises UserError
        where the other cannot be had, and then all stays as it is too.
        """
        running = self.running if weights == "full" else replace(self.running, weights=weights)
        loading = Work(lambda: load(name, running))
        yield from loading.wait(cancel)
        if cancel.is_set():
            return
        engine = loading.result()
        with self._loading:
            self._engine, self.name = engine, name
        del engine, loading
        self.swapped(name)
        free_memory()

    def foresee(self, path: Path, settings: Settings) -> tuple[Probe, Sight]:
        """What a file is, and how the model will see it."""
        return foresee(path, self.policy.lowered(settings), self.load().vision)

    def measured(self) -> Pace | None:
        """How fast the present model answered its last requests."""
        return self.paces.of(self.load().info.model)

    def pace(self) -> Pace:
        """The measured pace, or what the device could do at best: measured when that is first asked for."""
        return self.measured() or Pace.at_best(self.load().roofline())

    def answer(
        self,
        request: Request,
        stop: threading.Event,
        observe: Observe,
        hurry: threading.Event,
        engine: Engine | None = None,
    ) -> Deltas:
        """Answer within the limits of the host, by another `engine` where one is given; it knows who comes first."""
        request = replace(self._lowered(request), uploads=self.arrivals.of(request.media))
        engine = engine or self.load()
        if request.resumed is not None and not _may_have_written(engine, request.resumed):
            raise UserError("Another model began this reply and cannot go on with it here: ask the question again.")
        observe = self.metrics.observing(observe) if self.metrics else observe
        try:
            observe = observe if request.resumed else self._pacing(observe)  # a rest is no usual request
            yield from answer(request, engine, stop, observe, hurry)
        finally:
            is_present = engine is self._engine
            del engine
            if not is_present:
                _free_soon()

    def anticipate(self, request: Request, result: Result) -> None:
        """Have the engine that answered read its answer, in a conversation that may go on."""
        engine = self.load()
        if result.engine == engine.info:
            anticipate(self._lowered(request), result, engine)

    def gaze(self, request: Request, result: Result, stop: threading.Event) -> Gaze | None:
        """Where the model looked as it wrote a reply; None where another one wrote it, or that cannot be told.

        Raises UserError as `pipelines.asides.gaze` does.
        """
        engine = self.load()
        return gaze(self._lowered(request), result, engine, stop) if result.engine == engine.info else None

    def check_claim(self, request: Request, region: Region, stop: threading.Event) -> float | None:
        """How likely the present model holds a claim of an answer, whoever gave it: 0 to 1, None where it cannot tell.

        Raises UserError as `pipelines.asides.check_claim` does.
        """
        return check_claim(self._lowered(request), region, self.load(), stop)

    def roofline(self) -> Roofline | None:
        """The best that its device does, where that is known."""
        return self.load().roofline()

    def _lowered(self, request: Request) -> Request:
        """The request within the limits of the host."""
        return replace(request, settings=self.policy.lowered(request.settings))

    def _pacing(self, observe: Observe) -> Observe:
        """`observe`, and what a request took is kept to foretell others."""

        def observed(told: Progress | Record) -> None:
            if isinstance(told, Record):
                self.paces.note(told)
            observe(told)

        return observed

    def forget(self, conversation: str) -> None:
        """Free what the engine keeps of a conversation that is over."""
        with self._loading:
            if self._engine is not None:
                self._engine.forget(conversation)


def _may_have_written(engine: Engine, result: Result) -> bool:
    """Whether a reply is of its model, which may have been another one of that name when the reply was kept."""
    vision = engine.vision
    num_tokens = vision.tokenizer.get_vocab_size() if isinstance(vision, Checkpoint) else 0
    return result.engine.model == engine.info.model and max(result.token_ids, default=0) < num_tokens


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _free_soon() -> None:
    """Give the memory of an engine back that was swapped while it answered, once its thread has ended too."""
    freeing = threading.Timer(SOON_S, free_memory)
    freeing.daemon = True
    freeing.start()
