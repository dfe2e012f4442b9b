"""transformers' own `generate` behind the same seam."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipelines.checkpoint import Checkpoint
from pipelines.engine import LocalEngine
from pipelines.engine.placement import choose_placement
from pipelines.engine.reference import ReferenceEngine
from pipelines.models import DEMO_FOLDER
from pipelines.types import Sampling
from tests.engine_cases import GREEDY, ignore, inputs_of, oracle, run


def test_the_reference_is_generate(loaded: LocalEngine) -> None:
    reference = ReferenceEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    for case in ("text", "picture"):
        inputs = inputs_of(reference, case)
        assert run(reference, inputs) == oracle(reference, inputs, 80)
    stop = threading.Event()
    steps = reference.generate(inputs_of(reference, "picture"), GREEDY, ignore, stop)
    next(steps)
    stop.set()
    assert list(steps)[-1] == "cancelled"


def test_the_reference_takes_any_seed(loaded: LocalEngine) -> None:
    """As the command line does."""
    reference = ReferenceEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    inputs, drawn = inputs_of(reference, "text"), replace(GREEDY, sampling=Sampling(temperature=1.0), max_new_tokens=9)
    for seed in (10**30, -(10**30)):
        ids = run(reference, inputs, replace(drawn, seed=seed))
        assert ids
        assert run(reference, inputs, replace(drawn, seed=seed)) == ids


def test_who_waits_for_the_reference_stops_at_once(loaded: LocalEngine) -> None:
    """While another reply is written, which goes on."""
    reference = ReferenceEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    entered: list[str] = []
    stop = threading.Event()
    with ReferenceEngine._generating, ThreadPoolExecutor(1) as pool:
        steps = reference.generate(inputs_of(reference, "clip"), GREEDY, lambda work: entered.append(work.task), stop)
        waiting = pool.submit(list, steps)
        while not entered:
            threading.Event().wait(0.001)
        stop.set()
        assert waiting.result(30) == ["cancelled"]
    assert entered == ["queue"]
    assert run(reference, inputs_of(reference, "text")) == oracle(reference, inputs_of(reference, "text"), 80)


def test_a_stop_that_the_turn_hears_of_first_is_no_failure(
    loaded: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader is asleep for as long as it looks at nothing else, and the one who waits for a turn gives up."""

    class Pressed(threading.Event):
        def is_set(self) -> bool:
            was_set = super().is_set()
            self.set()  # behind the reader's first look
            return was_set

    class Taken:
        def acquire(self, timeout: float) -> bool:
            assert stop.wait(timeout)
            return False

    monkeypatch.setattr("pipelines.engine.reference.LOOK_S", 30.0)
    monkeypatch.setattr(ReferenceEngine, "_generating", Taken())
    reference = ReferenceEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    stop = Pressed()
    assert list(reference.generate(inputs_of(reference, "text"), GREEDY, ignore, stop)) == ["cancelled"]


def test_a_model_that_is_spread_is_measured_and_tells_nothing_beside_its_replies(loaded: LocalEngine) -> None:
    """Its layers lie on several GPUs, from one to the next of which only transformers goes on."""

    class Spread(ReferenceEngine):
        is_spread = True

    engine = Spread(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    engine.scheduler.stack.decode = None  # type: ignore[method-assign, assignment]
    engine.scheduler.stack.prefill = None  # type: ignore[method-assign, assignment]
    engine.warm_up()
    inputs = inputs_of(engine, "picture")
    assert engine.gaze(inputs.followed_by([1, 2]), threading.Event()) is None
    assert engine.score(inputs, ["yes"], threading.Event()) is None
    engine.anticipate(inputs)
    assert engine.scheduler._anticipated.is_empty


def test_a_model_is_spread_where_its_weights_lie_on_several_devices() -> None:
    model = LocalEngine.load(DEMO_FOLDER, "demo").model
    engine = ReferenceEngine(model, Checkpoint.open(DEMO_FOLDER), "demo", choose_placement(DEMO_FOLDER))
    assert not engine.is_spread
    model.model.language_model.layers[-1].to("meta")
    assert engine.is_spread
