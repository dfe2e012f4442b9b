"""One who sends requests to a page, and looks into every response for what must not be in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.page_server import ROOT, PageServer

CANARY = "canary-in-a-file-3f9c"
"""What stands in a file of the server that nobody may read."""
TIMEOUT_S = 60.0
LISTEN_S = 10.0
ENDS = ("process_completed", "close_stream", "unexpected_error")
SECURE = {
    "content-security-policy": "img-src 'self' data: blob:", "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}  # fmt: skip


def upload(name: str) -> dict[str, Any]:
    """A file as a client names it, in both of the ways that there are."""
    return {"path": name, "url": name, "meta": {"_type": "gradio.FileData"}}


def of_session(name: str) -> str:
    """Where what a session waits for is told."""
    return f"gradio_api/queue/data?session_hash={quote(name, safe='')}"


@dataclass
class Report:
    """What was sent, and what went wrong."""

    sent: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def table(self) -> str:
        """How much of each was tried, in Markdown."""
        rows = [f"| {name} | {count:,} |" for name, count in self.sent.items()]
        return "\n".join(["| attack | tries |", "|---|---|", *rows])


class Sender:
    """Sends to one server, and counts what it sends by its kind."""

    def __init__(self, server: PageServer) -> None:
        self.report = Report()
        self.client = httpx.Client(base_url=server.address, timeout=TIMEOUT_S)
        self.functions: list[dict[str, Any]] = self.client.get("config").json()["dependencies"]
        self._uploads = server.uploads

    def ask(self, kind: str, *files: dict[str, Any]) -> str:
        """Ask about files; all that comes back."""
        return self.call(kind, "ask", {"question": "What is a circle?", "files": files}, "v2/")

    def call(self, kind: str, tool: str, body: dict[str, Any], version: str = "") -> str:
        """Ask as a program does; all that comes back."""
        begun = self.send(kind, "POST", f"gradio_api/call/{version}{tool}", json=body)
        if begun.status_code != 200 or "event_id" not in begun.text:
            return begun.text
        return self.send(kind, "GET", f"gradio_api/call/{tool}/{begun.json()['event_id']}").text

    def event(
        self, kind: str, function: dict[str, Any], data: list[object], session: str, forbidden: str = CANARY
    ) -> str:
        """Send an event, and read all that comes of it."""
        body = {"fn_index": function["id"], "data": data, "session_hash": session, "event_data": {"index": 10**9}}
        if not function["queue"]:
            return self.send(kind, "POST", "gradio_api/run/predict", forbidden, json=body).text
        if self.send(kind, "POST", "gradio_api/queue/join", forbidden, json=body).status_code != 200:
            return ""
        return self.listen(kind, of_session(session), forbidden) if session else ""  # nothing is sent to no name

    def listen(self, kind: str, path: str, forbidden: str, max_s: float = LISTEN_S) -> str:
        """What comes on a stream until an event has ended, or nothing comes for a while."""
        self.report.sent[kind] += 1
        told = ""
        try:
            with self.client.stream("GET", path, timeout=max_s) as stream:
                for line in stream.iter_lines():
                    told += line
                    if any(f'"msg":"{end}"' in line for end in ENDS):
                        break
                self._look_into(kind, f"GET {path}", forbidden, stream, told)
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError):
            pass  # nothing more comes, or the server ends the stream of a session that it does not know
        return told

    def send(self, kind: str, method: str, path: str, forbidden: str = CANARY, /, **more: Any) -> httpx.Response:
        """Send a request, and look into what comes back."""
        self.report.sent[kind] += 1
        try:
            response = self.client.request(method, path, **more)
        except (httpx.NetworkError, httpx.RemoteProtocolError):  # cut off: a body that is refused, an event not known
            return httpx.Response(413)
        except httpx.HTTPError as error:
            self.report.problems.append(f"{kind}: {method} {path[:80]}: {error!r}")
            return httpx.Response(599)
        self._look_into(kind, f"{method} {path}", forbidden, response, response.text)
        return response

    def _look_into(self, kind: str, request: str, forbidden: str, response: httpx.Response, text: str) -> None:
        """Note what must not be in a response."""
        what = f"{kind}: {request[:100]}"
        for word in (forbidden, CANARY, "Traceback (most recent", "root:x:"):
            if word in text:
                self.report.problems.append(f"{what} gave {word!r}")
        is_error = response.status_code >= 400 or "event: error" in text or '"success":false' in text
        folders = (str(folder) for folder in (ROOT, Path.home(), self._uploads))
        if is_error and any(folder in text for folder in folders if folder not in request):
            self.report.problems.append(f"{what} tells of a folder: {text[:300]}")
        if missing := [name for name, value in SECURE.items() if value not in response.headers.get(name, "")]:
            self.report.problems.append(f"{what} lacks {missing}")
