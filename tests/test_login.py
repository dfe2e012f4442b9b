"""Signing in with Hugging Face, with a provider on this machine in the place of the hub, as a Space sets it up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from pipelines.host.login import GIVEN, SENTENCE, check_login
from pipelines.page.launch import parser
from pipelines.types import UserError
from tests.page_server import PageServer

ROOT = Path(__file__).resolve().parent.parent
CLIENT = "glassbox"
SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "me/glassbox",
    "OAUTH_CLIENT_ID": CLIENT,
    "OAUTH_CLIENT_SECRET": "s",
    "OAUTH_SCOPES": "openid",
}


@contextmanager
def provider() -> Iterator[str]:
    """The address of a server that speaks OpenID Connect as the hub does, and knows one visitor."""
    key = RSAKey.generate_key(2048, {"kid": "1"})
    nonces: dict[str, str] = {}

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = f"http://{self.headers['Host']}"
            url = urlsplit(self.path)
            if url.path == "/oauth/authorize":
                query = parse_qs(url.query)
                nonces["code"] = query["nonce"][0]
                self.send_response(302)
                self.send_header("Location", f"{query['redirect_uri'][0]}&code=code&state={query['state'][0]}")
                self.end_headers()
            elif url.path == "/jwks":
                self._tell({"keys": [key.as_dict(private=False)]})
            else:
                self._tell(
                    {
                        "issuer": where,
                        "authorization_endpoint": f"{where}/oauth/authorize",
                        "token_endpoint": f"{where}/oauth/token",
                        "jwks_uri": f"{where}/jwks",
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )

        def do_POST(self) -> None:
            now = int(time.time())
            claims = {"iss": f"http://{self.headers['Host']}", "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 600}
            claims |= {"nonce": nonces["code"], "preferred_username": "somebody", "name": "Some Body"}
            token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)
            self._tell({"access_token": "a", "token_type": "bearer", "expires_in": 600, "id_token": token})

        def _tell(self, value: dict[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def space() -> Iterator[PageServer]:
    """A page as on a Space that lets in who has signed in alone."""
    with provider() as address:
        server = PageServer(
            "demo", options=["--login", "huggingface"], environment={**SPACE, "OPENID_PROVIDER_URL": address}
        )
        yield server
        server.close()


class Browser:
    """Follows what it is told, and keeps the cookie as a browser does that was told to by HTTPS."""

    def __init__(self, address: str) -> None:
        self.cookie = ""
        self._address = address

    def get(self, url: str) -> httpx.Response:
        """What comes in the end."""
        for _ in range(6):
            response = httpx.get(urljoin(self._address, url), headers={"Cookie": self.cookie}, timeout=60)
            if "set-cookie" in response.headers:
                self.cookie = response.headers["set-cookie"].partition(";")[0]
            if not response.is_redirect:
                return response
            url = response.headers["location"]
        raise AssertionError("it goes round in a circle")


INSIDE = ("config", "gradio_api/info", "gradio_api/queue/data?session_hash=a", "gradio_api/file=/etc/passwd/logout",
          "login/huggingface/../../config", "theme.css")  # fmt: skip


def test_nobody_gets_in_who_has_not_signed_in(space: PageServer) -> None:
    browser = Browser(space.address)
    page = browser.get("/")
    assert page.status_code == 401
    assert 'href="/login/huggingface"' in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in INSIDE:
        refused = browser.get(f"/{path}")
        assert (refused.status_code, refused.text) in [(401, SENTENCE), (401, page.text)], path
    with httpx.Client(base_url=space.address) as client:
        assert client.post("gradio_api/upload", files={"files": ("a.png", b"x")}).status_code == 401
        assert client.post("gradio_api/call/ask", json={"data": []}).status_code == 401


def test_who_has_signed_in_gets_in_and_out_again(space: PageServer) -> None:
    browser = Browser(space.address)
    page = browser.get("/login/huggingface")
    assert page.status_code == 200
    assert "<gradio-app" in page.text
    assert browser.get("/config").status_code == 200
    assert browser.get("/logout").status_code == 401
    assert browser.get("/config").status_code == 401


def test_a_cookie_that_somebody_made_up_opens_nothing(space: PageServer) -> None:
    browser = Browser(space.address)
    browser.cookie = "session=eyJvYXV0aF9pbmZvIjogeyJ1c2VyaW5mbyI6IHsiYSI6IDF9fX0=.aaaaaa.bbbbbb"
    assert browser.get("/config").status_code == 401


@pytest.mark.parametrize(
    ("environment", "installed", "sentence"),
    [
        ({}, True, r"on a Space alone: elsewhere set a password in GLASSBOX_PASSWORD\.$"),
        ({"SYSTEM": "spaces", "SPACE_ID": "me/x"}, True, r'\(OAUTH_CLIENT_ID, .*missing\): put "hf_oauth: true"'),
        (
            {"SYSTEM": "spaces", "SPACE_ID": "me/x", **dict.fromkeys(GIVEN, "x")},
            False,
            r"pip install -r requirements-login\.txt\.$",
        ),
    ],
    ids=["elsewhere", "not set up", "not installed"],
)
def test_what_is_missing_is_one_sentence(environment: dict[str, str], installed: bool, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check_login(environment, lambda _: installed)


@pytest.mark.parametrize(("named", "login"), [("", "none"), ("none", "none"), ("huggingface", "huggingface")])
def test_the_environment_names_a_way_to_sign_in(named: str, login: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one let nobody in, without a word."""
    monkeypatch.setenv("GLASSBOX_LOGIN", named)
    assert parser().parse_args([]).login == login


def test_a_way_to_sign_in_that_is_not_known_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Misspelt in the environment, it was taken, and let nobody in."""
    monkeypatch.setenv("GLASSBOX_LOGIN", "hugging-face")
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("argument --login: must be none or huggingface, and so must GLASSBOX_LOGIN")


def test_elsewhere_the_page_does_not_start_and_says_why() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in SPACE}
    done = subprocess.run(
        [sys.executable, "app.py", "--login", "huggingface"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.strip().startswith("Visitors can sign in with Hugging Face on a Space alone")
