"""The tools as an agent uses them: a client of the protocol, and the server as it is started."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from pipelines.__main__ import main
from pipelines.checkpoint import Checkpoint
from pipelines.engine import ScriptedEngine
from pipelines.models import DEMO_FOLDER
from pipelines.present.told import Told
from pipelines.programs.mcp_server import Sandbox, server
from pipelines.programs.tools import Tools
from pipelines.serving.model import Model
from pipelines.types import UserError

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
BEGIN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
TOOLS = ["ask", "detect", "point", "events", "describe", "read", "models"]


def used(model: Model, *steps: Callable[[Client], Awaitable[Any]]) -> list[Any]:
    """What the steps of a client give, beside a server of this process."""

    async def use() -> list[Any]:
        async with Client(server(Tools(model), Sandbox([EXAMPLES]))) as client:
            return [await step(client) for step in steps]

    return asyncio.run(use())


def calling(tool: str, **values: Any) -> Callable[[Client], Awaitable[Any]]:
    return lambda client: client.call_tool(tool, values)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_an_agent_starts_the_server_finds_the_tools_and_sees(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "shapes.png", tmp_path)
    started = StdioServerParameters(command=sys.executable, args=["-m", "pipelines", "mcp", str(tmp_path)], cwd=ROOT)

    async def use() -> tuple[Any, Any, Any]:
        async with Client(started) as client:
            listed = await client.list_tools()
            return (
                client.instructions,
                listed,
                await client.call_tool("detect", {"file": "shapes.png", "what": "red circle"}),
            )

    instructions, listed, told = asyncio.run(use())
    assert str(tmp_path) in instructions
    assert [tool.name for tool in listed.tools] == TOOLS
    assert set(listed.tools[0].output_schema["properties"]) == set(Told.__annotations__)
    assert "context" not in listed.tools[0].input_schema["properties"]
    assert not told.is_error
    assert [region["label"] for region in told.structured_content["regions"]] == ["red circle", "red circle"]


def test_every_tool_answers(model: Model) -> None:
    asked, point, spans, described, read, models = used(
        model,
        calling("ask", question="How many red shapes are there?", files=["shapes.png"]),
        calling("point", file="shapes.png", what="blue square"),
        calling("events", file="newcomer.mp4", what="blue star"),
        calling("describe", file=str(EXAMPLES / "garden.jpg")),
        calling("read", file="signs.png"),
        calling("models"),
    )
    assert asked.structured_content["answer"] == "There are 3 red shapes."
    assert json.loads(asked.content[0].text)["answer"] == "There are 3 red shapes."
    assert point.structured_content["regions"][0]["point"]
    assert spans.structured_content["events"]
    assert "star" in described.structured_content["answer"]
    assert read.structured_content["finish_reason"] == "stop"
    assert models.structured_content["result"][0]["name"] == "demo"


@pytest.mark.parametrize(
    ("tool", "values", "sentence"),
    [
        ("describe", {"file": "../../app.py"}, "may not be read"),
        ("describe", {"file": "/etc/passwd"}, "may not be read"),
        ("describe", {"file": "http://example.com/a.png"}, "is an address"),
        ("describe", {"file": "none.png"}, 'There is no file "none.png"'),
        ("describe", {"file": "a\0b.png"}, "no name of a file"),
        ("describe", {"file": "a" * 5_000}, "no name of a file"),
        ("ask", {"question": "What is in this picture?"}, "none is given"),
        ("detect", {"file": "shapes.png", "what": " "}, "Nothing is named"),
        ("events", {"file": "shapes.png"}, "send a clip"),
        ("detect", {"file": 7}, 'cannot be called so: "file" has to be a path as text, "what" is missing.'),
        ("ask", {"question": "What?", "files": "shapes.png"}, '"files" has to be a list of paths.'),
        ("ask", {"question": "What?", "files": [7, 8]}, '"files" has to be a list of paths.'),
        ("read", {"file": "shapes.png", "thinking": "maybe"}, '"thinking" has to be true or false.'),
    ],
)
def test_what_is_wrong_is_one_sentence(tool: str, values: dict[str, Any], sentence: str, model: Model) -> None:
    [told] = used(model, calling(tool, **values))
    assert told.is_error
    assert sentence in told.content[0].text
    assert "Traceback" not in told.content[0].text
    assert "pydantic" not in told.content[0].text


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, model: Model) -> None:
    (tmp_path / "out.png").symlink_to(EXAMPLES / "shapes.png")

    async def use() -> Any:
        async with Client(server(Tools(model), Sandbox([tmp_path]))) as client:
            return await client.call_tool("describe", {"file": "out.png"})

    assert "may not be read" in asyncio.run(use()).content[0].text


def test_a_ring_of_links_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ring.png").symlink_to(tmp_path / "ring.png")
    with pytest.raises(UserError, match="no name of a file"):
        Sandbox([tmp_path]).path("ring.png")


def test_progress_is_told_and_a_call_that_is_cancelled_stops_its_answer() -> None:
    engine = ScriptedEngine("Let me look. " * 500 + "</think>A.", Checkpoint.open(DEMO_FOLDER), token_delay_s=0.01)

    async def use() -> list[str | None]:
        seen: list[str | None] = []
        async with Client(server(Tools(Model(engine=engine)), Sandbox([EXAMPLES]))) as client:
            with anyio.CancelScope() as scope:

                async def note(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001
                    seen.append(message)
                    if message == "thinking":
                        scope.cancel()

                await client.call_tool("ask", {"question": "Hello"}, progress_callback=note)
            with anyio.fail_after(30):
                while engine.num_running:
                    await anyio.sleep(0.01)
        return seen

    assert asyncio.run(use())[-1] == "thinking"


def test_progress_is_more_each_time_it_is_told() -> None:
    """It was how much was written, which said the same again where nothing came for a while."""
    engine = ScriptedEngine("So.</think>A circle.", Checkpoint.open(DEMO_FOLDER), token_delay_s=0.25)
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001
        seen.append(progress)

    async def use() -> None:
        async with Client(server(Tools(Model(engine=engine)), Sandbox([EXAMPLES]))) as client:
            await client.call_tool("ask", {"question": "Hello"}, progress_callback=note)

    asyncio.run(use())
    assert len(seen) > 1
    assert all(before < after for before, after in pairwise(seen))


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is ended in other ways")
def test_an_interrupt_ends_the_server_whose_stdin_stays_open() -> None:
    """It waited for a next line to come, so that a person at a terminal could not end it."""
    command = [sys.executable, "-m", "pipelines", "mcp", str(EXAMPLES)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdin is not None
            assert run.stdout is not None
            print(json.dumps(BEGIN), file=run.stdin, flush=True)
            assert json.loads(run.stdout.readline())["id"] == 1
            run.send_signal(signal.SIGINT)
            assert run.wait(30) == -signal.SIGINT
        finally:
            run.kill()


def test_a_request_that_cannot_be_read_is_refused_and_the_next_one_answered() -> None:
    """The package gave it no answer at all, so that its agent waited for ever."""
    call = '{"jsonrpc": "2.0", "id": %s, "method": "tools/call", "params": %s}'
    params = '{"name": "describe", "arguments": {"file": %s}}'
    refused = {
        "2": call % (2, params % r'"\ud800"'),
        "3": call % (3, params % ("[" * 300 + "]" * 300)),
        '"four"': call % ('"four"', "[]"),
    }
    silent = [call % (r'"\ud800"', "[]"), call % ("true", "[]"), call % ("[" * 300 + "]" * 300, "{}"), "{", "[1]", "{}"]
    ping = '{"jsonrpc": "2.0", "id": 5, "method": "ping"}'
    command = [sys.executable, "-m", "pipelines", "mcp", str(EXAMPLES)]
    lines = [json.dumps(BEGIN), *refused.values(), *silent, ping]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdin is not None
            assert run.stdout is not None
            print("\n".join(lines), file=run.stdin, flush=True)
            told = {
                json.dumps(answer["id"]): answer for answer in (json.loads(run.stdout.readline()) for _ in range(5))
            }
            assert run.communicate(timeout=60)[0] == ""
        finally:
            run.kill()
    assert run.returncode == 0
    assert set(told) == {"1", *refused, "5"}
    assert told["5"]["result"] == {}
    assert all("cannot be read" in told[asked]["error"]["message"] for asked in refused)


def test_an_agent_that_ended_leaves_no_traceback() -> None:
    """The answer that nobody read any more came to pages of them."""
    command = [sys.executable, "-m", "pipelines", "mcp", str(EXAMPLES)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as run:
        try:
            assert run.stdin is not None
            assert run.stdout is not None
            assert run.stderr is not None
            print(json.dumps(BEGIN), file=run.stdin, flush=True)
            assert json.loads(run.stdout.readline())["id"] == 1
            run.stdout.close()
            print('{"jsonrpc": "2.0", "id": 2, "method": "ping"}', file=run.stdin, flush=True)
            run.stdin.close()
            assert "Traceback" not in run.stderr.read()
            assert run.wait(60) == 0
        finally:
            run.kill()


def test_without_its_package_one_sentence_says_what_to_install() -> None:
    code = "import sys; sys.modules['mcp'] = None; from pipelines.__main__ import main; sys.exit(main(['mcp', '.']))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "requirements-mcp.txt" in run.stderr.splitlines()[-1]


def test_a_folder_that_is_not_there_is_one_sentence_before_a_model_is_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    for folder in (tmp_path / "nowhere", tmp_path / "ring"):
        assert main(["mcp", str(folder), "--model", str(tmp_path)]) == 2  # which is none
        assert f'no folder "{folder.name}"' in capsys.readouterr().err
