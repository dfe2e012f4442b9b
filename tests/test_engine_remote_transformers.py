"""A server that nobody wrote for this program: `transformers serve` with the shipped model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.__main__ import main
from pipelines.engine import LocalEngine
from pipelines.engine.remote.engine import RemoteEngine
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.types import Delta, Request, Result, Sampling, Settings, UserError
from tests.transformers_server import TransformersServer, transformers_server

SHAPES = DEMO_FOLDER.parent / "examples" / "shapes.png"
HOW_MANY = "How many red shapes are there?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[TransformersServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(folder))  # the server wants one that exists
        with transformers_server(folder) as running:
            yield running


@pytest.fixture(scope="module")
def engine(server: TransformersServer) -> RemoteEngine:
    return RemoteEngine.connect(server.base_url, server.model)


@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "fast"])
def test_a_picture_is_answered_as_here(engine: RemoteEngine, thinking: bool) -> None:
    request = Request(HOW_MANY, (SHAPES,), Settings(thinking=thinking, sampling=Sampling()))
    *steps, there = answer(request, engine)
    *_, here = answer(request, LocalEngine.load(DEMO_FOLDER, "demo"))
    assert isinstance(there, Result)
    assert isinstance(here, Result)
    assert there.answer == here.answer
    assert bool(there.reasoning) == thinking
    assert len(steps) > 4
    text = "".join(step.text for step in steps if isinstance(step, Delta) and step.channel == "answer")
    assert text == there.answer
    assert there.tokens.text > 20
    assert there.reported is not None
    assert there.tokens.reasoning + there.tokens.answer == there.reported.reply


def test_text_alone_is_answered(engine: RemoteEngine) -> None:
    *_, result = answer(Request("Hello, what can you do?"), engine)
    assert isinstance(result, Result)
    assert result.answer
    assert result.finish_reason == "stop"


def test_a_stop_leaves_the_server_free(engine: RemoteEngine) -> None:
    stop = threading.Event()
    steps = answer(Request(HOW_MANY, (SHAPES,)), engine, stop)
    next(steps)
    stop.set()
    *_, result = steps
    assert isinstance(result, Result)
    assert result.finish_reason == "cancelled"
    *_, result = answer(Request(HOW_MANY, (SHAPES,), Settings(thinking=False)), engine)
    assert isinstance(result, Result)
    assert result.answer


def test_another_model_is_refused_in_a_sentence(server: TransformersServer) -> None:
    other = RemoteEngine.connect(server.base_url, "Qwen/Qwen3.5-9B")
    with pytest.raises(UserError, match=r"refused the question \(400\). It says: \"Server is pinned to"):
        list(answer(Request("Hello, what can you do?"), other))


def test_the_command_line_asks_it(server: TransformersServer, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--engine", "openai", "--base-url", server.base_url, "--model", server.model]
    assert main(["ask", str(SHAPES), "-q", HOW_MANY, "--thinking", "off", *where]) == 0
    shown = capsys.readouterr().out
    assert f"on a server at 127.0.0.1:{server.port}" in shown
    assert "The server reports" in shown


def test_a_server_that_is_killed_is_told(server: TransformersServer, engine: RemoteEngine) -> None:
    """The last one: it ends the server."""
    steps = answer(Request(HOW_MANY, (SHAPES,)), engine)
    next(steps)
    server.kill()
    with pytest.raises(UserError, match="ended the reply in the middle"):
        list(steps)
    with pytest.raises(UserError, match="No server answers at 127"):
        list(answer(Request(HOW_MANY, (SHAPES,)), engine))
