"""What is done by CUDA graphs, on the imitation of a GPU: the same replies, also where a capture fails."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipelines.engine import LocalEngine, graphs
from pipelines.engine.captured import Captured, SharedPool
from pipelines.engine.graphs import Graphs
from pipelines.engine.sampler import AHEAD, Choice
from pipelines.models import DEMO_FOLDER
from pipelines.types import Sampling, Settings
from tests.engine_cases import CASES, GREEDY, inputs_of, oracle, run
from tests.imitated_gpu import Gpu, imitate, lend

WILD = (
    Sampling(temperature=1.0, top_k=20, top_p=0.95, presence_penalty=1.5, repetition_penalty=1.1),
    Sampling(temperature=0.7, top_k=20, top_p=0.8, presence_penalty=1.5),
    Sampling(temperature=1.0, top_p=0.95, presence_penalty=1.5),
    Sampling(presence_penalty=1.5, repetition_penalty=1.2),
)
"""The third draws out of all tokens, which is plain torch's."""
BROKEN = RuntimeError("operation not permitted when stream is capturing")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    return imitate(monkeypatch)


@pytest.fixture
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


def at_once(engine: LocalEngine) -> list[list[int]]:
    with ThreadPoolExecutor(len(CASES)) as pool:
        return list(pool.map(lambda case: run(engine, inputs_of(engine, case)), CASES))


def expected(engine: LocalEngine) -> list[list[int]]:
    return [oracle(engine, inputs_of(engine, case), GREEDY.max_new_tokens) for case in CASES]


@pytest.mark.parametrize("has_kernels", [False, True], ids=["plain", "kernels"])
def test_replies_by_graphs_are_those_of_generate(gpu: Gpu, engine: LocalEngine, has_kernels: bool) -> None:
    lent = lend(engine, has_kernels=has_kernels)
    assert at_once(engine) == expected(engine)
    assert gpu.num_replays > 50
    assert lent.num_captured
    assert len(gpu.streams) == 1


@pytest.mark.parametrize("has_kernels", [False, True], ids=["plain", "kernels"])
def test_draws_beside_the_likeliest_are_those_without_graphs(gpu: Gpu, engine: LocalEngine, has_kernels: bool) -> None:
    """Rows join and leave, so that what a step takes from the one before it is what that found likeliest, or drew.

    Penalties count what was said where a row was before, and while others drew out of too many tokens for the kernels.
    """
    wild = [
        Settings(sampling=one, seed=3, max_new_tokens=most) for one, most in zip(WILD, (40, 25, 9, 33), strict=True)
    ]
    settings = [GREEDY, *wild]
    jobs = [(inputs_of(engine, case), settings[number % 5]) for number, case in enumerate([*CASES] * 3)]
    expected = [run(engine, *job) for job in jobs]
    lent = lend(engine, has_kernels=has_kernels)
    assert [run(engine, *job) for job in jobs[:5]] == expected[:5]
    with ThreadPoolExecutor(len(jobs)) as pool:
        assert list(pool.map(lambda job: run(engine, *job), jobs)) == expected
    assert gpu.num_replays > 50
    assert any(kind == "draw" for kind, *_ in lent._graphs) == has_kernels


