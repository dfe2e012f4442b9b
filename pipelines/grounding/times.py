"""Times as models write them, in seconds: `3.2`, `3.2s`, `<28.2 seconds>`, `mm:ss.ff`, `hh:mm:ss,fff`, and "a - b".

Units and what joins two times are also read in the other languages of the page: "3 bis 5 Sekunden", "从3秒到5秒".

A comma is the decimal mark of a clock, as in subtitles. In a plain number it may be that or part the thousands, so
such a number is no time. Nothing goes on over the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

UNSPACED = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)
"""Letters of languages that do not part words, or not names from what follows them: Chinese, Japanese, Korean."""
_WORD = rf"[^\W{UNSPACED}]"
_BLANKS = r"[^\S\r\n]{0,4}"
_UNIT = rf"(?:(?:s|[Ss]e[ck]s?|seconds?|Sekunden?|secondes?|segundos?)(?!{_WORD})|秒[钟鐘間间]?)"
_MINUTES = rf"(?:(?:m|[Mm]ins?|minutes?|Minuten?|minutos?)(?![^\W\d_{UNSPACED}])|分[钟鐘]?)"
_HOURS = rf"(?:(?:hours?|hrs?|h|Stunden?|heures?|horas?)(?!{_WORD})|小时|時間)"
_MOMENT = (
    rf"<?{_BLANKS}(?:(?:(?P<h#>[0-9]{{1,4}}):)?(?P<m#>[0-9]{{1,4}}):"
    r"(?P<s#>[0-9]{1,4}(?:\.[0-9]{0,9}|,[0-9]{1,9}(?![0-9]|:[0-9]))?)"
    rf"|(?P<k#>[0-9]{{1,4}}){_BLANKS}{_MINUTES}{_BLANKS}(?:(?:and|und|et|y)\b{_BLANKS})?"
    rf"(?P<l#>[0-9]{{1,2}}(?:\.[0-9]{{0,9}})?)(?={_BLANKS}{_UNIT})"
    rf"|(?<![0-9],)(?P<n#>[0-9]{{1,9}}(?:\.[0-9]{{0,9}})?)(?!,[0-9]|{_BLANKS}(?:{_MINUTES}|{_HOURS})))"
    rf"{_BLANKS}(?P<u#>{_UNIT})?{_BLANKS}>?"
)
_OF_DAY = rf"{_BLANKS}(?:[AaPp]\.?[Mm]\b|Uhr\b|o.clock\b)"
_JOINED = r"-{1,2}>?|–|—|~|～|〜|→|(?:to|until|till|and|bis|und|à|et|hasta|a|y)\b|[到至]|から"
_TO = rf"{_BLANKS}(?P<to>{_JOINED}){_BLANKS}第?"
_RANGE_FORM = _MOMENT.replace("#", "1") + _TO + _MOMENT.replace("#", "2")
_ONE = re.compile(_MOMENT.replace("#", "1"))
_RANGE = re.compile(rf"(?:(?:from|between)\s{{1,4}})?{_RANGE_FORM}", re.IGNORECASE)
# In prose a number begins where no word, number or clock goes on, and ends where none does: each is tried once.
_TOLD = re.compile(
    rf"(?<![.:/])(?<!{_WORD})(?=<{_BLANKS}[0-9]|[0-9])"
    + _MOMENT.replace("#", "1")
    + f"(?:{_TO}{_MOMENT.replace('#', '2')})?(?!{_WORD}|[:/]{_WORD}|{_OF_DAY})"
)
BRACKETED_TIME = re.sub(r"\(\?P<[^>]+>", "(?:", rf"{_BLANKS}{_MOMENT}(?:{_TO}{_MOMENT})?\]")
"""What follows a `[` that encloses a time or a range: a way of writing it, and no list."""

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+(?=[^\s\d])|(?<=[。！？；])(?=.)")
_BULLET = re.compile(r"[\s*•\-|]{0,20}(?:[0-9]{1,3}[.)]\s)?[\s*\[(]{0,20}")
_EDGE = " \t:,.;-*–—[]()<>|：，。；、（）【】"
_LEADING_WORD = re.compile(
    r"(?:(?:^|\s)(?:from|between|at|during|in|within|of|for|von|zwischen|bei|de|desde|depuis|about|around|approximately)"
    r"|^entre|[从自在第])\s*$",  # where a French sentence ends so, somebody enters
    re.IGNORECASE,
)
_FOLLOWING_WORD = re.compile(r"^(?:まで|の間|之间|期间|[时時])")
_BETWEEN = re.compile(r"\b(?:between|zwischen|entre)\s*[\[(<]?$", re.IGNORECASE)
_FROM = re.compile(r"\b(?:del?|desde)\s*(?:l[ao]s?\s*)?[\[(<]?$", re.IGNORECASE)
_BEHIND = {**dict.fromkeys(("and", "und", "et", "y"), _BETWEEN), "a": _FROM}
"""Words that join the ends of a range only behind another one."""
_LASTING = re.compile(
    r"(?:\b(?:for|every|last(?:s|ed|ing)?|takes?|took|taking|wait(?:s|ed|ing)?|für|dauert|pendant|dure|durante|dura)"
    r"(?:\s+(?:about|around|roughly|approximately|another|only|just))?|持续|持續|历时|長さ)\s*$",
    re.IGNORECASE,
)
_LONG = re.compile(r"[^\S\r\n]{0,4}(?:long|later|apart|lang|später)\b", re.IGNORECASE)
"""What makes of two numbers of seconds a length of time, before them or behind."""
_REACH = 32
_DECADE = re.compile(r"(?:1[0-9]|20)[0-9]0")
_LETTER = re.compile(r"[^\W\d_]")
_MAX_LINE = 4000


_FAR, _FAR_S = 1.5, 5.0


@dataclass(frozen=True)
class ToldTime:
    """A moment or a range that stands in prose: its first character and the one behind, and its times in seconds.

    A moment has `end_s` equal to `start_s`.
    """

    start: int
    end: int
    start_s: float
    end_s: float


def is_within(time_s: float, end_s: float) -> bool:
    """Whether a time can be one of a clip of that length. A model may be wrong about its end, but not by a lot.

    What is far behind it was read from what is shown: a timetable, the hours of a shop.
    """
    return time_s <= _FAR * end_s + _FAR_S


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
            if not _is_length(found, prose) and (_is_clear(found, "1") or _is_clear(found, "2")):
                yield ToldTime(found.start(), _end(found, "2"), *_span(found))
            continue
        at = found.start("to") if found["to"] else at
        if _is_clear(found, "1"):
            moment = _seconds(found, "1")
            yield ToldTime(found.start(), _end(found, "1"), moment, moment)


def told_spans(line: str) -> Iterator[tuple[str, tuple[float, float, str]]]:
    """The ranges in a line of prose, each behind its sentence, and with what is said of it: the rest of that."""
    for sentence in _SENTENCE_END.split(line[:_MAX_LINE]):
        spans = [told for told in told_times(sentence) if told.end_s > told.start_s]
        bullet = _BULLET.match(sentence)
        is_leading = bool(spans) and bullet is not None and spans[0].start <= bullet.end()
        for place, told in enumerate(spans):
            before = 0 if place == 0 else spans[place - 1].end
            after = spans[place + 1].start if place + 1 < len(spans) else len(sentence)
            head = "" if is_leading else _said(_LEADING_WORD.sub("", sentence[before : told.start].rstrip(_EDGE)))
            tail = _said(sentence[told.end : after]) if is_leading or len(spans) == 1 else ""
            yield sentence, (told.start_s, told.end_s, " ".join(filter(None, (head, tail))))


def _said(text: str) -> str:
    """`text` less the marks at its edges; nothing where no word is left."""
    trimmed = _FOLLOWING_WORD.sub("", _LEADING_WORD.sub("", text.replace("**", "").strip(_EDGE))).strip(_EDGE)
    return trimmed if _LETTER.search(trimmed) else ""


def _end(found: re.Match[str], which: str) -> int:
    """Where a moment ends, less the blanks that its form allows behind it."""
    end = max(found.end(group + which) for group in "slnu")
    if found.string[end - 1] == ".":  # of the sentence
        return end - 1
    return end + (found.string[end : end + 1] == ">")


def _is_range(found: re.Match[str], prose: str) -> bool:
    """Whether two moments are the ends of one range: joined by "and" they are so only behind "between".

    With a sign between them, a clock and a plain number are two things: "0:05 - 3 people", "Scene 2 - 0:05".
    """
    if behind := _BEHIND.get(found["to"]):
        return bool(behind.search(prose, max(0, found.start() - _REACH), found.start()))
    has_clock = bool(found["m1"] or found["m2"])
    return found["to"].isalpha() or not has_clock or (_is_clear(found, "1") and _is_clear(found, "2"))


def _is_length(found: re.Match[str], prose: str) -> bool:
    """Whether it is told how long something takes, and not when it is: "for 3 to 5 seconds", "3 to 5 seconds long"."""
    is_plain = not (found["m1"] or found["m2"])
    is_lasting = _LASTING.search(prose, max(0, found.start() - _REACH), found.start())
    return is_plain and bool(is_lasting or _LONG.match(prose, found.end()))


def _is_clear(found: re.Match[str], which: str) -> bool:
    """Whether a moment is one by its form: a clock, which has two digits of seconds, or a number with its unit.

    So "3:2" is a score and "16:9" a ratio, "1990s" a decade.
    """
    if found["m" + which]:
        whole = re.split("[.,]", found["s" + which])[0]
        return len(whole) == 2 and int(whole) < 60
    return bool(found["u" + which]) and not _is_decade(found, which)


def _is_decade(found: re.Match[str], which: str) -> bool:
    year, is_joined = found["n" + which] or "", found.end("n" + which) == found.start("u" + which)
    is_short = found.string[max(0, found.start("n" + which) - 1) :][:1] in "'’‘"
    return is_joined and found["u" + which] == "s" and bool(_DECADE.fullmatch(year) or (is_short and len(year) == 2))


def _span(found: re.Match[str]) -> tuple[float, float]:
    start, end = sorted((_seconds(found, "1"), _seconds(found, "2")))
    return start, end


def _seconds(found: re.Match[str], which: str) -> float:
    if number := found["n" + which]:
        return float(number)
    if minutes := found["k" + which]:
        return int(minutes) * 60 + float(found["l" + which])
    return (
        int(found["h" + which] or 0) * 3600 + int(found["m" + which]) * 60 + float(found["s" + which].replace(",", "."))
    )
