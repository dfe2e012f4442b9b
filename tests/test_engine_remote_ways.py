"""The way to a server: its address, its list of models, keys, proxies, certificates, and where it sends one on to."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine.remote.engine import RemoteEngine
from pipelines.run import answer
from pipelines.types import Request, Result, UserError
from tests.dialect_server import Refusal, Stream, dialect_server, said

BLUE = Stream(said("Blue."))
PAGE = {"content-type": "text/html"}


def told(engine: RemoteEngine) -> str:
    *_, result = answer(Request("What is it?"), engine)
    assert isinstance(result, Result)
    return result.answer


@pytest.mark.parametrize(
    "listing",
    [
        pytest.param(Refusal(200, "<html>Web UI</html>", PAGE), id="a page"),
        pytest.param(Refusal(200, '{"data": ['), id="broken JSON"),
        pytest.param(Refusal(200, None), id="null"),
        pytest.param(Refusal(200, {"object": "list", "data": None}), id="no data"),
        pytest.param(Refusal(200, {"data": ["m", {"object": "model"}, {"id": 5}]}), id="entries without a name"),
        pytest.param(Refusal(500, "oops"), id="failed"),
    ],
)
def test_a_list_of_models_that_cannot_be_read_is_none(listing: Refusal) -> None:
    """Such a list was a traceback as the program began, also where the model was named."""
    with dialect_server(BLUE) as server:
        server.listing = listing
        with pytest.raises(UserError, match=r"lists no model: name one, or .* often ends in /v1\.$"):
            RemoteEngine.connect(server.base_url)
        assert told(RemoteEngine.connect(server.base_url, "m")) == "Blue."


def test_a_bare_list_of_models_is_one() -> None:
    with dialect_server(BLUE) as server:
        server.listing = Refusal(200, [{"id": "m", "owned_by": "vllm", "max_model_len": "long", "meta": 5}])
        engine = RemoteEngine.connect(server.base_url)
    assert (engine.info.model, engine.info.context_tokens) == ("m", 0)


@pytest.mark.parametrize(
    ("listing", "sentence"),
    [
        pytest.param(Refusal(401, {"error": {"message": "bad key"}}), "wants a key", id="key"),
        pytest.param(
            Refusal(503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
            r'is not ready .*: ask again in a while\. It says: "Loading model"\.$',
            id="loading",
        ),
    ],
)
def test_why_there_is_no_list_yet_is_told_where_it_is_needed(listing: Refusal, sentence: str) -> None:
    """While llama.cpp loads its model, it was said that its address is wrong."""
    with dialect_server(BLUE) as server:
        server.listing = listing
        with pytest.raises(UserError, match=sentence):
            RemoteEngine.connect(server.base_url)
        assert told(RemoteEngine.connect(server.base_url, "m")) == "Blue."


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1",
        "http://127.0.0.1:abc/v1",
        "http://127.0.0.1:80000/v1",
        "http://127.0.0.1:-5/v1",
        "http://127.0.0.1:0/v1",
        "http://127.0.0.1:1\n/v1",
        "http://a b/v1",
        "http://\ud800/v1",
        f"http://{'a' * 300}/v1",
        "http://.../v1",
    ],
)
def test_what_cannot_be_an_address_is_told(address: str) -> None:
    with pytest.raises(UserError, match="is no address of a server") as caught:
        RemoteEngine.connect(address, "m")
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        pytest.param("OPENAI_API_KEY", "sk-…", "^OPENAI_API_KEY, or another .* copy it anew", id="key"),
        pytest.param("OPENAI_ORG_ID", "ä", "^OPENAI_API_KEY, or another .* copy it anew", id="organization"),
        pytest.param("ALL_PROXY", "nowhere://x", "proxy.* put .*ALL_PROXY.* right", id="proxy"),
        pytest.param("SSL_CERT_FILE", "/nonexistent", "certificates.* put .*SSL_CERT_FILE.* right", id="certificates"),
    ],
)
def test_a_setting_of_no_use_is_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with dialect_server(BLUE) as server, pytest.raises(UserError, match=sentence):
        RemoteEngine.connect(server.base_url, "m")


def test_a_key_may_end_in_a_line_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that is read from a file. It was "No server answers"."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")
    with dialect_server(BLUE) as server:
        assert told(RemoteEngine.connect(server.base_url)) == "Blue."


def test_what_stands_behind_a_question_mark_in_the_address_stays_there() -> None:
    """The paths were written behind it: a server was asked for `/v1/?api-version=1models`."""
    with dialect_server(BLUE) as server:
        assert told(RemoteEngine.connect(f"{server.base_url}?api-version=1&tag=a%2Bb")) == "Blue."
    assert server.queries == ["api-version=1&tag=a%2Bb"] * 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_question_that_is_sent_on_stays_one(status: int) -> None:
    with dialect_server(BLUE) as there:
        moved = Refusal(status, "", {"location": f"{there.base_url}/chat/completions"})
        with dialect_server(moved) as server:
            assert told(RemoteEngine.connect(server.base_url)) == "Blue."
    assert len(there.asked) == 1


def test_a_question_that_is_sent_on_without_end_is_told_as_a_wrong_address() -> None:
    """It was "No server answers": one answers, again and again."""
    with dialect_server(Refusal(307, "", {"location": "/v1/chat/completions"})) as server:
        engine = RemoteEngine.connect(server.base_url)
        with pytest.raises(UserError, match="answered with no stream: put its address right"):
            told(engine)


@contextmanager
def unknown_to_all(folder: Path) -> Iterator[int]:
    """The port of a server whose certificate nobody else has signed."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake() -> None:
            connection, _ = listener.accept()
            with connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=shake, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="nothing here makes a certificate")
def test_a_certificate_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    with unknown_to_all(tmp_path) as port, pytest.raises(UserError, match=r"^The certificate of .* is not trusted"):
        RemoteEngine.connect(f"https://127.0.0.1:{port}/v1", "m")


def test_a_server_that_lets_nobody_in_is_told_as_none() -> None:
    """It was "silent for 300 s", after the ten seconds that a connection may take."""
    with ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            before = sockets.enter_context(socket.socket())
            before.setblocking(False)
            before.connect_ex(full.getsockname())
        with pytest.raises(UserError, match=r"^No server answers at 127"):
            RemoteEngine.connect(f"http://127.0.0.1:{full.getsockname()[1]}/v1", "m", timeout_s=0.5)


def test_a_server_without_tls_is_told() -> None:
    with dialect_server(BLUE) as server, pytest.raises(UserError, match="No secure connection"):
        RemoteEngine.connect(server.base_url.replace("http:", "https:"), "m")


def test_an_error_without_end_is_left() -> None:
    """Its body was read on and on: 722 MB in two seconds."""
    long: Any = Refusal(500, "x" * 2**20, {"content-length": str(2**40)})
    with dialect_server(long) as server, pytest.raises(UserError, match="failed"):
        told(RemoteEngine.connect(server.base_url, timeout_s=20))
