"""When kernels stand for plain torch in the vision tower, and what happens where they cannot; without a GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipelines.engine import LocalEngine
from pipelines.engine import tower as towers
from pipelines.engine.captured import CAPTURING
from pipelines.engine.lean_tower import Blocks, FramePlaces, LeanTower
from pipelines.engine.proof import see_alike
from pipelines.engine.rest import Rest
from pipelines.engine.tower import Tower
from pipelines.models import DEMO_FOLDER

NOT_USED = "The kernels of Triton for pictures are not used"


class Other(Blocks):
    """Stands for kernels that do the same."""


class Wrong(Blocks):
    def __call__(self, hidden: torch.Tensor, places: FramePlaces, rest: Rest) -> torch.Tensor:
        return super().__call__(hidden, places, rest).roll(1, dims=0)


class Failing(Blocks):
    error: Exception = RuntimeError("no such GPU")

    def __call__(self, *_: object) -> torch.Tensor:
        raise self.error


class Exhausted(Failing):
    error = torch.OutOfMemoryError()


@pytest.fixture(scope="module")
def model() -> Any:
    return LocalEngine.load(DEMO_FOLDER, "demo").model


@pytest.fixture
def use(model: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Blocks] | None], type[Blocks]]:
    """Load a tower where some layers are the kernels, or where Triton fails: which layers it has then."""

    def used(blocks: type[Blocks] | None) -> type[Blocks]:
        monkeypatch.setattr(towers, "can_fuse", lambda *_, **__: True)
        module = None if blocks is None else SimpleNamespace(FusedBlocks=blocks)
        monkeypatch.setitem(sys.modules, "pipelines.engine.fused_tower", module)
        tower = Tower(model)
        tower.use_kernels()
        return type(tower._layers._layers)  # type: ignore[return-value]

    return used


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (Wrong, "on this GPU: what is seen is"),
        (Failing, "on this GPU: RuntimeError: no such GPU"),
        (None, "ModuleNotFoundError"),
    ],
)
def test_a_tower_does_without_kernels_that_fail(
    use: Callable[[type[Blocks] | None], type[Blocks]],
    caplog: pytest.LogCaptureFixture,
    blocks: type[Blocks] | None,
    said: str,
) -> None:
    assert use(blocks) is Blocks
    [record] = caplog.records
    assert NOT_USED in record.getMessage()
    assert said in record.getMessage()


def test_a_tower_uses_kernels_that_do_the_same(
    use: Callable[[type[Blocks] | None], type[Blocks]], caplog: pytest.LogCaptureFixture
) -> None:
    assert use(Other) is Other
    assert not caplog.records


def test_running_out_of_memory_while_they_are_tried_is_told(
    use: Callable[[type[Blocks] | None], type[Blocks]],
) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        use(Exhausted)


def test_a_cpu_does_without_them(model: Any) -> None:
    tower = Tower(model)
    tower.use_kernels()
    assert type(tower._layers._layers) is Blocks


@pytest.mark.parametrize(
    ("factor", "said"),
    [(1.0, None), (1.005, None), (1.05, "what is seen is 5% off"), (float("nan"), "what is seen is nan% off")],
)
def test_how_far_apart_two_towers_may_be(
    model: Any, caplog: pytest.LogCaptureFixture, factor: float, said: str | None
) -> None:
    lean = LeanTower(model.model.visual)
    assert lean.device.type == "cpu"
    assert see_alike(lambda *given: factor * lean(*given), lean) == (said is None)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ([said] if said else [])


def test_attention_that_is_not_replayed_is_not_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    cuda: Any = torch.backends.cuda
    is_planned = cuda.cudnn_sdp_enabled
    with towers._unplanned(torch.device("cpu")):
        assert is_planned()
    with towers._unplanned(torch.device("cuda")):
        assert not is_planned()
        assert cuda.flash_sdp_enabled()
    assert is_planned()


def test_engines_that_do_not_plan_at_once_leave_it_to_others_to_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is that of all threads, and so is what is captured meanwhile."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    cuda: Any = torch.backends.cuda
    begun, is_over = Event(), Event()

    def beside() -> None:
        with towers._unplanned(torch.device("cuda", 1)):
            begun.set()
            assert is_over.wait(20)

    try:
        with ThreadPoolExecutor(1) as pool:
            with towers._unplanned(torch.device("cuda", 0)):
                other = pool.submit(beside)
                begun.wait(0.2)
                assert CAPTURING.locked()
            is_over.set()
            other.result()
        assert cuda.cudnn_sdp_enabled()
    finally:
        cuda.enable_cudnn_sdp(True)
