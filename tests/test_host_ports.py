"""Ports and names that the page cannot have: each is one sentence with its cause."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from pipelines.commands.doctor import port_finding
from pipelines.host.policy import is_local
from pipelines.host.ports import obstacle, told
from pipelines.page.launch import parser, telling_of_port
from pipelines.types import UserError
from tests.page_server import ROOT, PageServer

LOCAL = "127.0.0.1"
ELSEWHERE, MANY = "192.0.2.1", "224.0.0.1"
"""An address for documents, which no machine has, and one of all machines of a network at once."""

SECOND = "127.0.0.2"
needs_second = pytest.mark.skipif(obstacle(SECOND, 0) is not None, reason="a machine with one address of its own")
needs_ipv6 = pytest.mark.skipif(obstacle("::1", 0) is not None, reason="a machine without IPv6")


@pytest.mark.parametrize("option", ["--port", "--metrics-port"])
@pytest.mark.parametrize("number", ["70000", "-1", "0"])
def test_a_number_of_no_port_is_refused_before_anything_is_loaded(
    option: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was a traceback, after the model was loaded: of 0 too, at which the page asked itself."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([option, number])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"argument {option}: must be a number from 1 to 65535")


@pytest.mark.parametrize("name", ["box.example:8080", "https://box.example", "box.example/", "bücher.example", ""])
def test_a_name_that_no_request_has_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It was taken, and whoever then asked for the page by that name was told to start it with --allow-host."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--allow-host", name])
    assert ended.value.code == 2
    assert "argument --allow-host: must be a name alone, as box.example" in capsys.readouterr().err
    assert parser().parse_args(["--allow-host", "my_box-2.example"]).allow_host == ["my_box-2.example"]


def start(tmp_path: Path, host: str, port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "app.py", "--host", host, "--port", str(port), "--data", "none"]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_port_where_something_listens_is_told_as_taken(tmp_path: Path) -> None:
    with socket.create_server((LOCAL, 0)) as server:
        port = server.getsockname()[1]
        run = start(tmp_path, LOCAL, port)
    assert run.returncode == 2
    sentence = f"Port {port} of {LOCAL} is taken: end what listens there, or choose another with --host or --port."
    assert run.stderr.splitlines()[-1] == sentence


@needs_second
def test_what_listens_at_another_address_is_told_with_that_address() -> None:
    """The page's own was told as taken, where nothing listened, and the doctor had found the port free."""
    with socket.create_server((LOCAL, 0)) as server:
        port = server.getsockname()[1]
        sentence = f"Port {port} of {LOCAL} is taken: end what listens there"
        assert port_finding(SECOND, port).wrong.startswith(sentence)
        with pytest.raises(UserError, match=sentence), telling_of_port(SECOND, port):
            raise OSError
    assert not port_finding(SECOND, port).wrong


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        pytest.param(ELSEWHERE, "Port {port} of {address} cannot be opened (", id="another machine's"),
        pytest.param(MANY, "This machine cannot reach the page at {address} (", id="many machines'"),
    ],
)
def test_an_address_that_serves_no_page_is_told_as_such(address: str, sentence: str, tmp_path: Path) -> None:
    """The one was told as a taken port, the other was a traceback: it can be opened, and the page asks itself there."""
    with socket.create_server((LOCAL, 0)) as server:
        free = server.getsockname()[1]
    run = start(tmp_path, address, free)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith(sentence.format(port=free, address=address))


def test_a_port_without_the_right_to_it_is_told_in_the_words_of_the_system() -> None:
    sentence = told(PermissionError(13, "Permission denied"), LOCAL, 80, "--port")
    assert sentence == f"Port 80 of {LOCAL} cannot be opened (Permission denied): choose another with --port."


@pytest.mark.parametrize("text", ["[::1]", "::1", "LOCALHOST"])
def test_an_address_may_stand_in_brackets_and_a_name_in_capitals(text: str) -> None:
    assert is_local(parser().parse_args(["--host", text]).host)


@pytest.mark.parametrize(
    ("options", "environment", "name"),
    [
        pytest.param([], {"GRADIO_SERVER_NAME": "[::1]"}, "[::1]", marks=needs_ipv6, id="IPv6"),
        pytest.param(["--host", "127.1"], {}, "127.1", id="a name"),
    ],
)
def test_the_page_starts_at_an_address_of_ipv6_and_at_a_name(
    options: list[str], environment: dict[str, str], name: str
) -> None:
    """Gradio asks the page itself there: without brackets that was no address, and the name was turned away."""
    server = PageServer("demo", options=options, environment=environment)
    try:
        assert server.address == f"http://{name}:{server.port}/"
        assert httpx.get(server.address).status_code == 200
    finally:
        server.close()
