"""A tab of a browser without the browser: it opens the page, holds its streams, uploads, asks, and can be closed.

What follows an answer is asked for as the page does, by the list of events that the page itself gives.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import astuple
from html import unescape
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from gradio_client.utils import apply_diff

from pipelines.present.choices import Choices

API = "gradio_api/"
STATUS = re.compile(r'<p class="gb-status gb-(?P<tone>[^"]*)"[^>]*>(?P<text>[^<]*)')


class RefusedError(Exception):
    """What a visitor is told."""


class Tab:
    """One visitor's page, from its opening to its end."""

    def __init__(self, address: str, choices: Choices | None = None, timeout_s: float = 120.0) -> None:
        self.session = secrets.token_hex(8)
        self.status = ""
        self.warnings: list[str] = []
        self._choices = choices or Choices()
        self._open = ExitStack()
        self._client = self._open.enter_context(httpx.Client(base_url=address, timeout=timeout_s))
        config = self._client.get("config").json()
        self._events: list[dict[str, Any]] = config["dependencies"]
        self._values = {found["id"]: _begun(found) for found in config["components"]}
        self._open.enter_context(self._client.stream("GET", f"{API}heartbeat/{self.session}"))
        for event in self._triggered("load"):
            self._all(event)

    def __enter__(self) -> Tab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def values(self) -> list[object]:
        """What the components of the page hold."""
        return list(self._values.values())

    def close(self) -> None:
        """Close the tab, whatever it waits for."""
        self._open.close()

    def upload(self, path: Path) -> dict[str, Any]:
        """Upload a file. Raises RefusedError."""
        with path.open("rb") as file:
            response = self._client.post(f"{API}upload", files={"files": (path.name, file)})
        if response.status_code != 200:
            raise RefusedError(response.text)
        return {"path": response.json()[0], "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}

    def ask(self, question: str, files: Sequence[dict[str, Any]] = ()) -> Iterator[str]:
        """Send a question: the status line of each update that changed the chat.

        Raises RefusedError with what the page tells where it does not answer.
        """
        message = {"text": question, "files": list(files)}
        (begin,) = (event for event in self._events if event["api_name"] == "begin")
        (asking,) = (event for event in self._events if event["api_name"] == "ask_question")
        composer = begin["inputs"][0]
        self._values[composer] = message
        self._values.update(zip(asking["inputs"][2:], astuple(self._choices), strict=True))
        self._all(begin)
        self._values[composer] = message  # the page sends what was in it
        status, line = "", None
        has_begun = False
        for data in self._run(asking):
            is_first, has_begun = not has_begun, True
            line = data[1] if is_first else apply_diff(line, data[1])
            if not isinstance(line, str):  # it stays as it is
                continue
            status = line
            if data[0] and not (is_first and len(data[0]) < 2):
                yield self._told(status)
        self.status = self._told(status)
        for after in self._after(asking):
            self._all(after)
        if (found := STATUS.match(status)) and found["tone"] == "error":
            raise RefusedError(self.status)

    def _told(self, status: str) -> str:
        found = STATUS.match(status)
        return unescape(found["text"]) if found else status

    def _triggered(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self._events if any(name == kind for _, name in event["targets"])]

    def _after(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        return [found for found in self._events if found["trigger_after"] == event["id"]]

    def _all(self, event: dict[str, Any]) -> None:
        """Run an event to its end, and all but the answer that follow it."""
        for data in self._run(event):
            for component, value in zip(event["outputs"], data, strict=False):
                if not _is_update(value):
                    self._values[component] = value
                elif "value" in value:
                    self._values[component] = value["value"]
        for after in self._after(event):
            if after["api_name"] != "ask_question":
                self._all(after)

    def _run(self, event: dict[str, Any]) -> Iterator[list[Any]]:
        """What an event gives: whole at first, then as changes. Raises RefusedError."""
        if not event["backend_fn"]:
            return
        body = {
            "fn_index": event["id"],
            "data": [self._values.get(component) for component in event["inputs"]],
            "session_hash": self.session,
        }
        if not event["queue"]:
            response = self._client.post(f"{API}run/predict", json=body)
            if response.status_code != 200:
                raise RefusedError(response.text)
            yield response.json()["data"]
            return
        joined = self._client.post(f"{API}queue/join", json=body)
        if joined.status_code != 200:
            raise RefusedError(joined.text)
        yield from self._followed(joined.json()["event_id"], is_stream=event["types"]["generator"])

    def _followed(self, event_id: str, *, is_stream: bool) -> Iterator[list[Any]]:
        with self._client.stream("GET", f"{API}queue/data?session_hash={self.session}") as stream:
            for line in stream.iter_lines():
                if not line.startswith("data: "):
                    continue
                told = json.loads(line.removeprefix("data: "))
                if told["msg"] == "unexpected_error":
                    raise RefusedError(str(told.get("message")))
                if told.get("event_id") != event_id:
                    continue
                if told["msg"] == "log":
                    self.warnings.append(told["log"])
                if told["msg"] == "process_generating" and told["success"]:
                    yield told["output"]["data"]
                if told["msg"] == "process_completed":
                    if not told["success"]:
                        raise RefusedError(str(told["output"].get("error")))
                    if not is_stream:
                        yield told["output"]["data"]
                    return
        raise RuntimeError("a stream ended without a word")


def _is_update(value: Any) -> bool:
    """Whether it changes a component, whose value stays where no other one is in it."""
    return isinstance(value, dict) and value.get("__type__") == "update"


def _begun(component: dict[str, Any]) -> Any:
    """What a component holds at the start, as a browser has it."""
    value = component["props"].get("value")
    return "" if value is None and component["type"] == "textbox" else value
