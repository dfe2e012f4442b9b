"""A server for tests that speaks OpenAI's chat completions in the dialect that it is given, and notes what it is asked.

The forms are those of vLLM, SGLang, llama.cpp, DeepSeek and transformers, as their sources and threads show them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipelines.engine.remote.engine import RemoteEngine
from pipelines.run import answer
from pipelines.types import Request, Result, Settings

Chunk = dict[str, Any]
HELD = {"held": True}
"""In the place of a chunk: the server goes on working and sends nothing, until the client has left."""
CUT = {"cut": True}
"""In the place of a chunk: the server dies."""


@dataclass(frozen=True)
class Refusal:
    """A status with its body, in the place of a reply or of the list of models."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """A reply, chunk by chunk; DeepSeek, vLLM, SGLang and llama.cpp end it with a line of their own.

    Bytes in the place of a chunk are sent as they are.
    """

    chunks: Sequence[Chunk | bytes]
    is_ended: bool = True


Answer = Refusal | Stream
Chosen = Callable[[dict[str, Any]], Answer]
"""In the place of an answer: what chooses one by what is asked."""


def delta(fields: dict[str, Any], finish_reason: str | None = None, **extra: Any) -> Chunk:
    """A chunk with these fields in its delta."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish_reason, **extra}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def usage(prompt: int, reply: int, **details: Any) -> Chunk:
    """The chunk with what was used, behind the last one of the reply."""
    counted = {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply, **details}
    return {**delta({}), "choices": [], "usage": counted}


def said(*pieces: str, name: str = "content") -> list[Chunk]:
    """Text under one name, in pieces, then a stop."""
    return [*(delta({name: piece}) for piece in pieces), delta({}, "stop")]


class DialectServer:
    """Gives its answers in turn, the last one again and again."""

    def __init__(self, models: Sequence[dict[str, Any]], answers: Sequence[Answer | Chosen]) -> None:
        self.models, self.answers = list(models), list(answers)
        self.asked: list[dict[str, Any]] = []
        self.queries: list[str] = []
        self.left = threading.Event()
        self.info: dict[str, Any] = {}
        self.listing: Refusal | None = None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def host(self) -> str:
        """Its address as a person is told it."""
        return f"127.0.0.1:{self._server.server_port}"

    def next_answer(self, body: dict[str, Any]) -> Answer:
        """Note what is asked, and take the answer to it."""
        with self._lock:
            self.asked.append(body)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(body) if callable(answer) else answer

    def run(self) -> None:
        """Serve until it is closed."""
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """End it."""
        self.left.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self._path()
                if path == "/v1/models" and server.listing:
                    self._send(server.listing.status, server.listing.body, server.listing.headers)
                elif path == "/v1/models" and server.models:
                    self._send(200, {"object": "list", "data": server.models}, {})
                elif path == "/get_model_info" and server.info:
                    self._send(200, server.info, {})
                else:
                    self._send(404, {"detail": "Not Found"}, {})

            def do_POST(self) -> None:
                self._path()
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = server.next_answer(body)
                if isinstance(answer, Refusal):
                    self._send(answer.status, answer.body, answer.headers)
                else:
                    self._stream(answer)

            def _path(self) -> str:
                """The path that is asked for; what is asked behind it is noted."""
                path, _, query = self.path.partition("?")
                server.queries.append(query)
                return path

            def _stream(self, stream: Stream) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                try:
                    for chunk in stream.chunks:
                        if chunk is CUT:
                            return
                        if chunk is HELD:
                            self._hold()
                            return
                        self._write(chunk if isinstance(chunk, bytes) else f"data: {json.dumps(chunk)}\n\n".encode())
                    if stream.is_ended:
                        self._write(b"data: [DONE]\n\n")
                except OSError:
                    server.left.set()

            def _hold(self) -> None:
                """Send comments, which a stream may hold, until they do not arrive any more."""
                while not server.left.wait(0.02):
                    self._write(b": still working\n\n")

            def _write(self, data: bytes) -> None:
                self.wfile.write(data)
                self.wfile.flush()

            def _send(self, status: int, body: Any, headers: dict[str, str]) -> None:
                text = body if isinstance(body, str | bytes) else json.dumps(body)
                data = text.encode() if isinstance(text, str) else text
                self.send_response(status)
                for name, value in {
                    "content-type": "application/json",
                    "content-length": str(len(data)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


@contextmanager
def dialect_server(
    *answers: Answer | Chosen, owned_by: str = "", model: str = "m", **entry: Any
) -> Iterator[DialectServer]:
    """A server that runs meanwhile. `owned_by` is how its list of models tells what it is."""
    models = [{"id": model, "object": "model", "created": 1, "owned_by": owned_by, **entry}] if model else []
    server = DialectServer(models, answers)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def ask(server: DialectServer, *files: Path, timeout_s: float = 30.0, **settings: Any) -> Result:
    """The whole answer of a server to a question about files."""
    engine = RemoteEngine.connect(server.base_url, timeout_s=timeout_s)
    *_, result = answer(Request("What is it?", files, Settings(**settings)), engine)
    assert isinstance(result, Result)
    return result
