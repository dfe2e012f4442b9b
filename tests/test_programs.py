"""The page's server as programs use it: the documented examples, the tools, what is streamed and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from pipelines.__main__ import main
from pipelines.checkpoint import Checkpoint
from pipelines.engine import ScriptedEngine
from pipelines.models import DEMO_FOLDER
from pipelines.page.host import Host
from pipelines.page.programs import telling, tools_of
from pipelines.present.told import Told
from pipelines.programs import questions
from pipelines.serving.model import Model
from pipelines.types import UserError
from tests.page_server import BEGUN, FREED, OUTGOING, PageServer

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES, PROGRAMS = ROOT / "assets" / "examples", ROOT / "assets" / "programs"
SHAPES, CLIP = EXAMPLES / "shapes.png", EXAMPLES / "newcomer.mp4"
TOOLS = ["/ask", "/detect", "/point", "/events", "/describe", "/read", "/models"]


@pytest.fixture(scope="module")
def client(page_server: PageServer) -> Client:
    return Client(page_server.address, verbose=False)


def begin(server: PageServer, tool: str, values: dict[str, Any]) -> str:
    """Ask as curl would; the address of the answer."""
    url = f"{server.address}gradio_api/call"
    body = json.dumps(values).encode()
    request = urllib.request.Request(f"{url}/v2/{tool}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return f"{url}/{tool}/{json.load(response)['event_id']}"


def events(server: PageServer, tool: str, values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The events of the answer, name and data."""
    with urllib.request.urlopen(begin(server, tool, values), timeout=60) as response:
        return parsed(response.read().decode())


def parsed(text: str) -> list[tuple[str, Any]]:
    lines = text.splitlines()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    values = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return list(zip(names, values, strict=True))


def test_the_tools_and_nothing_else_are_offered_with_their_types(page_server: PageServer) -> None:
    with urllib.request.urlopen(f"{page_server.address}gradio_api/info", timeout=60) as response:
        told = json.load(response)["named_endpoints"]
    assert list(told) == TOOLS
    for name in TOOLS[:-1]:
        [returned] = told[name]["returns"]
        assert set(returned["type"]["properties"]) == set(Told.__annotations__)
    assert told["/ask"]["parameters"][0]["parameter_name"] == "question"
    assert not told["/detect"]["parameters"][0]["parameter_has_default"]


def test_the_python_example(page_server: PageServer) -> None:
    run = subprocess.run(
        [sys.executable, PROGRAMS / "ask.py", page_server.address, SHAPES], capture_output=True, text=True, check=True
    )
    assert "There are 3 red shapes." in run.stdout
    assert run.stdout.count("red circle [") == 2


