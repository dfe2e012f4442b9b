"""What a server's JSON holds, field by field: each reader is total, and takes what is of another kind for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_COUNT = 2**53
"""Beyond it, not every reader of JSON keeps a whole number as it is."""
CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\ufffd") | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): None,
}
"""A terminal obeys some of these, whoever wrote them."""


def mapping(value: object) -> Mapping[str, Any]:
    """An object of JSON, empty where there is none."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> Sequence[Any]:
    """A list of JSON, empty where there is none."""
    return value if isinstance(value, list) else ()


def count(value: object) -> int | None:
    """A number of tokens."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT else None


def number(value: object) -> float | None:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < MAX_COUNT else None  # which no NaN is


def duration_ms(value: object) -> float | None:
    """A time that something took."""
    took_ms = number(value)
    return took_ms if took_ms is not None and took_ms >= 0 else None


def text(value: object) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(value, str):
        return value
    return "".join(part["text"] for part in items(value) if isinstance(mapping(part).get("text"), str))


def clean(written: str) -> str:
    """A text that can be written anywhere: whole characters, and none that a terminal obeys.

    JSON can hold half a character, which no file and no page takes: two halves are put together.
    """
    whole = written.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.translate(CONTROLS)


def line(written: str) -> str:
    """A text that can be written anywhere, on one line."""
    return " ".join(clean(written).split())


class Cleaner:
    """Cleans a text that comes in pieces, where a character may be cut in two."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """The next piece, as far as its characters are whole."""
        written = self._half + piece
        self._half = written[-1:] if "\ud800" <= written[-1:] <= "\udbff" else ""
        return clean(written[: len(written) - len(self._half)])

    def flush(self) -> str:
        """What is left at the end."""
        half, self._half = self._half, ""
        return clean(half)
