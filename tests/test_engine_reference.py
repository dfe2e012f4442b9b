"""transformers' own `generate` behind the same seam."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from pipelines.engine import LocalEngine
from pipelines.engine.placement import choose_placement
from pipelines.engine.reference import ReferenceEngine
from pipelines.models import DEMO_FOLDER
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
