"""Requests that are made to do harm, sent to a running page: `make attack`.

Names, origins and methods; paths and addresses in the place of uploads, in every endpoint and every component; floods;
forged sessions and events; and, in this process, control tokens, Markdown, HTML and labels. The run fails where
anything outside was reached, a canary was read, one visitor saw what is another's, a message names a folder of the
server, a response lacks a header of security, or the server did not stay as it was.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import random
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hostile.clips import PLAYLISTS
from tests.hostile.sender import CANARY, TIMEOUT_S, Report, Sender, of_session, upload
from tests.hostile.tab import Tab
from tests.hostile.texts import control_ids_in_questions, harmful_answers, harmful_labels
from tests.page_server import OUTGOING, ROOT, PageServer

SECRET = "secret-of-another-visitor-71ab"
HOSTS = ("{own}", "localhost", "evil.example", "127.0.0.1.evil.example", "evil.example:80", "[::1].evil.example")
ORIGINS = (None, "{scheme}", "http://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil.example")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UPLOAD = "gradio_api/upload"
TRAVERSALS = (
    "{canary}", "../../../../..{canary}", "/..{canary}", "%2e%2e/%2e%2e{canary}", "file://{canary}", "//{canary}",
)  # fmt: skip
OUTSIDE = ("http://93.184.215.14/a.png", "https://files.example/a.png", "HTTP://files.example/a.png")
NONSENSE: tuple[object, ...] = (
    None, True, -1, 1e308, "", "x" * 10_000, [], {}, [[]] * 50, {"path": "/etc/passwd"}, {"text": 1, "files": 2},
    {"__type__": "update", "value": 1}, "\0", "../..", {"files": ["/etc/passwd"], "text": "?"},
)  # fmt: skip
MEDIA_TOOLS: dict[str, list[object]] = {
    "detect": ["circle", False], "point": ["circle", False], "events": ["circle", False], "describe": [False],
    "read": [False],
}  # fmt: skip
"""What follows the file."""
EXAMPLE = ROOT / "assets" / "examples" / "shapes.png"


def shapes_of(path: str) -> tuple[object, ...]:
    """The ways in which a path can stand in the place of what a component holds."""
    file = upload(path)
    return path, file, [file], {"text": "What is it?", "files": [file]}, {"video": file, "background": file}


class Attacker:
    """One who attacks a page: a method for each kind of attack."""

    def __init__(self, server: PageServer, canary: Path, listener: int, seed: int) -> None:
        self._sender = Sender(server)
        self.report = self._sender.report
        self._server, self._canary, self._listener = server, canary, listener
        self._rng = random.Random(seed)

    def names_and_origins(self) -> None:
        """Every `Host` with every `Origin` and method: only the page's own may change anything."""
        own = f"127.0.0.1:{self._server.port}"
        for host, origin, method in itertools.product(HOSTS, ORIGINS, METHODS):
            host, origin = host.format(own=own), origin and origin.format(scheme=f"http://{own}")
            headers = {"Host": host, **({"Origin": origin} if origin else {})}
            response = self._sender.send("host x origin x method", method, "gradio_api/queue/status", headers=headers)
            is_own = host in (own, "localhost") and (not origin or origin == f"http://{host}" or method in ("GET",))
            if not is_own and method != "OPTIONS" and response.status_code not in (403, 421):
                self.report.problems.append(f"{method} as {host} from {origin}: {response.status_code}")
            if "evil" in response.headers.get("access-control-allow-origin", ""):
                self.report.problems.append(f"{method} as {host} lets {origin} read")

    def paths(self) -> None:
        """Files of the server and addresses, where files are served, uploaded and asked about."""
        for way in TRAVERSALS:
            name = way.format(canary=self._canary)
            for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/", "gradio_api/stream/"):
                self._sender.send("paths of the server", "GET", route + name)
            self._sender.send("paths of the server", "POST", UPLOAD, files={"files": (name, b"x")})
        for outside in OUTSIDE:
            self._sender.send("addresses as files", "GET", f"gradio_api/file={outside}")
        address = f"http://127.0.0.1:{self._listener}/canary"
        names = [
            str(self._canary),
            address,
            address.replace("127.0.0.1", "0x7f.1"),
            f"file://{self._canary}",
            "/etc/passwd",
        ]
        for name in names:
            file = upload(name)
            self._sender.ask("paths as media", file)
            for tool, data in ((tool, [file, *rest]) for tool, rest in MEDIA_TOOLS.items()):
                self._sender.call("paths as media", tool, {"data": data})

    def playlists(self) -> None:
        """Clips that name other files and addresses."""
        for name, text in PLAYLISTS.items():
            body = text.replace("/etc/passwd", str(self._canary)).replace("127.0.0.1:9", f"127.0.0.1:{self._listener}")
            response = self._sender.send("playlists", "POST", UPLOAD, files={"files": (name, body.encode())})
            if response.status_code == 200:
                (path,) = response.json()
                self._sender.ask("playlists", upload(path))

    def floods(self) -> None:
        """Too many files, too long a body, and one that lies about its length."""
        many = [("files", (f"{number}.txt", b"x")) for number in range(1000)]
        for status, response in (
            (413, self._sender.send("floods", "POST", UPLOAD, files=many)),
            (413, self._sender.send("floods", "POST", "gradio_api/queue/join", content=b"x" * 9 * 2**20)),
        ):
            if response.status_code != status:
                self.report.problems.append(f"a flood was answered with {response.status_code}, not {status}")
        if (status := self._lie()) != 413:
            self.report.problems.append(f"a body said to be endless was answered with {status}")

    def _lie(self) -> int:
        """State a length of a terabyte, and send nothing."""
        self.report.sent["floods"] += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=TIMEOUT_S)
        connection.putrequest("POST", f"/{UPLOAD}")
        connection.putheader("Content-Length", str(2**40))
        connection.endheaders()
        with connection.getresponse() as response:
            return response.status

    def components(self, every: int) -> None:
        """The path of a canary in every component that a handler of the page reads, in every form, or every n-th."""
        shapes = shapes_of(str(self._canary))
        tries = ((function, place) for function in self._sender.functions for place in range(len(function["inputs"])))
        for (function, place), shape in itertools.islice(itertools.product(tries, shapes), 0, None, every):
            data: list[object] = [None] * len(function["inputs"])
            data[place] = shape
            self._sender.event("paths in components", function, data, "components")

    def events(self, count: int) -> None:
        """Every handler of the page, with data that no page sends, in sessions that are made up."""
        for number in range(count):
            function = self._sender.functions[number % len(self._sender.functions)]
            data = [self._rng.choice(NONSENSE) for _ in function["inputs"]]
            session = self._rng.choice(("", "a", "../..", "x" * 5000, f"forged{number}"))
            self._sender.event("forged events", function, data, session)

    def sessions(self) -> None:
        """What one visitor asked and uploaded is looked for by others, who guess at sessions, events and files."""
        kind, own = "forged sessions", self._canary.with_name("own.txt")
        own.write_text(SECRET)
        with Tab(self._server.address) as tab:
            uploaded = tab.upload(EXAMPLE)
            for _ in tab.ask(f"{SECRET}?", [uploaded]):
                pass
            path = Path(tab.upload(own)["path"])
            if self._sender.client.get(f"gradio_api/file={path}").text != SECRET:
                self.report.problems.append("the visitor does not see what is the visitor's own")
            folders = [path.parent, *list(path.parents)[1:3], path.parent.with_name("0" * 64) / path.name]
            for other in [*folders, path.with_name("a.txt"), Path("..") / path.name, Path(path.name)]:
                self._sender.send(kind, "GET", f"gradio_api/file={other}", SECRET)
            for guess in (tab.session[:-1], tab.session[::-1], "a", "null", "*", "%", "../" + tab.session):
                self._sender.listen(kind, f"gradio_api/call/ask/{guess}", SECRET, 1.0)
                self._sender.listen(kind, of_session(guess), SECRET, 1.0)
                for route in ("cancel", "reset"):
                    body = {"session_hash": guess, "fn_index": 0, "event_id": guess}
                    self._sender.send(kind, "POST", f"gradio_api/{route}", SECRET, json=body)
            for function in self._sender.functions:
                self._sender.event(kind, function, [None] * len(function["inputs"]), "stranger", SECRET)
        asked = self._sender.client.post("gradio_api/call/v2/ask", json={"question": f"{SECRET}?"})
        event = str(asked.json().get("event_id", ""))
        for guess in (event[:-1], event[::-1], "a", "null", "../" + event):
            self._sender.listen(kind, f"gradio_api/call/ask/{guess}", SECRET, 1.0)

    def texts(self, count: int, seed: int) -> None:
        """Control tokens in questions, Markdown and HTML in answers, labels."""
        wrong, miscounted = control_ids_in_questions(count, seed)
        bad = {"answers": harmful_answers(count, seed), "labels": harmful_labels(count, seed)}
        self.report.sent["user texts with control tokens"] += count
        self.report.sent["answers with Markdown and HTML"] += count
        self.report.sent["labels with HTML"] += count
        self.report.problems += [f"{wrong} texts with control ids, {miscounted} miscounted"] * bool(wrong or miscounted)
        self.report.problems += [f"{name}: {found[0]!r}" for name, found in bad.items() if found]

    def look_back(self, connections: list[str]) -> None:
        """The server runs on, reached nothing, and answers a plain visitor."""
        self.report.problems += [f"connection: {peer}" for peer in connections]
        self.report.problems += [line for line in self._server.drain() if OUTGOING in line]
        cached = (Path(place, name) for place, _, names in os.walk(self._server.uploads) for name in names)
        taken = [path.name for path in cached if CANARY.encode() in path.read_bytes()]
        self.report.problems += [f"a canary was taken in as {name}" for name in taken]
        if not self._server.is_running or self._sender.client.get("config").status_code != 200:
            self.report.problems.append("the server is gone")
        events = self._sender.ask("a plain question")
        if "complete" not in events:
            self.report.problems.append(f"no answer any more: {events[-300:]}")
        self._sender.client.close()


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine that nothing may connect to, and who did."""
    connections: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, peer = listener.accept()
                except OSError:
                    return
                connections.append(str(peer))
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1]), connections
        listener.shutdown(socket.SHUT_RDWR)


def run(server: PageServer, folder: Path, num_texts: int, num_events: int, seed: int, every: int = 1) -> Report:
    """All attacks on one server; of paths in components, every n-th."""
    canary = folder / "canary.txt"
    canary.write_text(CANARY)
    with listening() as (port, connections):
        attacker = Attacker(server, canary, port, seed)
        attacker.names_and_origins()
        attacker.paths()
        attacker.playlists()
        attacker.floods()
        attacker.components(every)
        attacker.events(num_events)
        attacker.sessions()
        attacker.texts(num_texts, seed)
        attacker.look_back(connections)
    return attacker.report


def main() -> int:
    """Attack a page of its own, print what was tried, and fail where anything gave way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    server = PageServer("demo", is_quiet=True)
    try:
        with tempfile.TemporaryDirectory(prefix="attack-") as folder:
            report = run(server, Path(folder), options.texts, options.events, options.seed)
    finally:
        server.close()
    print(report.table(), f"\nseed {options.seed}, problems: {len(report.problems)}")
    print(*report.problems, sep="\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
