"""Times as models write them, in seconds: `3.2`, `3.2s`, `<28.2 seconds>`, `mm:ss.ff`, `hh:mm:ss`, and "a - b"."""

from __future__ import annotations

import re

_MOMENT = (
    r"<?\s{0,4}(?:(?:(?P<h#>[0-9]{1,4}):)?(?P<m#>[0-9]{1,4}):(?P<s#>[0-9]{1,4}(?:\.[0-9]{0,9})?)"
    r"|(?P<n#>[0-9]{1,9}(?:\.[0-9]{0,9})?))"
    r"\s{0,4}(?P<u#>(?:s|secs?|seconds?)(?![^\W_]))?\s{0,4}>?"
)
_ONE = re.compile(_MOMENT.replace("#", "1"))
_RANGE = re.compile(
    _MOMENT.replace("#", "1") + r"\s{0,4}(?:-{1,2}>?|–|—|~|→|to\b|until\b|and\b)\s{0,4}" + _MOMENT.replace("#", "2")
)
_BULLET = re.compile(r"[\s*•\-\[(]{0,20}(?:[0-9]{1,3}[.)]\s)?[\s*\[(]{0,20}(?:[Ff]rom\s)?")
_LEAD = re.compile(r"[\s:,.\-*–—\])]{0,20}")


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


def leading_span(line: str) -> tuple[float, float, str] | None:
    """The range that `line` begins with, and the text after it; both must be there, and the range clearly in time."""
    bullet = _BULLET.match(line)
    found = _RANGE.match(line, bullet.end() if bullet else 0)
    if not found or not (_is_clear(found, "1") or _is_clear(found, "2")):
        return None
    lead = _LEAD.match(line, found.end())
    rest = line[lead.end() if lead else found.end() :].strip()
    return (*_span(found), rest) if rest else None


def _is_clear(found: re.Match[str], which: str) -> bool:
    return bool(found["m" + which] or found["u" + which])


def _span(found: re.Match[str]) -> tuple[float, float]:
    start, end = sorted((_seconds(found, "1"), _seconds(found, "2")))
    return start, end


def _seconds(found: re.Match[str], which: str) -> float:
    if number := found["n" + which]:
        return float(number)
    return int(found["h" + which] or 0) * 3600 + int(found["m" + which]) * 60 + float(found["s" + which])
