"""The page's server without a browser: its headers, its interface for programs, and what it refuses."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.page_server import OUTGOING, PageServer

SETTINGS = ["Think", 64, 0, "By rate", 2.0, 128, "Full", "Standard"]


def call(server: PageServer, message: dict[str, Any]) -> list[tuple[str, Any]]:
    """Ask as a program would: the events of the answer, name and data."""
    body = json.dumps({"data": [message, *SETTINGS]}).encode()
    url = f"{server.address}gradio_api/call/ask"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        event_id = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{url}/{event_id}", timeout=60) as response:
        lines = response.read().decode().splitlines()
    names = [text.removeprefix("event: ") for text in lines if text.startswith("event: ")]
    values = [json.loads(text.removeprefix("data: ")) for text in lines if text.startswith("data: ")]
    return list(zip(names, values, strict=True))


def test_every_response_keeps_the_page_to_itself(scripted_server: PageServer) -> None:
    for path in ("", "gradio_api/info", "no/such/page"):
        try:
            with urllib.request.urlopen(scripted_server.address + path, timeout=60) as response:
                headers = response.headers
        except urllib.error.HTTPError as error:
            headers = error.headers
            error.close()
        assert "img-src 'self' data: blob:" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_only_asking_is_offered_to_programs(scripted_server: PageServer) -> None:
    with urllib.request.urlopen(f"{scripted_server.address}gradio_api/info", timeout=60) as response:
        assert list(json.load(response)["named_endpoints"]) == ["/ask"]


def test_a_program_gets_the_chat_as_it_grows(scripted_server: PageServer) -> None:
    *growing, (last, (chat, status)) = call(scripted_server, {"text": "Hello", "files": []})
    assert {name for name, _ in growing} <= {"generating", "heartbeat"}
    assert last == "complete"
    assert [message["role"] for message in chat] == ["user", "assistant", "assistant"]
    assert "reached its limit" in status


@pytest.mark.parametrize(
    "path", ["http://example.com/a.png", "https://127.0.0.1/a.png", "/etc/passwd", "{root}/app.py"]
)
def test_a_file_that_was_not_uploaded_is_refused(path: str, scripted_server: PageServer) -> None:
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    name, _ = call(scripted_server, {"text": "What is in this picture?", "files": [file]})[-1]
    assert name == "error"
    assert not [line for line in scripted_server.drain() if OUTGOING in line]
