"""The events of a server's stream, out of its bytes as they come.

Contract: whatever the cuts of the stream, `feed` for each piece of it and one `flush` give the same events. Only CR and
LF end a line: JSON may hold any other character that ends lines elsewhere. What is no event at all is kept in `stray`,
as far as the beginning of it: a page for people, or an error that came with the status of a success.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_EVENT_BYTES = 4 * 2**20
MAX_STRAY = 4_096
FIELDS = ("data", "event", "id", "retry")


@dataclass(frozen=True)
class SentEvent:
    """One event: its data, and what it is called where it has a name."""

    data: str
    name: str = ""


class Events:
    """Reads one stream."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._is_behind_cr = False
        self._name, self._data = "", list[str]()
        self.num_events = 0
        self.stray = ""

    @property
    def is_none(self) -> bool:
        """Whether what came is no stream of events: none of them, but a lot of something else."""
        return self.num_events == 0 and len(self.stray) >= MAX_STRAY

    def feed(self, data: bytes) -> Iterator[SentEvent]:
        """The events that end in the next bytes. Raises ValueError for one that does not end."""
        if not data:
            return
        if self._is_behind_cr:
            data = data.removeprefix(b"\n")
        self._is_behind_cr = data.endswith(b"\r")
        *ended, rest = re.split(rb"\r\n|\r|\n", data)
        for line in ended:
            yield from self._end_line(line)
        self._line += rest
        if len(self._line) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise ValueError("an event without end")

    def flush(self) -> None:
        """Take the end of the stream. An event that it cuts off is none."""
        for _ in self._end_line(b""):
            pass

    def _end_line(self, rest: bytes) -> Iterator[SentEvent]:
        line = (bytes(self._line) + rest).decode("utf-8", "replace")
        self._line.clear()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and (self._data or self._name):
            event = SentEvent("\n".join(self._data), self._name)
            self._name, self._data = "", []
            self.num_events += 1
            yield event
        elif field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field and field not in FIELDS and len(self.stray) < MAX_STRAY:
            self.stray += f"{line[:MAX_STRAY]}\n"
