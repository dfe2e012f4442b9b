"""Times as models write them, in seconds: `3.2`, `3.2s`, `<28.2 seconds>`, `mm:ss.ff`, `hh:mm:ss,fff`, and "a - b".

A comma is the decimal mark of a clock, as in subtitles. In a plain number it may be that or part the thousands, so
such a number is no time. Nothing goes on over the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLANKS = r"[^\S\r\n]{0,4}"
_MOMENT = (
    rf"<?{_BLANKS}(?:(?:(?P<h#>[0-9]{{1,4}}):)?(?P<m#>[0-9]{{1,4}}):"
    r"(?P<s#>[0-9]{1,4}(?:\.[0-9]{0,9}|,[0-9]{1,9}(?![0-9]|:[0-9]))?)"
    r"|(?<![0-9],)(?P<n#>[0-9]{1,9}(?:\.[0-9]{0,9})?)(?!,[0-9]))"
    rf"{_BLANKS}(?P<u#>(?:s|secs?|seconds?)(?![^\W_]))?{_BLANKS}>?"
)
_TO = rf"{_BLANKS}(?P<to>-{{1,2}}>?|–|—|~|→|to\b|until\b|till\b|and\b){_BLANKS}"
_RANGE_FORM = _MOMENT.replace("#", "1") + _TO + _MOMENT.replace("#", "2")
_ONE = re.compile(_MOMENT.replace("#", "1"))
_RANGE = re.compile(_RANGE_FORM)
# In prose a number begins where no word, number or clock goes on, and ends where none does: each is tried once.
_TOLD = re.compile(
    rf"(?<![\w.:/])(?=<{_BLANKS}[0-9]|[0-9])"
    + _MOMENT.replace("#", "1")
    + f"(?:{_TO}{_MOMENT.replace('#', '2')})?(?!\\w|[:/]\\w)"
)
BRACKETED_TIME = re.sub(r"\(\?P<[^>]+>", "(?:", rf"{_BLANKS}{_MOMENT}(?:{_TO}{_MOMENT})?\]")
"""What follows a `[` that encloses a time or a range: a way of writing it, and no list."""

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+(?=[^\s\d])")
_BULLET = re.compile(r"[\s*•\-]{0,20}(?:[0-9]{1,3}[.)]\s)?[\s*\[(]{0,20}")
_EDGE = " \t:,.;-*–—[]()<>"
_LEADING_WORD = re.compile(r"(?:^|\s)(?:from|between|at|during|in|within|of|for)\s*$", re.IGNORECASE)
_BETWEEN = re.compile(r"\bbetween\s*[\[(<]?$", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_MAX_LINE = 4000


@dataclass(frozen=True)
class ToldTime:
    """A moment or a range that stands in prose: its first character and the one behind, and its times in seconds.

    A moment has `end_s` equal to `start_s`.
    """

    start: int
    end: int
    start_s: float
    end_s: float


def seconds(text: str) -> float | None:
    """The moment that `text` is."""
    found = _ONE.fullmatch(text.strip())
    return _seconds(found, "1") if found else None


def is_clear_moment(text: str) -> bool:
    """Whether `text` is a moment by its form, and not a number that may mean anything."""
    found = _ONE.fullmatch(text.strip())
    return found is not None and _is_clear(found, "1")


def span(text: str) -> tuple[float, float] | None:
    """The range that `text` is, its ends in order."""
    found = _RANGE.fullmatch(text.strip())
    return _span(found) if found else None


def told_times(prose: str) -> Iterator[ToldTime]:
    """The moments and ranges in `prose` that are times by their form, in order."""
    at = 0
    while found := _TOLD.search(prose, at):
        at = found.end()
        if found["to"] and _is_range(found, prose):
            if _is_clear(found, "1") or _is_clear(found, "2"):
                yield ToldTime(found.start(), _end(found, "2"), *_span(found))
            continue
        at = found.start("to") if found["to"] else at
        if _is_clear(found, "1"):
            moment = _seconds(found, "1")
            yield ToldTime(found.start(), _end(found, "1"), moment, moment)


def told_spans(line: str) -> Iterator[tuple[float, float, str]]:
    """The ranges in a line of prose, each with what is said of it: the rest of its sentence."""
    for sentence in _SENTENCE_END.split(line[:_MAX_LINE]):
        spans = [told for told in told_times(sentence) if told.end_s > told.start_s]
        bullet = _BULLET.match(sentence)
        is_leading = bool(spans) and bullet is not None and spans[0].start <= bullet.end()
        for place, told in enumerate(spans):
            before = 0 if place == 0 else spans[place - 1].end
            after = spans[place + 1].start if place + 1 < len(spans) else len(sentence)
            head = "" if is_leading else _said(_LEADING_WORD.sub("", sentence[before : told.start].rstrip(_EDGE)))
            tail = _said(sentence[told.end : after]) if is_leading or len(spans) == 1 else ""
            yield told.start_s, told.end_s, " ".join(filter(None, (head, tail)))


def _said(text: str) -> str:
    """`text` less the marks at its edges; nothing where no word is left."""
    trimmed = _LEADING_WORD.sub("", text.strip(_EDGE)).strip(_EDGE)
    return trimmed if _LETTER.search(trimmed) else ""


def _end(found: re.Match[str], which: str) -> int:
    """Where a moment ends, less the blanks that its form allows behind it."""
    end = max(found.end(group + which) for group in "snu")
    if found.string[end - 1] == ".":  # of the sentence
        return end - 1
    return end + (found.string[end : end + 1] == ">")


def _is_range(found: re.Match[str], prose: str) -> bool:
    """Whether two moments are the ends of one range: joined by "and" they are so only behind "between".

    With a sign between them, a clock and a plain number are two things: "0:05 - 3 people", "Scene 2 - 0:05".
    """
    if found["to"] == "and":
        return bool(_BETWEEN.search(prose, max(0, found.start() - 12), found.start()))
    has_clock = bool(found["m1"] or found["m2"])
    return found["to"].isalpha() or not has_clock or (_is_clear(found, "1") and _is_clear(found, "2"))


def _is_clear(found: re.Match[str], which: str) -> bool:
    return bool(found["m" + which] or found["u" + which])


def _span(found: re.Match[str]) -> tuple[float, float]:
    start, end = sorted((_seconds(found, "1"), _seconds(found, "2")))
    return start, end


def _seconds(found: re.Match[str], which: str) -> float:
    if number := found["n" + which]:
        return float(number)
    return (
        int(found["h" + which] or 0) * 3600 + int(found["m" + which]) * 60 + float(found["s" + which].replace(",", "."))
    )
