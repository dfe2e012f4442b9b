"""What a command prints: what standard output does not take is told apart from all else that may go wrong."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path

from pipelines.types import UserError


class Unread(Exception):
    """Who read the output has gone, as `head` does once it has enough."""


def open_streams() -> None:
    """Have both streams be there and take any character: a shell may have closed one, a locale may know few."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we run
        elif name == "stdout" and isinstance(stream, io.TextIOWrapper):  # stderr does by itself
            stream.reconfigure(errors="replace")


def say(text: str, end: str = "\n") -> None:
    """Print to standard output, at once.

    Raises Unread, and UserError where the output is a file that takes no more.
    """
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        _drop_rest()
        if isinstance(error, BrokenPipeError):
            raise Unread from error
        raise UserError("The output cannot be written: check the free disk space.") from error


def _drop_rest() -> None:
    """Let go of what was not taken: it would be tried again, and fail again, as the program ends."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
