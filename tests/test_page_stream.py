"""What an answer costs on the wire: the raw event stream that the page reads, without a browser."""

from __future__ import annotations

import json
import time
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import astuple, replace
from typing import Any

from pipelines.present.choices import Choices
from tests.page_server import LONG_RATE, LONG_TOKENS, PageServer

MAX_UPDATES = 130
MAX_UPDATE_BYTES = 400
MAX_OVERHEAD = 1.1
SESSION = "stream-test"


def post(server: PageServer, path: str, body: dict[str, Any]) -> None:
    url = f"{server.address}gradio_api/{path}"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()


def stream(server: PageServer, question: str, choices: Choices) -> Iterator[tuple[dict[str, Any], int]]:
    """The events of one question as the page would get them, each with the bytes that it took on the wire."""
    with urllib.request.urlopen(f"{server.address}config", timeout=60) as response:
        dependencies = json.load(response)["dependencies"]
    (asking,) = [found for found in dependencies if found["api_name"] == "ask_question"]
    data = [{"text": question, "files": []}, None, *astuple(choices)]
    post(server, "queue/join", {"data": data, "fn_index": asking["id"], "session_hash": SESSION})
    url = f"{server.address}gradio_api/queue/data?session_hash={SESSION}"
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=60) as events:
        assert events.headers["content-encoding"] == "gzip"
        decompressor, text, num_bytes = zlib.decompressobj(zlib.MAX_WBITS | 16), b"", 0
        while chunk := events.read1():
            num_bytes += len(chunk)
            text += decompressor.decompress(chunk)
            *whole, text = text.split(b"\n\n")
            for event in whole:
                yield json.loads(event.removeprefix(b"data: ")), num_bytes
                num_bytes = 0


def test_four_thousand_tokens_come_in_few_small_updates(scripted_server: PageServer) -> None:
    """Fewer updates keep the browser free, diffs keep them small, and neither slows the engine down."""
    began_s = time.monotonic()
    sizes: list[int] = []
    for message, num_bytes in stream(scripted_server, "Hello", replace(Choices(), max_new_tokens=LONG_TOKENS)):
        if message["msg"] == "process_generating":
            sizes.append(num_bytes)
        if message["msg"] == "process_completed":
            break
    took_s = time.monotonic() - began_s
    assert message["success"], message
    print(f"{len(sizes)} updates, {sum(sizes) / len(sizes):.0f} bytes each, {took_s:.1f} s")
    assert len(sizes) <= MAX_UPDATES
    assert sum(sizes) / len(sizes) <= MAX_UPDATE_BYTES
    assert took_s <= MAX_OVERHEAD * LONG_TOKENS / LONG_RATE
