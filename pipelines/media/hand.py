"""A worker, as the server holds it: what is said to it, and what is heard of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from pipelines.media.errors import Cancelled
from pipelines.media.limits import MAX_WORKER_FILES, SILENCE_S
from pipelines.media.wire import Message, Region, receive, send

LOOK_S = 0.05
"""Between two looks at whether the caller still wants the file."""


class Died(Exception):
    """The worker ended while it read, or said what none says."""


class Spent(Died):
    """The worker ended as it had used up its processor time."""


class Silent(Exception):
    """Nothing was heard of the worker for too long."""


class Hand:
    """A worker, as the server holds it."""

    def __init__(self, number: int, connection: Connection, region: Region) -> None:
        self.number, self.region = number, region
        self.num_files = 0
        self.is_clean = True
        self._connection = connection

    @property
    def is_fit(self) -> bool:
        """Whether it waits for the next file."""
        with suppress(OSError):
            return self.is_clean and self.num_files < MAX_WORKER_FILES and not self._connection.poll()
        return False

    def send(self, *message: Any) -> None:
        """Say something. Raises Died."""
        try:
            send(self._connection, *message)
        except OSError as error:
            raise Died from error

    def hear(self, should_stop: Callable[[], bool], silence_s: float = SILENCE_S) -> Message:
        """The next message that is more than a sign of life.

        Raises Died, Silent where `silence_s` pass without any, and Cancelled by `should_stop`.
        """
        heard_s = time.monotonic()
        while True:
            if should_stop():
                raise Cancelled
            try:
                if self._connection.poll(LOOK_S):
                    message = receive(self._connection)
                    if message != ["at work"]:
                        return message
                    heard_s = time.monotonic()
            except (OSError, EOFError) as error:
                raise Died from error
            if time.monotonic() - heard_s > silence_s:
                raise Silent

    def close(self) -> None:
        """Let it go: it ends when it looks for the next order."""
        self._connection.close()
