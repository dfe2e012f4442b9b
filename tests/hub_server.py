"""A server for tests that gives one model as the hub does: what it holds, and its files in parts, from any byte on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "a" * 40
WEIGHTS = "more.safetensors"
"""A large file beside the model's own: what comes in pieces of 10 MB can be gone on with at a piece alone."""


class HubServer:
    """Serves the files of a folder as the model `hub_id`.

    `commit` is the newest; `breaks_at` is where it breaks off the weights, each time; `holds_at` where it pauses in
    them until it `may_go_on`; `refusals` the status and the code of the error that it gives instead of them, each time;
    `withheld` the files that it lists and does not give; `told` changes what it says of itself; `moves_to` is what its
    newest commit is once the weights were asked for.
    """

    def __init__(self, folder: Path, hub_id: str) -> None:
        self.files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
        self.files[WEIGHTS] = bytes(range(256)) * 96 * 1024
        self.hub_id = hub_id
        self.commit = COMMIT
        self.moves_to = ""
        self.told: Callable[[dict[str, Any]], object] = lambda told: told
        self.breaks_at: list[int] = []
        self.holds_at: int | None = None
        self.refusals: list[tuple[int, str]] = []
        self.withheld: set[str] = set()
        self.may_go_on = threading.Event()
        self.claimed_bytes: int | None = None
        self.is_damaged = False
        self.ranges: list[str] = []
        self.fetched: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def run(self) -> None:
        """Serve until it is closed."""
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def _answer(self) -> None:
                path = self.path.partition("?")[0]
                if path.startswith(f"/api/models/{server.hub_id}"):
                    is_list = "/tree/" in path
                    revision = path.rpartition("/")[2] if is_list or "/revision/" in path else "main"
                    known = revision in ("main", COMMIT, server.commit)
                    told = server.listing() if is_list else server.told(server.info())
                    self._json(told if known else {}, "" if known else "RevisionNotFound")
                elif path.startswith(f"/{server.hub_id}/resolve/"):
                    self._file(*unquote(path).split("/")[-2:])
                else:
                    self._json({}, "RepoNotFound")

            def _json(self, value: object, error: str, status: int = 404) -> None:
                data = json.dumps(value).encode()
                self.send_response(status if error else 200)
                if error:
                    self.send_header("X-Error-Code", error)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

            def _file(self, revision: str, name: str) -> None:
                data = None if name in server.withheld else server.files.get(name)
                if data is None:
                    self._json({}, "EntryNotFound")
                    return
                asked = self.headers.get("range", "")
                if name == WEIGHTS and self.command == "GET" and server.refusals:
                    server.ranges.append(asked)
                    status, error = server.refusals.pop(0)
                    self._json({}, error, status)
                    return
                start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
                if asked and start >= len(data):
                    server.ranges.append(asked)
                    self._json({}, "NoSuchRange", 416)
                    return
                sent = data[start:]
                self.send_response(206 if asked else 200)
                self.send_header("x-repo-commit", server.commit if revision == "main" else revision)
                self.send_header("etag", f'"{digest(data)}"')
                self.send_header("accept-ranges", "bytes")
                self.send_header("content-length", str(len(sent)))
                if asked:
                    self.send_header("content-range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.end_headers()
                if self.command != "GET":
                    return
                server.fetched.append(name)
                if name == WEIGHTS:
                    server.commit = server.moves_to or server.commit
                    server.ranges.append(asked)
                    if server.is_damaged:
                        sent = bytes(len(sent))
                    if server.breaks_at:
                        sent = sent[: server.breaks_at.pop(0)]
                        self.close_connection = True
                    if server.holds_at is not None:
                        held = max(server.holds_at - start, 0)
                        self.wfile.write(sent[:held])
                        server.may_go_on.wait()
                        sent = sent[held:]
                with suppress(OSError):  # the other side may have left
                    self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler

    def listing(self) -> list[dict[str, object]]:
        """The same files in the form of a folder's list."""
        files = [(name, data, _lfs(name, data)) for name, data in self.files.items()]
        return [
            {"type": "file", "path": name, "size": len(data), "oid": digest(data)[:40]}
            | ({"lfs": {**lfs, "oid": lfs["sha256"]}} if lfs else {})
            for name, data, lfs in files
        ]

    def info(self) -> dict[str, Any]:
        """What the hub's interface says of the model."""
        siblings = [
            {
                "rfilename": name,
                "size": self.claimed_bytes or len(data),
                "blobId": digest(data)[:40],
                "lfs": _lfs(name, data),
            }
            for name, data in self.files.items()
        ]
        return {"id": self.hub_id, "modelId": self.hub_id, "sha": self.commit, "private": False, "siblings": siblings}


def digest(data: bytes) -> str:
    """SHA-256, by which the hub knows large files."""
    return hashlib.sha256(data).hexdigest()


def _lfs(name: str, data: bytes) -> dict[str, object] | None:
    return {"sha256": digest(data), "size": len(data), "pointerSize": 130} if name == WEIGHTS else None


@contextmanager
def hub_server(folder: Path, hub_id: str) -> Iterator[HubServer]:
    """A server that runs meanwhile."""
    server = HubServer(folder, hub_id)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
