"""One model in the place of another while visitors chat."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag

import pytest

from pipelines.__main__ import main
from pipelines.catalogue.device import Device
from pipelines.catalogue.download import Fetched, Follow, HubModel, download
from pipelines.catalogue.transfer import Stopped
from pipelines.checkpoint import Checkpoint
from pipelines.engine import Engine, LocalEngine, ScriptedEngine, progress
from pipelines.host.policy import policy_of
from pipelines.models import DEMO_FOLDER, Running, load_engine
from pipelines.serving.loading import LeftError, Load, Work
from pipelines.serving.model import Model
from pipelines.serving.swapping import Bring, Machine, Swapping
from pipelines.types import Delta, Deltas, Request, Result, Settings, UserError

QUESTION = Request("What can you do?", settings=Settings(thinking=False))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(DEMO_FOLDER)


def named(name: str, checkpoint: Checkpoint) -> ScriptedEngine:
    engine = ScriptedEngine(f"I am {name}, and I say so at some length.", checkpoint)
    engine.info = replace(engine.info, model=name)
    return engine


def ask(model: Model, request: Request = QUESTION) -> Deltas:
    return model.answer(request, Flag(), lambda _: None, Flag())


def test_running_answers_end_with_the_model_that_began_them(checkpoint: Checkpoint) -> None:
    first = named("first", checkpoint)
    model = Model("first", first)
    running = ask(model)
    begun = next(running)
    list(model.swap("second", Flag(), lambda name, _: named(name, checkpoint)))
    *_, after = ask(model)
    *_, before = running
    assert isinstance(begun, Delta)
    assert isinstance(before, Result)
    assert isinstance(after, Result)
    assert before.answer.startswith("I am first, and")
    assert before.finish_reason == "stop"
    assert after.answer.startswith("I am second, and")
    assert (model.name, first.num_running) == ("second", 0)


def test_a_model_that_was_swapped_is_freed_once_its_last_answer_has_ended(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.serving.model.SOON_S", 0.05)
    model = Model("first", LocalEngine.load(DEMO_FOLDER, "first"))
    weights = weakref.ref(model.load().model)  # type: ignore[attr-defined]
    running = ask(model)
    next(running)
    list(model.swap("second", Flag(), lambda name, _: named(name, checkpoint)))
    assert weights() is not None
    gc.disable()  # what is freed then is freed on purpose
    try:
        *_, result = running
        assert isinstance(result, Result)
        assert result.engine.model == "first"
        deadline_s = time.monotonic() + 30
        while weights() is not None and time.monotonic() < deadline_s:
            Flag().wait(0.01)
        assert weights() is None
    finally:
        gc.enable()


def test_a_cancelled_swap_changes_nothing(checkpoint: Checkpoint) -> None:
    cancel, may_load = Flag(), Flag()

    def load(name: str, running: Running) -> Engine:  # noqa: ARG001 - as `load_engine`
        assert may_load.wait(30)
        return named(name, checkpoint)

    model = Model("first", named("first", checkpoint))
    swap = model.swap("second", cancel, load)
    assert next(swap) >= 0
    cancel.set()
    assert list(swap) == []
    may_load.set()
    *_, result = ask(model)
    assert isinstance(result, Result)
    assert result.engine.model == model.name == "first"


def test_a_loading_tells_how_far_it_is_and_ends_at_the_next_weight_once_it_is_cancelled() -> None:
    """Loaded for real, a weight at a time: the second report is held until the visitor has cancelled."""
    cancel, may_go_on, shares = Flag(), Flag(), list[float]()

    def load() -> Engine:
        told = progress.report_of()
        assert told is not None

        def held(share: float) -> None:
            shares.append(share)
            if len(shares) == 2:
                assert may_go_on.wait(30)
            told(share)

        with progress.reporting(held):
            return load_engine("demo", Running())

    work = Work(load)
    waiting = work.wait(cancel)
    while not work.share:
        next(waiting)
    assert 0 < work.share < 0.1
    cancel.set()
    assert list(waiting) == []
    may_go_on.set()
    work.join()
    assert len(shares) == 2
    with pytest.raises(LeftError):
        work.result()


def test_a_model_that_cannot_be_had_leaves_the_old_one(checkpoint: Checkpoint) -> None:
    model = Model("first", named("first", checkpoint))
    with pytest.raises(UserError, match='"7C" is not a known model'):
        list(model.swap("7C", Flag()))
    *_, result = ask(model)
    assert isinstance(result, Result)
    assert result.engine.model == "first"


def test_the_shipped_model_takes_over(checkpoint: Checkpoint) -> None:
    model = Model("first", named("first", checkpoint))
    list(model.swap("demo", Flag()))
    *_, result = ask(model)
    assert isinstance(result, Result)
    assert result.engine.model == "demo"


def test_a_reply_that_another_model_began_does_not_go_on(checkpoint: Checkpoint) -> None:
    model = Model("first", named("first", checkpoint))
    *_, cut = ask(model, replace(QUESTION, settings=Settings(thinking=False, max_new_tokens=3)))
    assert isinstance(cut, Result)
    list(model.swap("second", Flag(), lambda name, _: named(name, checkpoint)))
    with pytest.raises(UserError, match="Another model began this reply"):
        list(ask(model, replace(QUESTION, resumed=cut)))


def here(name: str, load: Load = load_engine) -> Swapping:
    """A page that may change its model, on a device with room for every one, where only the 0.8B is downloaded."""
    return Swapping(Model(name), machine(load=load))


def machine(bring: Bring = download, free_bytes: int = 10**11, load: Load = load_engine) -> Machine:
    device = Device("GPU", free_bytes)
    return Machine(lambda: device, lambda known: Path() if known.name == "0.8B" else None, bring, load)


def names(swapping: Swapping) -> list[str]:
    return [offer.name for offer in swapping.offered()]


def test_a_page_offers_what_is_here(checkpoint: Checkpoint) -> None:
    swapping = here("demo", lambda name, _: named(name, checkpoint))
    assert names(swapping) == ["demo", "0.8B", "2B", "4B", "9B"]
    *steps, last = swapping.swap("0.8B")
    assert all("Loading 0.8B" in step for step in steps)
    assert "0.8B answers from now on." in last
    assert names(swapping) == ["0.8B", "demo", "2B", "4B", "9B"]
    assert "0.8B answers already." in "".join(swapping.swap("0.8B"))


@pytest.mark.parametrize("name", ["7B", "/etc", None])
def test_what_is_not_offered_is_not_loaded(name: str | None) -> None:
    assert "This model is not offered here" in "".join(here("demo").swap(name))


def test_a_loading_that_fails_is_told_and_can_be_tried_again() -> None:
    def fail(name: str, running: Running) -> Engine:
        raise UserError(f'"{name}" does not fit ({running.weights}).')

    swapping = here("demo", fail)
    for _ in range(2):
        assert "&quot;0.8B&quot; does not fit (full)." in "".join(swapping.swap("0.8B"))


def test_one_loads_at_a_time_and_can_be_cancelled(checkpoint: Checkpoint) -> None:
    may_load = Flag()

    def load(name: str, running: Running) -> Engine:  # noqa: ARG001 - as `load_engine`
        assert may_load.wait(30)
        return named(name, checkpoint)

    swapping = here("demo", load)
    first = swapping.swap("0.8B")
    next(first)
    assert "Another model is on its way" in "".join(swapping.swap("0.8B"))
    swapping.cancel()
    assert "demo stays." in list(first)[-1]
    may_load.set()


def test_each_model_is_told_with_its_size_and_whether_it_fits_and_is_here() -> None:
    roomy = [offer.label for offer in Swapping(Model("demo"), machine()).offered()]
    assert roomy[0].startswith("demo · 6.2 M parameters · needs 1.0 GB · answers now · is here")
    assert roomy[1] == "0.8B · 0.9 B parameters · needs 2.8 GB · fits · is here"
    assert roomy[4] == "9B · 9.4 B parameters · needs 20.1 GB · fits · 19.3 GB to download"
    tight = {offer.name: offer for offer in Swapping(Model("demo"), machine(free_bytes=6 * 10**9)).offered()}
    assert (tight["2B"].pressed, tight["0.8B"].pressed) == ("Download and use it", "Use it")
    assert (tight["9B"].pressed, tight["9B"].form) == ("Does not fit", None)
    assert "does not fit" in tight["9B"].label
    small = {offer.name: offer for offer in Swapping(Model("demo"), machine(free_bytes=5 * 10**9)).offered()}
    assert "fits in 8 bits" in small["2B"].label
    assert small["2B"].weights == "int8"


def test_what_does_not_fit_is_not_loaded() -> None:
    swapping = Swapping(Model("demo"), machine(free_bytes=10**9))
    assert "9B does not fit into the memory of this machine: choose a smaller one." in "".join(swapping.swap("9B"))


def test_a_model_that_is_not_here_is_downloaded_first(checkpoint: Checkpoint) -> None:
    asked: list[HubModel] = []

    def bring(model: HubModel, follow: Follow, _stop: Flag) -> Path:
        asked.append(model)
        follow(Fetched(10**9, 4 * 10**9))
        return Path()

    swapping = Swapping(Model("demo"), machine(bring, load=lambda name, _: named(name, checkpoint)))
    *_, last = swapping.swap("2B")
    assert asked == [HubModel("Qwen/Qwen3.5-2B")]
    assert "2B answers from now on." in last


def test_a_download_tells_how_far_it_is_and_stops_when_it_is_cancelled() -> None:
    def bring(_model: HubModel, follow: Follow, stop: Flag) -> Path:
        follow(Fetched(10**9, 4 * 10**9))
        assert stop.wait(30)
        raise Stopped

    swapping = Swapping(Model("demo"), machine(bring))
    steps = swapping.swap("2B")
    assert "Downloading 2B" in next(steps)
    assert " · 1.00 of 4.00 GB" in next(steps)
    swapping.cancel()
    assert "The download of 2B was cancelled at 1.00 of 4.00 GB: what came is kept" in list(steps)[-1]


def test_a_download_that_was_left_stays_stopped_when_the_next_one_begins() -> None:
    """Of a page that was closed: the next press took its stop back, and two brought the same file."""
    stops: list[Flag] = []
    come = threading.Semaphore(0)

    def bring(_model: HubModel, _follow: Follow, stop: Flag) -> Path:
        stops.append(stop)
        come.release()
        raise Stopped

    swapping = Swapping(Model("demo"), machine(bring))
    for _ in range(2):
        steps = swapping.swap("2B")
        next(steps)
        assert come.acquire(timeout=30)
        steps.close()  # type: ignore[attr-defined]
    assert stops[0] is not stops[1]
    assert all(stop.is_set() for stop in stops)


def test_visitors_of_a_public_page_change_nothing(checkpoint: Checkpoint) -> None:
    public = Model("demo")
    public.policy = policy_of(True, [], {})
    given = Model("first", named("first", checkpoint))
    remote = Model("m")
    remote.running = Running(base_url="http://127.0.0.1:1/v1")
    fixed = Model("demo")
    fixed.policy = policy_of(False, [], {}, is_fixed=True)
    for model in (public, given, remote, fixed):
        assert Swapping(model).offered() == []


def test_a_server_without_its_address_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, picture: Path
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert main(["ask", str(picture), "-q", "What is it?", "--engine", "openai"]) == 2
    assert "Give its address" in capsys.readouterr().err.splitlines()[-1]
