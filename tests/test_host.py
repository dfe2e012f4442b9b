"""What stands around the page: the limits of a host, and who may send what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.host import PRIVATE_HOST, PUBLIC_HOST, Gate, Policy
from pipelines.host.asgi import address_of
from pipelines.host.compression import StreamCompression
from pipelines.host.gate import is_upload
from pipelines.host.policy import is_local, is_private, policy_of
from pipelines.types import Settings


def test_a_space_is_public_by_itself_and_knows_its_name() -> None:
    policy = policy_of(False, [], {"SPACE_ID": "me/glassbox", "SPACE_HOST": "me-glassbox.hf.space"})
    assert policy.is_public
    assert policy.trusts_proxy
    assert policy.hosts == frozenset({"me-glassbox.hf.space"})
    assert not policy_of(False, [], {}).is_public
    assert policy_of(True, [], {}).hosts is None
    assert policy_of(False, ["Box.Local"], {}).hosts == frozenset({"box.local"})


@pytest.mark.parametrize(
    ("host", "is_own"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("box.local", False)],
)
def test_an_address_that_others_reach_is_not_local(host: str, is_own: bool) -> None:
    assert is_local(host) == is_own


def test_the_name_that_a_page_listens_at_is_one_that_it_answers_to() -> None:
    private, public = (policy_of(is_public, [], {}) for is_public in (False, True))
    assert private.known_by("box").hosts == frozenset({"box"})
    assert public.known_by("box").hosts is None, "it answers to all names"
    assert is_private("localhost", private.known_by("localhost"))


def test_behind_a_proxy_a_page_is_not_its_owners_alone() -> None:
    """Visitors of the proxy had the server connect to addresses of their choice, and all conversations were kept."""
    assert is_private("127.0.0.1", policy_of(False, [], {}))
    assert not is_private("127.0.0.1", policy_of(False, [], {}, is_proxied=True))
    assert not is_private("127.0.0.1", policy_of(False, ["box.example"], {}))
    assert not is_private("127.0.0.1", policy_of(True, [], {}))
    assert not is_private("0.0.0.0", policy_of(False, [], {}))


def test_a_public_host_lowers_what_one_question_may_take_and_says_so() -> None:
    settings = Settings(max_new_tokens=8192, num_frames=500)
    lowered = PUBLIC_HOST.lowered(settings)
    assert (lowered.max_new_tokens, lowered.num_frames, lowered.max_frames) == (1024, 64, 64)
    assert PRIVATE_HOST.lowered(settings) == settings
    assert "Up to 100 MB a file, deleted within the hour." in PUBLIC_HOST.told
    assert "1,024 new tokens and 64 frames" in PUBLIC_HOST.told
    assert PRIVATE_HOST.told == "Up to 512 MB a file."


class Sent:
    """What a gate answers to a request."""

    def __init__(
        self,
        tmp_path: Path,
        policy: Policy = PRIVATE_HOST,
        *,
        path: str = "/gradio_api/queue/join",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        bodies: Iterable[bytes] = (b"{}",),
        gate: Gate | None = None,
        address: str = "9.9.9.9",
    ) -> None:
        self.reached = False
        self.gate = gate or Gate(self._application, lambda: policy, lambda: tmp_path)
        self.gate._app = self._application
        self.messages: list[Any] = []
        given = {"host": "localhost", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(key.encode(), value.encode()) for key, value in given.items()],
            "client": (address, 1),
        }
        pieces = iter(bodies)

        async def receive() -> dict[str, Any]:
            body = next(pieces, None)
            return {"type": "http.request", "body": body or b"", "more_body": body is not None}

        async def send(message: Any) -> None:
            self.messages.append(message)

        asyncio.run(self.gate(scope, receive, send))

    async def _application(self, _scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        self.reached = True
        await send({"type": "http.response.start", "status": 200, "headers": []})

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost:7860", True),
        ("127.0.0.1:7860", True),
        ("[::1]:7860", True),
        ("192.168.1.7", True),
        ("box.local", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("[::1].evil.example", False),
        ("evil.example@localhost", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_known_names_are_answered(host: str, is_known: bool, method: str, tmp_path: Path) -> None:
    """A name of a stranger that is pointed at this machine would let their page read what is here."""
    policy = replace(PRIVATE_HOST, hosts=frozenset({"box.local"}))
    sent = Sent(tmp_path, policy, method=method, headers={"host": host})
    assert sent.status == (200 if is_known else 421)
    assert sent.reached == is_known


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"origin": "http://localhost"}, True),
        ({"origin": "http://LOCALHOST"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://localhost:9999"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://["}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({}, True),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_of_other_sites_change_nothing(
    headers: dict[str, str], is_own: bool, method: str, tmp_path: Path
) -> None:
    sent = Sent(tmp_path, method=method, headers=headers)
    assert sent.status == (200 if is_own else 403)
    assert sent.reached == is_own


UPLOAD = "/gradio_api/upload"
SMALL = replace(PRIVATE_HOST, max_file_bytes=1000, max_uploads_a_minute=3, quota_bytes=3_000_000, max_files_a_request=2)
FORM_BYTES = 1_000_000
PART = b'Content-Disposition: form-data; name="files"; %s\r\n\r\nx\r\n'


@pytest.mark.parametrize(
    ("headers", "bodies", "status"),
    [
        pytest.param({"content-length": str(FORM_BYTES + 1001)}, [b""], 413, id="told"),
        pytest.param({}, [b"x" * FORM_BYTES, b"x" * 1001], 413, id="not-told"),
        pytest.param({"content-length": "-5"}, [b""], 413, id="nonsense"),
        pytest.param({}, [PART % b'filename="a"' * 3], 413, id="files"),
        pytest.param({}, [PART % b"filename=a" * 3], 413, id="files-without-quotes"),
        pytest.param({}, [(PART % b"filename=a").upper() * 3], 413, id="files-in-capitals"),
        pytest.param({}, [PART + b"content-disp", b"osition:" + PART[:30], PART], 413, id="files-across-pieces"),
        pytest.param({}, [PART % b'filename="a"' * 2], 200, id="fine"),
    ],
)
def test_uploads_are_bounded(headers: dict[str, str], bodies: list[bytes], status: int, tmp_path: Path) -> None:
    sent = Sent(tmp_path, SMALL, path=UPLOAD, headers=headers, bodies=bodies)
    assert sent.status == status
    assert sent.reached == (status == 200)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://93.184.215.14/a.png",
        "/gradio_api/file=HTTPS://files.example/a.png",
        "/gradio_api/file/https://files.example/a.png",
        "/gradio_api/proxy=https://me-glassbox.hf.space/config",
        "/gradio_api/process_recording",
        "/gradio_api/component_server/",
        "/gradio_api/custom_component/a/client/b/c",
        "/gradio_api/deep_link",
        "/gradio_api/vibe-edit",
        "/monitoring/summary",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_doors_of_the_framework_that_the_page_does_not_use_are_shut(path: str, method: str, tmp_path: Path) -> None:
    """The server fetched what a visitor named as a file, and let ffmpeg, where there is one, read a recording."""
    sent = Sent(tmp_path, path=path, method=method)
    assert (sent.status, sent.reached) == (404, False)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/gradio_api/file=/tmp/gradio/0a/https:.png",
        "/gradio_api/file=/tmp/proxy=/deep_link",
        "/theme.css",
    ],
)
def test_what_the_page_uses_is_open(path: str, tmp_path: Path) -> None:
    assert Sent(tmp_path, path=path, method="GET").status == 200


def test_no_name_in_an_address_is_long(tmp_path: Path) -> None:
    """Names of streams are remembered: ten thousand of 60 KB each took 600 MB."""
    assert Sent(tmp_path, path="/gradio_api/heartbeat/" + "a" * 2048, method="GET").status == 414
    assert Sent(tmp_path, path="/gradio_api/heartbeat/" + "a" * 64, method="GET").status == 200


def test_a_question_is_bounded(tmp_path: Path) -> None:
    assert Sent(tmp_path, headers={"content-length": str(9 * 2**20)}).status == 413
    assert Sent(tmp_path, bodies=[b"x" * 2**20] * 9).status == 413


def test_one_address_uploads_so_many_times_a_minute(tmp_path: Path) -> None:
    gate = Sent(tmp_path, SMALL, path=UPLOAD).gate
    statuses = [Sent(tmp_path, SMALL, path=UPLOAD, gate=gate).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert Sent(tmp_path, SMALL, path=UPLOAD, gate=gate, address="8.8.8.8").status == 200


@pytest.mark.parametrize(
    ("path", "root_path", "brings_files"),
    [
        pytest.param(UPLOAD, "", True, id="upload"),
        pytest.param(f"{UPLOAD}/", "", True, id="slash"),
        pytest.param(f"{UPLOAD}\n", "", True, id="line-end"),
        pytest.param(f"/box{UPLOAD}", "/box", True, id="below-a-path"),
        pytest.param(UPLOAD, "/box", True, id="path-taken-away-by-a-proxy"),
        pytest.param(f"/box{UPLOAD}", "", False, id="below-no-path"),
        pytest.param("/boxes/gradio_api/upload", "/box", False, id="below-another-path"),
        pytest.param("/gradio_api/run/upload", "", False, id="run"),
        pytest.param("/gradio_api/call/v2/upload", "", False, id="call"),
        pytest.param(f"/gradio_api/api{UPLOAD}", "", False, id="twice"),
    ],
)
def test_files_come_in_by_one_door(path: str, root_path: str, brings_files: bool) -> None:
    """The framework takes a path with a line end for the same, which came past the quota."""
    assert is_upload({"path": path, "root_path": root_path}) == brings_files


def test_uploads_have_a_quota_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(bytes(2_999_990))
    assert Sent(tmp_path, SMALL, path=UPLOAD, headers={"content-length": "11"}).status == 507
    assert Sent(tmp_path, SMALL, path=UPLOAD, headers={"content-length": "10"}).status == 200


@pytest.mark.parametrize("told", [["6.6.6.6, 7.7.7.7"], ["6.6.6.6", "7.7.7.7"], ["6.6.6.6, 8.8.8.8", "7.7.7.7"]])
def test_behind_a_proxy_the_last_address_counts(told: list[str]) -> None:
    """Some proxies add to the line that the visitor sent, others a line of their own: the rest could be forged."""
    lines = [(b"x-forwarded-for", line.encode()) for line in told]
    scope = {"headers": [lines[0], (b"host", b"x"), *lines[1:]], "client": ("10.0.0.1", 1)}
    assert address_of(scope, trusts_proxy=True) == "7.7.7.7"
    assert address_of(scope, trusts_proxy=False) == "10.0.0.1"


@pytest.mark.parametrize("takes", [b"gzip, br", b"identity"])
@pytest.mark.parametrize(("kind", "is_stream"), [(b"text/event-stream; charset=utf-8", True), (b"text/html", False)])
def test_no_proxy_holds_a_stream_back(takes: bytes, kind: bytes, is_stream: bool) -> None:
    """Through nginx as it comes nothing of an answer was seen before it had ended."""
    sent: list[Any] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": b"data: 1"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"accept-encoding", takes)]}
    asyncio.run(StreamCompression(application)(scope, None, send))  # type: ignore[arg-type]
    headers = dict(sent[0]["headers"])
    assert headers.get(b"x-accel-buffering") == (b"no" if is_stream else None)
    assert (b"content-encoding" in headers) == (is_stream and takes != b"identity")
