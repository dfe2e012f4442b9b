"""A page for strangers: its limits are told and hold, nothing is kept, and no message names a folder of the server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import httpx
import pytest

from pipelines.checkpoint import Checkpoint
from pipelines.engine import ScriptedEngine
from pipelines.host import PUBLIC_HOST
from pipelines.models import DEMO_FOLDER
from pipelines.page.launch import password_of
from pipelines.present.choices import FAST, Choices
from pipelines.present.composer import NOT_UPLOADED
from pipelines.serving.model import Model
from pipelines.types import Request, Result, Settings, UserError
from tests.hostile.tab import RefusedError, Tab
from tests.page_server import ROOT, PageServer

EXAMPLE = ROOT / "assets" / "examples" / "shapes.png"
PASSWORD = "pass-71ab"


@pytest.fixture(scope="module")
def public_server() -> Iterator[PageServer]:
    server = PageServer("demo", options=["--public"])
    yield server
    server.close()


def test_its_limits_are_told(public_server: PageServer) -> None:
    with Tab(public_server.address, Choices(mode=FAST, max_new_tokens=4096)) as tab:
        assert any(PUBLIC_HOST.told in str(value) for value in tab.values)
        for _ in tab.ask("How many red shapes are there?", [tab.upload(EXAMPLE)]):
            pass
        assert tab.status.startswith("Done")


def test_a_reply_ends_at_its_limit_whatever_is_asked_for() -> None:
    model = Model(engine=ScriptedEngine("word " * 2 * PUBLIC_HOST.max_new_tokens, Checkpoint.open(DEMO_FOLDER)))
    model.policy = PUBLIC_HOST
    request = Request("Which words?", settings=Settings(thinking=False, max_new_tokens=4096))
    *_, last = model.answer(request, Event(), lambda _told: None, Event())
    assert isinstance(last, Result)
    assert last.finish_reason == "length"
    assert last.tokens.answer == PUBLIC_HOST.max_new_tokens


def test_a_folder_for_conversations_is_refused(tmp_path: Path) -> None:
    """It was passed over without a word, also by hosts that meant to keep them."""
    command = [sys.executable, "app.py", "--public", "--data", str(tmp_path / "data")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert run.stderr == "A public page keeps no conversations: leave out --data, or give --data none.\n"
    assert not (tmp_path / "data").exists()


def test_no_refusal_names_a_folder(public_server: PageServer, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(EXAMPLE.read_bytes()[:200])
    with Tab(public_server.address) as tab:
        stranger = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
        files = [*(tab.upload(tmp_path / name) for name in ("notes.txt", "cut.png")), stranger]
        for file in files:
            with pytest.raises(RefusedError) as refusal:
                list(tab.ask("What is it?", [file]))
            assert not any(place in str(refusal.value) for place in (str(ROOT), tempfile.gettempdir(), "/etc"))


@pytest.mark.parametrize("path", ["/home/me/shapes.png", "shapes.png", "/etc/passwd"])
def test_a_path_of_ones_own_machine_is_refused_with_a_sentence(path: str, public_server: PageServer) -> None:
    """Programs were told an error of null."""
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    with httpx.Client(base_url=public_server.address, timeout=60) as client:
        body = json.dumps({"question": "What is it?", "files": [file]})
        asked = client.post("gradio_api/call/v2/ask", content=body, headers={"Content-Type": "application/json"})
        assert NOT_UPLOADED in client.get(f"gradio_api/call/ask/{asked.json()['event_id']}").text


def test_with_a_password_nobody_gets_in_without_but_a_host_sees_that_it_is_well() -> None:
    """Its health checks asked for what only visitors get: each copy counted as ill, and was ended again and again."""
    checks = [ROOT / "spaces" / "gpu" / "Dockerfile", ROOT / "spaces" / "cluster" / "kubernetes.yaml"]
    asked = [path for file in checks for path in re.findall(r"/gradio_api/[\w-]+", file.read_text(encoding="utf-8"))]
    assert len(asked) == 4
    server = PageServer("demo", options=["--public"], environment={"GLASSBOX_PASSWORD": PASSWORD})
    try:
        with httpx.Client(base_url=server.address, timeout=60) as client:
            assert {client.get(path).status_code for path in asked} == {200}
            assert client.get("gradio_api/info").status_code == 401
            # a megabyte for each that came in was remembered for good
            assert client.post("login", data={"username": "a" * 129, "password": PASSWORD}).status_code == 400
            assert client.post("gradio_api/call/ask", json={"data": []}).status_code == 401
            assert client.post("login", data={"username": "any", "password": "other"}).status_code == 400
            assert client.post("login", data={"username": "any", "password": PASSWORD}).status_code == 200
            assert client.get("gradio_api/info").status_code == 200
    finally:
        server.close()


@pytest.mark.parametrize("password", ["", "secret\r", "\udce9"], ids=["empty", "end of a line", "no UTF-8"])
def test_a_password_that_lets_in_everyone_or_nobody_is_refused(password: str) -> None:
    """An empty one, as of a variable that was never set, was none; each try with no UTF-8 was a traceback."""
    with pytest.raises(UserError, match=r"^GLASSBOX_PASSWORD is empty, or holds what nobody can type: give another"):
        password_of({"GLASSBOX_PASSWORD": password})
    assert password_of({"GLASSBOX_PASSWORD": "pässword"}) == "pässword"
    assert password_of({}) is None
