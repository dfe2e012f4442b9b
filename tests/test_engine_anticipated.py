"""An answer is read again while nobody asks: the next question is prefilled alone, and gets the same reply."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.asides import anticipate
from pipelines.conversation import Draft
from pipelines.engine import LocalEngine, anticipated
from pipelines.engine.placement import choose_placement
from pipelines.engine.reference import ReferenceEngine
from pipelines.messages import beginning_of_next, fused
from pipelines.models import DEMO_FOLDER
from pipelines.page.host import Host
from pipelines.page.outcome import finish
from pipelines.serving.asking import ask
from pipelines.serving.model import Model
from pipelines.serving.session import Session
from pipelines.types import Request, Result, Sampling, Settings, Turn, UserError
from tests.engine_cases import inputs_of, kept_busy, result_of, run, until_asked
from tests.media_makers import write_clip

SETTINGS = Settings(sampling=Sampling(), max_new_tokens=200)
AROUND = 12
"""Tokens that the template puts around a question, and the assistant's beginning."""


@pytest.fixture
def asked(picture: Path) -> Request:
    return Request("Describe the picture.", (picture,), SETTINGS, conversation="one")


def following(request: Request, result: Result, question: str) -> Request:
    told = Turn(request.question, request.media, result.answer)
    return replace(request, question=question, media=(), history=(*request.history, told))


