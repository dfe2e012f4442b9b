"""What a command prints: what standard output does not take is told apart from all else that may go wrong."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.types import UserError

ORDERS = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): None,
}
"""What a terminal may obey, whoever wrote it: as the escape that JSON has for it, so that JSON says the same."""

NO_TEXT = re.compile(r"[\ud800-\udfff]+")
"""What stands in a file's name for bytes that are no text."""
NO_ASCII = re.compile(r"[^\x00-\x7f]+")


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
    """Print to standard output, at once, with what a terminal obeys as text.

    Raises Unread, and UserError where the output is a file that takes no more.
    """
    try:
        print(harmless(text), end=end, flush=True)
    except OSError as error:
        _drop_rest()
        if isinstance(error, BrokenPipeError):
            raise Unread from error
        raise UserError("The output cannot be written: check the free disk space.") from error


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, whose columns are as wide as their widest cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def harmless(text: str) -> str:
    """A text in which a terminal finds no orders: what a model writes and what files are called come from anyone."""
    return text.translate(ORDERS)


def whole_json(text: str) -> str:
    """JSON of which standard output loses nothing: what it may not take is written as the escape that JSON has for it.

    An output that is not in UTF-8 gets ASCII alone: what it has of other characters, no reader of JSON would expect.
    """
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    return (NO_TEXT if is_utf8 else NO_ASCII).sub(lambda found: json.dumps(found[0])[1:-1], text)


def _drop_rest() -> None:
    """Let go of what was not taken: it would be tried again, and fail again, as the program ends."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