def test_the_javascript_example(page_server: PageServer, tmp_path: Path) -> None:
    modules = Path(sys.prefix) / "js" / "node_modules"
    if not modules.is_dir():
        pytest.skip("`make test` brings @gradio/client where there is npm")
    shutil.copy(PROGRAMS / "ask.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    command = ["node", "ask.mjs", page_server.address, str(SHAPES)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert "There are 3 red shapes." in run.stdout
    assert len(re.findall(r"^red circle( \d+){4}$", run.stdout, re.MULTILINE)) == 2
    assert run.stdout.count("characters of thought") > 1


@pytest.mark.parametrize("name", ["shapes.png", 'a, b;c "q" \\ é.png'], ids=["plain", "odd name"])
def test_the_curl_example(page_server: PageServer, name: str, tmp_path: Path) -> None:
    run = _curl(Path(shutil.copy(SHAPES, tmp_path / name)), page_server.address)
    assert run.returncode == 0, run.stderr
    *growing, (last, [result]) = parsed(run.stdout)
    assert last == "complete"
    assert result["answer"] == "There are 3 red shapes."
    assert all(value[0]["finish_reason"] in (None, "stop") for name, value in growing if name == "generating")


def test_the_curl_example_says_what_went_wrong(page_server: PageServer, tmp_path: Path) -> None:
    """It ended without a word where nothing listened, and went on without the file where that was not there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    for run in (_curl(SHAPES, f"http://127.0.0.1:{free}"), _curl(tmp_path / "none.png", page_server.address)):
        assert run.returncode
        assert "curl: (" in run.stderr
        assert not run.stdout


def _curl(file: Path, address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", PROGRAMS / "ask.sh", file, address], capture_output=True, text=True)


def test_every_tool_answers_with_the_model_that_ships(client: Client) -> None:
    shapes, clip = handle_file(SHAPES), handle_file(CLIP)
    boxes = client.predict(shapes, "red circle", api_name="/detect")["regions"]
    assert [region["label"] for region in boxes] == ["red circle", "red circle"]
    [point] = client.predict(shapes, "blue square", api_name="/point")["regions"]
    assert 510 <= point["point"][0] <= 810
    assert 290 <= point["point"][1] <= 700
    [span] = client.predict(clip, "blue star", api_name="/events")["events"]
    assert 0 <= span["start_s"] < span["end_s"]
    assert client.predict(clip, api_name="/events")["finish_reason"] == "stop"
    assert "star" in client.predict(clip, api_name="/describe")["answer"]
    assert "square" in client.predict(shapes, api_name="/describe")["answer"]
    assert client.predict(shapes, api_name="/read")["answer"]
    running, *others = client.predict(api_name="/models")
    assert (running["name"], running["is_running"]) == ("demo", True)
    assert not any(model["is_running"] for model in others)
    assert [model["name"] for model in others] == ["0.8B", "2B", "4B", "9B"]
    assert [round(model["parameters"] / 1e9, 1) for model in others] == [0.9, 2.2, 4.5, 9.4]


def test_a_result_is_what_the_command_line_prints(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(SHAPES), "-q", "What colour is the triangle?", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    got = client.predict("What colour is the triangle?", [handle_file(SHAPES)], api_name="/ask")
    assert set(got) == set(told)
    for key in ("model", "reasoning", "answer", "media", "regions", "finish_reason"):
        assert got[key] == told[key]


def test_settings_are_those_of_the_command_line(client: Client) -> None:
    asked: dict[str, Any] = {"files": [handle_file(CLIP)], "api_name": "/ask"}
    got = client.predict("What moves?", thinking=False, frames=4, greedy=True, max_new_tokens=3, **asked)
    assert got["reasoning"] == ""
    assert len(got["media"][0]["times_s"]) == 4
    assert got["finish_reason"] == "length"


def test_an_answer_streams_and_only_grows(scripted_server: PageServer) -> None:
    *growing, (last, [result]) = events(scripted_server, "ask", {"question": "Hello", "max_new_tokens": 64})
    thoughts = [value[0]["reasoning"] for name, value in growing if name == "generating"]
    assert len(set(thoughts)) > 2
    assert all(later.startswith(earlier) for earlier, later in pairwise(thoughts))
    assert (last, result["finish_reason"], result["tokens"]["reasoning"]) == ("complete", "length", 64)


def test_the_wait_for_a_question_before_is_part_of_a_request(scripted_server: PageServer) -> None:
    """The engine of this page knows no queue: what stands there is the host's."""
    client = Client(scripted_server.address, verbose=False)
    scripted_server.drain()
    first = client.submit("Hello", max_new_tokens=50, api_name="/ask")
    scripted_server.wait_for(BEGUN)
    second = client.submit("And?", thinking=False, api_name="/ask").result(timeout=60)
    assert first.result(timeout=60)["timing"]["queue_ms"] == 0
    assert 0 < second["timing"]["queue_ms"] < second["timing"]["total_ms"]


def test_what_waits_for_its_turn_is_a_result_as_any_other() -> None:
    """It was none, which has no keys: a second question of the Python example ended in a traceback."""
    host = Host.of(Model(engine=ScriptedEngine("A circle.", Checkpoint.open(DEMO_FOLDER))))
    ask, *_, models = (telling(host, tool) for tool in tools_of(host))
    with host.turns.place(host.visitor()):
        begun: Any = next(ask("What is it?"))
        assert next(models()) == []
    whole: Any = [*ask("What is it?", None, False)][-1]
    assert begun.keys() == whole.keys()
    assert (begun["model"], begun["answer"], begun["finish_reason"]) == ("scripted", "", None)
    assert (whole["answer"], whole["finish_reason"]) == ("A circle.", "stop")


def test_a_client_that_goes_away_stops_its_answer(scripted_server: PageServer) -> None:
    scripted_server.drain()
    with urllib.request.urlopen(begin(scripted_server, "ask", {"question": "Hello"}), timeout=60) as response:
        assert response.readline().startswith(b"event: ")
        scripted_server.wait_for(BEGUN)
    scripted_server.wait_for(FREED, timeout_s=30)


@pytest.mark.parametrize("path", ["http://example.com/a.png", "https://127.0.0.1/a.png", "/etc/passwd", "../app.py"])
@pytest.mark.parametrize("marked", [True, False])
def test_a_file_that_was_not_uploaded_is_refused(path: str, marked: bool, scripted_server: PageServer) -> None:
    file = {"path": path, "meta": {"_type": "gradio.FileData"}} if marked else {"path": path}
    for tool, values in (("ask", {"question": "What?", "files": [file]}), ("detect", {"file": file, "what": "cat"})):
        name, _ = events(scripted_server, tool, values)[-1]
        assert name == "error"
    assert not [line for line in scripted_server.drain() if OUTGOING in line]


@pytest.mark.parametrize("path", ["a\0b.png", "\ud800.png", "a" * 5_000, "a/" * 3_000])
def test_what_is_no_path_is_told_as_one_that_was_not_uploaded(path: str, scripted_server: PageServer) -> None:
    """Such a request failed without a word."""
    for place in (path, str(scripted_server.uploads / path)):
        file = {"path": place, "meta": {"_type": "gradio.FileData"}}
        name, told = events(scripted_server, "detect", {"file": file, "what": "cat"})[-1]
        assert name == "error"
        assert "uploaded here" in told["error"]


@pytest.mark.parametrize(
    ("tool", "values", "sentence"),
    [
        ("ask", {"question": " "}, "There is no question"),
        ("ask", {"question": 7}, "not a text"),
        ("ask", {"question": "Hi", "system": 7}, "not a text"),
        ("ask", {"question": "Hi", "system": "x" * 8_001}, "longer than 8,000 characters"),
        ("ask", {"question": "Hi", "fps": "many"}, "A setting is no number"),
        ("ask", {"question": "Hi", "seed": 10**400}, "far too large"),
        ("ask", {"question": "Hi", "max_frames": 0}, "The settings do not fit"),
        ("ask", {"question": "Hi", "frames": 2.9}, "A setting is no whole number"),
        ("ask", {"question": "Hi", "frames": True}, "A setting is no number"),
        ("ask", {"question": "Hi", "thinking": "false"}, "neither true nor false"),
        ("ask", {"question": "Hi", "greedy": 1}, "neither true nor false"),
        ("ask", {"question": "Hi", "files": {"path": "a"}}, "was not uploaded"),
        ("detect", {"file": None, "what": "cat"}, "was not uploaded"),
        ("detect", {"file": 3, "what": "cat"}, "was not uploaded"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tool: str, values: dict[str, Any], sentence: str, scripted_server: PageServer
) -> None:
    name, told = events(scripted_server, tool, values)[-1]
    assert name == "error"
    assert sentence in told["error"]


@pytest.mark.parametrize(
    ("tool", "values", "status", "sentence"),
    [
        ("ask", {}, 400, 'The value of "question" is missing: this tool takes question, files, thinking, '),
        ("detect", {"file": None}, 400, 'The value of "what" is missing: this tool takes file, what, thinking.'),
        ("ask", {"question": "Hi", "tokens": 5}, 400, 'There is no setting "tokens": this tool takes question, '),
        ("models", {"all": True}, 400, 'There is no setting "all": this tool takes nothing.'),
        ("find", {}, 404, "There is no such tool: call one of ask, detect, point, events, describe, read, models."),
    ],
)
def test_a_call_that_does_not_fit_is_refused_in_a_sentence(
    tool: str, values: dict[str, Any], status: int, sentence: str, scripted_server: PageServer
) -> None:
    """It was a fault of the server, which told to try again, and a traceback in its log."""
    with pytest.raises(HTTPError) as refused:
        begin(scripted_server, tool, values)
    with refused.value as answer:
        assert sentence in answer.read().decode().replace('\\"', '"')
        assert answer.code == status
    scripted_server.holds()
    assert "Traceback (most recent call last):" not in scripted_server.drain()


def test_values_without_names_have_to_be_all_there(scripted_server: PageServer) -> None:
    """What was missing was told to the log alone, and to the program that the error is null."""
    url = f"{scripted_server.address}gradio_api/call/ask"
    body = json.dumps({"data": ["Hi"]}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{url}/{event}", timeout=60) as response:
        name, told = parsed(response.read().decode())[-1]
    assert name == "error"
    assert told["error"].startswith("There are 1 values where 13 belong: send all of them, in their order")


def test_events_are_those_of_a_clip(client: Client) -> None:
    with pytest.raises(AppError, match="send a clip"):
        client.predict(handle_file(SHAPES), api_name="/events")


def test_a_file_that_is_no_medium_is_one_sentence(client: Client, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("only words")
    with pytest.raises(AppError, match=r"notes\.png.* is not a picture or clip"):
        client.predict(handle_file(tmp_path / "notes.png"), api_name="/describe")


def test_several_kinds_are_asked_for_at_once() -> None:
    assert "'cat', 'small dog'." in questions.detecting(" cat, small dog ,")
    with pytest.raises(UserError):
        questions.pointing(" ")