@pytest.mark.parametrize("thinking", [True, False])
def test_a_question_that_follows_is_prefilled_alone(
    engine: LocalEngine, loaded: LocalEngine, picture: Path, tmp_path: Path, thinking: bool
) -> None:
    reference = ReferenceEngine(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    settings = replace(SETTINGS, thinking=thinking)
    files = (picture, write_clip(tmp_path / "a.mp4", frames=20))
    request = Request("Describe the picture.", files, settings, conversation="one")
    for question in ("How many objects are there?", "Where is the square?"):
        result = result_of(request, engine)
        assert result.token_ids == result_of(request, reference).token_ids
        anticipate(request, result, engine)
        engine.scheduler.wait_idle()
        assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows
        request = following(request, result, question)
        runs, prefilled = engine.scheduler.tower.num_runs, engine.scheduler.stack.num_prefilled
        last = result_of(request, engine)
        assert last.token_ids == result_of(request, reference).token_ids
        assert engine.scheduler.tower.num_runs == runs
        new = engine.scheduler.stack.num_prefilled - prefilled
        assert new <= len(engine.checkpoint.encode(question)) + AROUND
        assert last.tokens.kept == last.tokens.text + last.tokens.visual - new


@pytest.mark.parametrize("question", ["Why?", " \n\nAnd\nwhy?", "...", "<think>", "为什么?"])
@pytest.mark.parametrize("with_picture", [True, False])
def test_whatever_is_asked_next_begins_with_what_was_read(
    engine: LocalEngine, asked: Request, picture: Path, question: str, with_picture: bool
) -> None:
    result = result_of(asked, engine)
    next_one = replace(following(asked, result, question), media=(picture,) if with_picture else ())
    anticipate(asked, result, engine)
    engine.scheduler.wait_idle()
    last = result_of(next_one, engine)
    num_answer = len(engine.checkpoint.encode(result.answer))
    assert last.tokens.kept == beginning_of_next(asked, result, engine).num_tokens
    assert last.tokens.kept >= result.tokens.text - AROUND + result.tokens.visual + num_answer


def held_at(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, piece: int) -> tuple[threading.Event, ...]:
    """Pieces of one token, of which that of a number waits: set when it is reached, and to be set to have it go on."""
    monkeypatch.setattr(anticipated, "PIECE_TOKENS", 1)
    reached, go_on = threading.Event(), threading.Event()
    stack, calls = engine.scheduler.stack, iter(range(10_000))
    prefill: Callable[..., torch.Tensor] = stack.prefill

    def holding(*given: object, **others: object) -> torch.Tensor:
        if next(calls) == piece:
            reached.set()
            assert go_on.wait(30)
        return prefill(*given, **others)

    monkeypatch.setattr(stack, "prefill", holding)
    return reached, go_on


@pytest.mark.parametrize("is_same", [True, False])
def test_a_request_that_comes_meanwhile_waits_for_one_piece(
    engine: LocalEngine, asked: Request, monkeypatch: pytest.MonkeyPatch, is_same: bool
) -> None:
    """And what was read until then is kept: the conversation's own next question goes on from there."""
    result = result_of(asked, engine)
    next_one = following(asked, result, "How many objects are there?")
    expected = result_of(next_one, engine)
    engine.forget("one")
    result_of(asked, engine)
    engine.scheduler.wait_idle()
    reached, go_on = held_at(engine, monkeypatch, piece=6)
    anticipate(asked, result, engine)
    assert reached.wait(30)
    stack = engine.scheduler.stack
    prefilled = stack.num_prefilled
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(result_of, next_one if is_same else replace(asked, conversation="two"), engine)
        until_asked(engine, 1)
        go_on.set()
        told = reply.result()
    engine.scheduler.wait_idle()
    if is_same:
        assert told.token_ids == expected.token_ids
        assert stack.num_prefilled - prefilled == 1 + told.tokens.text + told.tokens.visual - told.tokens.kept
        assert told.tokens.kept == expected.tokens.kept + 7
    else:
        assert told.token_ids == result.token_ids
        last = result_of(next_one, engine)
        assert (last.token_ids, last.tokens.kept) == (expected.token_ids, expected.tokens.kept + 7)


def test_of_who_leaves_meanwhile_nothing_is_read_or_kept(
    engine: LocalEngine, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_of(asked, engine)
    engine.scheduler.wait_idle()
    reached, go_on = held_at(engine, monkeypatch, piece=2)
    anticipate(asked, result, engine)
    assert reached.wait(30)
    anticipate(asked, result, engine)  # a second one waits
    prefilled = engine.scheduler.stack.num_prefilled
    engine.forget("one")
    go_on.set()
    engine.scheduler.wait_idle()
    assert engine.scheduler.stack.num_prefilled == prefilled + 1  # the piece that was begun
    assert engine.scheduler.snapshots.num_bytes == 0
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows


def test_nothing_is_read_on_once_its_memory_was_given_back(
    engine: LocalEngine, asked: Request, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Work beside it runs out of memory: what it goes on from is dropped, and so is the row that it is read into."""

    def asking_too_much() -> None:
        raise torch.OutOfMemoryError

    result = result_of(asked, engine)
    engine.scheduler.wait_idle()
    reached, go_on = held_at(engine, monkeypatch, piece=2)
    anticipate(asked, result, engine)
    assert reached.wait(30)
    prefilled = engine.scheduler.stack.num_prefilled
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(engine.scheduler.between, asking_too_much)
        while not engine.scheduler._errands:
            threading.Event().wait(0.001)
        go_on.set()
        with pytest.raises(UserError, match="ran out of memory"):
            beside.result(30)
    engine.scheduler.wait_idle()
    assert engine.scheduler.stack.num_prefilled == prefilled + 1  # the piece that was begun
    assert engine.scheduler.stack.slots.num_bytes == engine.scheduler.snapshots.num_bytes == 0
    assert not caplog.records


def test_who_leaves_keeps_nobody_elses_answer_from_being_read(
    engine: LocalEngine, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, other = result_of(asked, engine), replace(asked, conversation="two")
    others_result = result_of(other, engine)
    engine.scheduler.wait_idle()
    reached, go_on = held_at(engine, monkeypatch, piece=2)
    anticipate(asked, result, engine)
    assert reached.wait(30)
    anticipate(other, others_result, engine)
    engine.forget("one")
    go_on.set()
    engine.scheduler.wait_idle()
    num_kept = beginning_of_next(other, others_result, engine).num_tokens
    assert result_of(following(other, others_result, "Why?"), engine).tokens.kept == num_kept


@pytest.mark.parametrize("is_begun", [True, False])
def test_where_its_media_are_not_within_what_is_kept_nothing_is_read(
    engine: LocalEngine, asked: Request, caplog: pytest.LogCaptureFixture, is_begun: bool
) -> None:
    first = Request("What can you do?", (), SETTINGS, conversation="one")
    talk = replace(following(first, result_of(first, engine), asked.question), media=asked.media)
    result = result_of(talk, engine)
    engine.forget("one")
    if is_begun:
        result_of(first, engine)
    runs, prefilled = engine.scheduler.tower.num_runs, engine.scheduler.stack.num_prefilled
    anticipate(talk, result, engine)
    engine.scheduler.wait_idle()
    assert (engine.scheduler.tower.num_runs, engine.scheduler.stack.num_prefilled) == (runs, prefilled)
    assert not caplog.records


def test_what_does_not_fit_the_context_is_not_read(engine: LocalEngine, asked: Request) -> None:
    result = result_of(asked, engine)
    prefilled = engine.scheduler.stack.num_prefilled
    engine.info = replace(engine.info, context_tokens=result.tokens.text + result.tokens.visual)
    anticipate(asked, result, engine)
    engine.scheduler.wait_idle()
    assert engine.scheduler.stack.num_prefilled == prefilled


def test_a_question_that_came_first_is_read_with_the_answer(engine: LocalEngine, asked: Request) -> None:
    result = result_of(asked, engine)
    prefilled = engine.scheduler.stack.num_prefilled
    with ThreadPoolExecutor(1) as pool, kept_busy(engine):
        anticipate(asked, result, engine)
        reply = pool.submit(result_of, following(asked, result, "How many objects are there?"), engine)
        until_asked(engine, 1)
    tokens = reply.result().tokens
    engine.scheduler.wait_idle()
    assert engine.scheduler.stack.num_prefilled - prefilled == tokens.text + tokens.visual - tokens.kept


def test_only_the_last_conversations_are_read(engine: LocalEngine, picture: Path) -> None:
    """Those that wait hold pixels."""
    asked = [Request("Describe the picture.", (picture,), SETTINGS, conversation=str(number)) for number in range(6)]
    results = [result_of(one, engine) for one in asked]
    before = engine.scheduler.snapshots.num_bytes
    with kept_busy(engine):
        for one, result in zip(asked, results, strict=True):
            anticipate(one, result, engine)
    kept = [result_of(following(*both, "Why?"), engine).tokens.kept for both in zip(asked, results, strict=True)]
    assert len(set(kept[:2])) == len(set(kept[2:])) == 1
    assert kept[0] < kept[2]
    assert before < engine.scheduler.snapshots.num_bytes


def test_the_newest_of_each_conversation_outlasts_what_it_goes_on_from(engine: LocalEngine, asked: Request) -> None:
    """Room for two and a half, of two conversations with two each."""
    result = result_of(asked, engine)
    anticipate(asked, result, engine)
    engine.scheduler.wait_idle()
    snapshots = engine.scheduler.snapshots
    snapshots.max_bytes = int(1.3 * snapshots.num_bytes)
    other = replace(asked, conversation="two")
    anticipate(other, result_of(other, engine), engine)
    engine.scheduler.wait_idle()
    for request in (asked, other):
        state = snapshots.find(fused(following(request, result, "Why?"), result.media, (), engine))
        assert state is not None
        assert state.length == beginning_of_next(request, result, engine).num_tokens


@pytest.mark.parametrize("where", ["prefill", "copy_out"])
def test_a_failure_is_nobodys_and_the_next_request_works(
    engine: LocalEngine,
    asked: Request,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    result = result_of(asked, engine)
    engine.scheduler.wait_idle()

    def broken(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patched:
        patched.setattr(engine.scheduler.stack if where == "prefill" else engine.scheduler.stack.slots, where, broken)
        anticipate(asked, result, engine)
        engine.scheduler.wait_idle()
    assert "could not be read again" in caplog.text
    assert engine.scheduler.stack.slots.num_bytes == engine.scheduler.snapshots.num_bytes == 0
    assert result_of(asked, engine).token_ids == result.token_ids


def test_requests_beside_it_leave_nothing_behind(engine: LocalEngine, picture: Path) -> None:
    """Conversations of several visitors who ask, go on and leave while answers are read."""

    def visit(number: int) -> None:
        request = Request("How many objects are there?", (picture,), SETTINGS, conversation=str(number))
        for question in ("Describe the picture.", "Where is the square?"):
            result = result_of(request, engine)
            anticipate(request, result, engine)
            request = following(request, result, question)
        engine.forget(str(number))

    run(engine, inputs_of(engine, "picture"))
    engine.scheduler.wait_idle()
    kept, num_slots = engine.scheduler.snapshots.num_bytes, engine.scheduler.stack.slots.num_bytes
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(visit, range(24)))
    engine.scheduler.wait_idle()
    assert engine.scheduler.snapshots.num_bytes == kept
    assert engine.scheduler.stack.slots.num_bytes == num_slots
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows


def test_the_page_has_an_answer_read_once_it_is_drawn(engine: LocalEngine, picture: Path) -> None:
    host, session = Host.of(Model("demo", engine)), Session()
    for question, files in (("Describe the picture.", (picture,)), ("How many objects are there?", ())):
        prefilled = engine.scheduler.stack.num_prefilled
        session.begin(Draft(question, files))
        *_, last = ask(session, SETTINGS, host.model.answer)
        assert "Done" in last.status
        new = engine.scheduler.stack.num_prefilled - prefilled
        finish(session, host.model)
        engine.scheduler.wait_idle()
    assert new <= len(engine.checkpoint.encode(question)) + AROUND
    host.leave(session)
    assert engine.scheduler.snapshots.num_bytes == 0


def test_what_another_model_answered_is_not_read(loaded: LocalEngine, asked: Request) -> None:
    """It was taken while the page drew the answer."""
    other = LocalEngine(loaded.model, loaded.checkpoint, "other", choose_placement(DEMO_FOLDER))
    result = result_of(asked, loaded)
    result_of(asked, other)
    prefilled = other.scheduler.stack.num_prefilled
    Model("other", other).anticipate(asked, result)
    other.scheduler.wait_idle()
    assert other.scheduler.stack.num_prefilled == prefilled
    loaded.forget("one")
    other.scheduler.close()
