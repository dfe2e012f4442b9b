"""The run of `make attack`, short: fewer texts and events, the same server and the same code."""

from __future__ import annotations

import socket
import time
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from pipelines.host.gate import MAX_VALUES
from tests.hostile.requests import run
from tests.hostile.tab import Tab
from tests.hostile.texts import control_ids_in_questions, harmful_answers, harmful_labels
from tests.page_server import PageServer

NUM_TEXTS, NUM_EVENTS, SEED = 300, 60, 11
SIZE = 2_000_000


def test_nothing_gives_way(page_server: PageServer, tmp_path: Path) -> None:
    report = run(page_server, tmp_path, NUM_TEXTS, NUM_EVENTS, SEED, every=11)
    assert report.problems == []
    assert report.sent.total() > 900


def test_events_of_a_session_without_a_name_end_nothing(page_server: PageServer) -> None:
    """Some of them ended the loop of the queue, and the page answered nobody any more."""
    with httpx.Client(base_url=page_server.address, timeout=60) as client:
        functions = client.get("config").json()["dependencies"]
        for function in [found for found in functions if found["queue"]] * 2:
            body = {"fn_index": function["id"], "data": [None] * len(function["inputs"]), "session_hash": ""}
            assert client.post("gradio_api/queue/join", json=body).status_code == 200
    with Tab(page_server.address) as tab:
        for _ in tab.ask("What is a circle?"):
            pass
        assert tab.status.startswith("Done")


@pytest.mark.parametrize("way", ["queue/join", "run/predict", "call/ask"])
def test_a_session_has_a_short_name(way: str, page_server: PageServer) -> None:
    """It was remembered whatever its length: 60 of 7.5 MB held 480 MB."""
    with httpx.Client(base_url=page_server.address, timeout=60) as client:
        functions = client.get("config").json()["dependencies"]
        body = {"fn_index": functions[0]["id"], "data": [], "session_hash": "a" * 129}
        refused = client.post(f"gradio_api/{way}", json=body)
    assert refused.status_code == 400
    assert "at most 128 characters" in refused.json()["detail"]


@pytest.mark.parametrize("way", ["queue/join", "run/upload", "call/ask"])
@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        pytest.param(
            b"[" * (MAX_VALUES + 1), 413, "The request holds too many values: send at most 10,000.", id="values"
        ),
        pytest.param(
            '{"data": []}'.encode("utf-16"),
            400,
            "The request is not written in UTF-8: send its JSON in UTF-8.",
            id="not UTF-8",
        ),
    ],
)
def test_a_body_that_is_refused_is_told_why(
    way: str, body: bytes, status: int, sentence: str, page_server: PageServer
) -> None:
    """The framework took the refusal for JSON that it cannot read, and said so."""
    with httpx.Client(base_url=page_server.address, timeout=60) as client:
        told = client.post(f"gradio_api/{way}", content=body, headers={"content-type": "application/json"})
    assert (told.status_code, told.text) == (status, sentence)


def test_an_upload_that_breaks_off_leaves_nothing(page_server: PageServer) -> None:
    """What had come of it lay there for a day, and counted as an upload: a few that were cancelled filled the room."""
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n"
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    sent = f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n{part}".encode() + bytes(SIZE)
    with socket.create_connection(("127.0.0.1", page_server.port)) as line:
        line.sendall(sent)
        deadline_s = time.monotonic() + 60
        while not begun(page_server):
            assert page_server.is_running
            assert time.monotonic() < deadline_s
    deadline_s = time.monotonic() + 60
    while begun(page_server):
        assert time.monotonic() < deadline_s
    page_server.holds()
    assert "starlette.requests.ClientDisconnect" not in page_server.drain(), "it is nothing to look into"


def begun(server: PageServer) -> list[Path]:
    """Uploads that are on their way."""
    return [path for path in server.uploads.glob("tmp*") if path.is_file()]


def test_what_looks_for_harm_would_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what keeps them harmless, the same texts are found."""
    monkeypatch.setattr("tests.hostile.texts.safe_markdown", lambda text: text)
    monkeypatch.setattr("pipelines.present.overlay.escape", lambda text, *_: text)
    monkeypatch.setattr(import_module("pipelines.fusion.fuse"), "neutralise", lambda message, _tokens: message)
    assert harmful_answers(50, SEED)
    assert harmful_labels(50, SEED)
    with pytest.raises(ValueError, match="same number of pictures"):
        control_ids_in_questions(50, SEED)