def test_a_draw_that_cannot_be_captured_is_launched(
    gpu: Gpu, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The number that was drawn for it is not lost."""

    def capture(work: Any, inputs: Any, *rest: Any) -> Captured[Any]:
        if inputs[0].dtype == torch.float64:
            raise BROKEN
        return Captured(work, inputs, *rest)

    asked = inputs_of(engine, "picture"), Settings(sampling=WILD[0], seed=3, max_new_tokens=40)
    expected = run(engine, *asked)
    lent = lend(engine, has_kernels=True)
    monkeypatch.setattr(graphs, "Captured", capture)
    assert run(engine, *asked) == expected
    assert len(caplog.records) == 1
    assert gpu.num_replays > 30
    assert lent.num_captured


@pytest.mark.parametrize("has_kernels", [False, True], ids=["plain", "kernels"])
def test_what_is_kept_of_a_prompt_is_gone_on_from(gpu: Gpu, engine: LocalEngine, has_kernels: bool) -> None:
    before = expected(engine)
    lend(engine, has_kernels=has_kernels)
    for _ in range(2):
        assert [run(engine, inputs_of(engine, case)) for case in CASES] == before
    assert gpu.num_replays > 50


@pytest.mark.parametrize(("has_kernels", "expected"), [(False, 2), (True, 1)], ids=["plain", "kernels"])
def test_a_prompt_that_is_kept_is_one_piece_for_the_kernels(
    gpu: Gpu, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, has_kernels: bool, expected: int
) -> None:
    """And its first token is chosen before what is kept of it is looked at."""
    del gpu
    lend(engine, has_kernels=has_kernels)
    inputs, begun = inputs_of(engine, "picture"), list[str]()
    stack = engine.scheduler.stack

    def note(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def noted(*given: Any, **others: Any) -> Any:
            begun.append(name)
            return real(*given, **others)

        monkeypatch.setattr(owner, name, noted)

    note(stack, "prefill")
    note(stack, "first")
    note(engine.scheduler.snapshots, "keep")
    wanted = oracle(engine, inputs, GREEDY.max_new_tokens)
    for _ in range(2):
        begun.clear()
        assert run(engine, inputs) == wanted
        assert begun == ["prefill"] * expected + ["first", "keep"]
        engine.scheduler.snapshots.forget(inputs.conversation)


@pytest.mark.parametrize("sampling", [Sampling(), WILD[0]], ids=["greedy", "drawn"])
def test_a_step_of_graphs_asks_little_of_the_host(gpu: Gpu, engine: LocalEngine, sampling: Sampling) -> None:
    """The numbers go to the device in one copy, those of a draw in another, and what was chosen comes back in one."""
    lend(engine, has_kernels=True)
    stack, operations = engine.scheduler.stack, list[str]()

    class Noted(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            operations.append(str(operation))
            return operation(*args, **(kwargs or {}))

    choices = [Choice(sampling, 0) for _ in range(2)]

    def chosen(tokens: list[int], position: int, ahead: torch.Tensor | None = None) -> torch.Tensor:
        return stack.next(stack.decode(tokens, [position] * 2, ahead), choices).ids

    def steps() -> None:
        ids = chosen([5, 6], 0)
        with Noted():  # type: ignore[no-untyped-call]
            chosen([AHEAD] * 2, 1, ids)
        for row in range(2):
            stack.slots.free(row)

    engine.scheduler.between(steps)
    graphs_a_step = 1 if sampling.temperature == 0 else 2
    assert gpu.num_replays == 2 * graphs_a_step
    launched = [name for name in operations if not any(kind in name for kind in ("lift", "detach", "slice"))]
    assert launched == ["aten.copy_.default"] * graphs_a_step + ["aten.clone.default"]


def test_what_cannot_be_captured_runs_as_it_is(gpu: Gpu, engine: LocalEngine, caplog: pytest.LogCaptureFixture) -> None:
    """Torch stays on the stream of a capture that cannot be ended: the thread would go on there, beside all events."""
    lent = lend(engine, has_kernels=True)
    gpu.error = BROKEN
    assert at_once(engine) == expected(engine)
    assert gpu.num_replays == lent.num_captured == 0
    assert len(gpu.ended_pools) == len(caplog.records) == 3  # of a step, a prompt and a picture
    assert engine.scheduler.between(lambda: gpu.current) is gpu.default


def test_memory_that_runs_out_in_a_capture_is_told(gpu: Gpu, engine: LocalEngine) -> None:
    lent = lend(engine)
    given = [[1], [0], [0]]
    gpu.error = torch.OutOfMemoryError()
    engine.scheduler.stack.slots.reserve(1)
    with pytest.raises(torch.OutOfMemoryError):
        lent.step(given, 1)
    gpu.error = None
    lent.step(given, 1)
    assert lent.num_captured == 1


def test_memory_that_ran_out_is_that_of_graphs_too(gpu: Gpu, engine: LocalEngine) -> None:
    """Also where buffers are given back as nothing is left to do."""
    del gpu
    lent, scheduler = lend(engine, has_kernels=True), engine.scheduler
    for give_back in (scheduler._make_room, scheduler.stack.release):
        scheduler.between(scheduler.stack.warm_up)
        scheduler.wait_idle()
        held = [weakref.ref(one) for one in lent._graphs.values()]
        assert lent.num_captured > len(held) > 0
        give_back()
        gc.collect()
        assert lent.num_captured == 0
        assert not any(one() for one in held)
    assert run(engine, inputs_of(engine, "picture")) == oracle(engine, inputs_of(engine, "picture"), 80)


def test_one_graph_is_captured_at_a_time(gpu: Gpu) -> None:
    """Each of several GPUs has an engine's thread of its own, and torch captures one graph at a time in a process."""

    def slow(values: torch.Tensor) -> torch.Tensor:
        threading.Event().wait(0.02)
        return values + 1

    def capture(_: int) -> float:
        captured = Captured(slow, [torch.zeros(1)], torch.cuda.Stream())  # type: ignore[no-untyped-call]
        return float(captured([torch.ones(1)]))

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(capture, range(3))) == [2.0] * 3
    assert gpu.most_capturing == 1


def test_pools_share_a_stream(gpu: Gpu) -> None:
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    for _ in range(3):
        SharedPool(stream)(lambda values: values + 1, [torch.zeros(1)])
    assert len(gpu.streams) == 1


def test_a_triton_that_cannot_be_imported_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
            if name == "pipelines.engine.fused_piece":
                raise ImportError("libtriton.so: version `GLIBC_2.38' not found")
            return None

    monkeypatch.setattr(graphs, "can_fuse", lambda *_, **__: True)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "pipelines.engine.fused_piece", raising=False)
    lent = Graphs(SimpleNamespace(embed=torch.zeros(1), has_experts=False), SimpleNamespace())  # type: ignore[arg-type]
    lent.use_kernels()
    assert lent.pieces is None
    assert "GLIBC_2.38" in caplog.text
