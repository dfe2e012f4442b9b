"""The other model of a comparison: which it may be, whether there is room for it, and how long it is held."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace

import pytest

from pipelines.catalogue.device import Device
from pipelines.checkpoint import Checkpoint
from pipelines.conversation import Draft
from pipelines.engine import Engine
from pipelines.host.policy import policy_of
from pipelines.models import DEMO_FOLDER, Running
from pipelines.present.comparison import Comparison
from pipelines.types import Result, UserError
from tests.compare_desk import ASKING, FAST, Desk


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(DEMO_FOLDER)


def test_the_other_model_is_kept_for_the_next_question(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "Yes.", "No.")
    for _ in range(2):
        desk.ask("Is it so?")
    assert desk.loaded == ["demo"]


def test_a_model_that_becomes_the_pages_own_is_not_held_twice(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.ask("Is it so?")
    assert desk.rivals._kept is not None
    copy = weakref.ref(desk.rivals._kept[1])
    list(desk.model.swap("demo", threading.Event(), desk.rivals._load))
    gc.collect()
    assert copy() is None
    desk.comparison.begin(Draft("Is it so?"), ("demo", "demo"))
    list(desk.comparing.run(desk.comparison, FAST, (0.0, 0.0), desk.history, ASKING))
    assert desk.loaded == ["demo", "demo"]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        pytest.param("9B", r"models pull 9B", id="not here"),
        pytest.param("Qwen/Qwen3.5-9B@main", r"models pull Qwen/Qwen3\.5-9B@main", id="nor by its id"),
        pytest.param("nonsense", r"is not a known model", id="no name"),
    ],
)
def test_a_model_that_is_not_here_is_never_a_surprise_download(
    checkpoint: Checkpoint, other: str, sentence: str
) -> None:
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.ask("Is it so?", other=other)
    with pytest.raises(UserError, match=sentence):
        raise UserError(str(desk.comparison.sides[1].reply))
    assert desk.loaded == []


def test_a_model_that_has_no_room_beside_the_other_is_told(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.rivals._device = lambda: Device("GPU", 10**6)
    desk.ask("Is it so?")
    assert '"demo" does not fit beside first on this GPU' in str(desk.comparison.sides[1].reply)


def test_a_stranger_is_told_nothing_that_only_the_owner_can_do(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """They were told to name a model on a server, which is refused to them, or to bring one to this machine."""
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.rivals.is_open, desk.rivals.named = False, ("9B",)
    desk.ask("Is it so?", other="9B")
    assert str(desk.comparison.sides[1].reply).startswith("This model is not to be had just now: choose another")
    assert "models pull 9B" in caplog.text


def test_a_model_waits_for_the_room_of_one_that_still_answers(checkpoint: Checkpoint) -> None:
    """Whoever compared with another model than the visitor before was told that it does not fit, or got it in int8."""
    desk = Desk(checkpoint, "Yes.", "word " * 100, delay_s=0.01)
    others, load = weakref.WeakSet[Engine](), desk.rivals._load

    def noted(name: str, running: Running) -> Engine:
        engine = load(name, running)
        others.add(engine)
        return engine

    desk.rivals._load, desk.rivals._device = noted, lambda: Device("GPU", 0 if others else 10**12)
    first, second = desk.begin("Tell me."), Comparison()
    while not desk.comparison.sides[1].answer:
        next(first)
    second.begin(Draft("Tell me."), ("first", str(DEMO_FOLDER)))
    running = desk.comparing.run(second, FAST, (0.0, 0.0), desk.history, replace(ASKING, session="another"))
    while second.sides[1].doing != "Loading":
        next(running)
    next(running)
    assert desk.loaded == ["demo"]
    for answering in (first, running):
        list(answering)
    assert all(isinstance(side.reply, Result) for side in (*desk.comparison.sides, *second.sides))
    assert desk.loaded == ["demo", str(DEMO_FOLDER)]


def test_strangers_choose_among_what_the_owner_named(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.model.policy, desk.rivals.is_open = policy_of(True, [], {}), False
    assert not desk.rivals.may_compare
    assert desk.rivals.offered() == ["first"]
    desk.rivals.named = ("first",)
    assert not desk.rivals.may_compare
    desk.rivals.named = ("other@http://127.0.0.1:9/v1",)
    assert desk.rivals.may_compare
    for place in ("demo", "other@http://127.0.0.1:80/v1", "/etc"):
        desk.ask("Is it so?", other=place)
        assert str(desk.comparison.sides[1].reply).startswith("This model is not offered here")
    assert desk.loaded == []
    desk.ask("Is it so?", other=desk.rivals.named[0])
    assert desk.loaded == ["other"]


def test_strangers_are_shown_no_password_of_the_owners(checkpoint: Checkpoint) -> None:
    """It stood in the list of models, and in the line that one of them is loading."""
    address = "http://owner:p%40ss@127.0.0.1:9/v1?key=secret"
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.rivals.is_open, desk.rivals.named = False, (f"other@{address}",)
    assert desk.rivals.offered() == ["first", "other@http://127.0.0.1:9/v1"]
    lines = list(desk.begin("Is it so?", other=desk.rivals.offered()[1]))
    assert not [line for line in lines if "p%40ss" in line or "secret" in line]
    assert desk.addresses == [address]
