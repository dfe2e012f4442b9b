"""An answer as Markdown that is tied to its evidence: names, times and data become links, and data becomes a table.

A link is a fragment that the page's script understands: `#gb-marks-1-2` for the marks 1 and 2, `#gb-time-3.2-5` for a
time or a span in seconds. An answer can write such a link itself and gains nothing: it points at what is there already.
Numbers of marks are those of the answer's grounding, from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipelines.grounding import UNSPACED, ToldTime, is_within, told_times
from pipelines.present.markdown import FENCE, FORMULA, escaped, safe_markdown
from pipelines.present.moments import exact
from pipelines.types import Event, Grounding, Region

NOTHING_NAMED = "The answer names no place and no time."
MAX_ROWS = 100
MAX_LABELS = 60
MAX_LABEL = 60
MAX_LINKED = 100_000
"""Characters of an answer in which links are looked for; the longest reply is far below."""

OPEN, MIDDLE, CLOSE = "\ue000", "\ue001", "\ue002"
"""Characters for private use: they go through the making of Markdown untouched, and stand for links meanwhile."""
_RESERVED = re.compile(f"[{OPEN}{MIDDLE}{CLOSE}]")
_LINK = re.compile(f"{OPEN}([0-9]+){MIDDLE}([^{OPEN}{MIDDLE}{CLOSE}]*){CLOSE}")
_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)[^`]+\1(?!`)|<code>[^<]*</code>")
_TAKEN_FOR_MORE = re.compile(rf"[!\\](?={OPEN})")
"""What would make an image of a link behind it, or text."""
_FORMULA = re.compile(FORMULA)
_APART = re.compile(
    r"(?:\[[^\[\]\n]*)?\]\((?:[^()\n]|\([^()\n]*\))*\)"
    rf"|\b[a-z][a-z0-9+.-]{{1,12}}://\S+|\bwww\.\S+|[\w.+-]{{1,64}}@[\w.-]+|{FORMULA}",
    re.IGNORECASE,
)
"""What is a link already, as a whole, or a formula: a link within would break it."""
_LETTER = rf"[^\W{UNSPACED}]"
_EMPTY_LIST = re.compile(r"\s*(?:```(?:json)?\s*)?\[\s*\](?:\s*```)?\s*")
_BETWEEN_BLOCKS = re.compile(r"[\s,]*")


@dataclass(frozen=True)
class Block:
    """Data in the answer, from its first character to the one behind, with what was read from it."""

    start: int
    end: int
    regions: tuple[tuple[int, Region], ...]
    events: tuple[Event, ...]

    def joined(self, other: Block) -> Block:
        """Both as one."""
        return Block(self.start, other.end, self.regions + other.regions, self.events + other.events)


def is_empty_list(answer: str) -> bool:
    """Whether the answer is a list as data that holds nothing, and no more."""
    return _EMPTY_LIST.fullmatch(answer) is not None


@lru_cache(maxsize=512)
def linked_markdown(answer: str, grounding: Grounding, longest_s: float | None = None) -> str:
    """`answer`, in which `grounding` was found, as safe Markdown with its links. Total: any text gives a text.

    `longest_s` is the length of the longest clip that it can be about, in seconds: 0 without any, None where nobody
    knows.
    """
    if is_empty_list(answer):
        return f"{NOTHING_NAMED}\n\n{_folded(answer)}"
    answer = _RESERVED.sub("\ufffd", answer)
    numbered = list(enumerate(grounding.regions, 1))
    names = _names(numbered)
    targets: list[str] = []
    written: list[str] = []
    at = 0
    for block in blocks_of(answer, grounding):
        written.append(_with_links(answer[at : block.start], names, longest_s, targets))
        written.append(_placed(answer, block, targets))
        at = block.end
    written.append(_with_links(answer[at:MAX_LINKED], names, longest_s, targets) + answer[max(at, MAX_LINKED) :])
    return _resolved(safe_markdown("".join(written)), targets)


def marks_link(numbers: Iterable[int]) -> str:
    """The address of marks."""
    return "#gb-marks-" + "-".join(map(str, numbers))


def time_link(start_s: float, end_s: float) -> str:
    """The address of a time or a span."""
    return f"#gb-time-{exact(start_s)}" + (f"-{exact(end_s)}" if end_s > start_s else "")


def _names(numbered: Sequence[tuple[int, Region]]) -> dict[str, list[int]]:
    """The marks by their label, in small letters."""
    names: dict[str, list[int]] = {}
    for number, region in numbered:
        name = region.label.casefold()
        if 1 < len(name) <= MAX_LABEL and (name in names or len(names) < MAX_LABELS):
            names.setdefault(name, []).append(number)
    return names


def blocks_of(answer: str, grounding: Grounding) -> list[Block]:
    """The data of the answer in its order; pieces that nothing stands between are one."""
    numbered, events = list(enumerate(grounding.regions, 1)), grounding.events
    sources = {region.source for _, region in numbered} | {event.source for event in events}
    formulas = [formula.span() for formula in _FORMULA.finditer(answer)]
    blocks: list[Block] = []
    for source in sorted(source for source in sources if source is not None and source[1] <= MAX_LINKED):
        if any(start <= source[0] and source[1] <= end for start, end in formulas):
            continue
        here = tuple((number, region) for number, region in numbered if region.source == source)
        block = Block(*source, here, tuple(event for event in events if event.source == source))
        if blocks and _BETWEEN_BLOCKS.fullmatch(answer, blocks[-1].end, block.start):
            blocks[-1] = blocks[-1].joined(block)
        else:
            blocks.append(block)
    return blocks


def clip_times(prose: str, longest_s: float | None) -> Iterator[ToldTime]:
    """The times in `prose` that can be of a clip: none of pictures, where they are what a clock or a receipt shows."""
    told = told_times(prose) if longest_s != 0 else ()
    return (one for one in told if longest_s is None or is_within(one.start_s, longest_s))


def _with_links(prose: str, names: dict[str, list[int]], longest_s: float | None, targets: list[str]) -> str:
    """Prose with a link on every time and on every name of a mark."""
    found = [(*apart.span(), "") for apart in _APART.finditer(prose)]
    times = clip_times(prose, longest_s)
    found += [(told.start, told.end, time_link(told.start_s, told.end_s)) for told in times]
    if names:
        any_name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        pattern = re.compile(rf"(?<!{_LETTER})({any_name})(?:e?s)?(?!{_LETTER})", re.IGNORECASE)
        named = ((name.span(), names.get(name[1].casefold(), ())) for name in pattern.finditer(prose))
        found.extend((*place, marks_link(numbers)) for place, numbers in named if numbers)
    pieces, at, free = [], 0, 0
    for start, end, target in sorted(found, key=lambda one: (one[0], -one[1])):
        if start < free or (target and "\n" in prose[start:end]):
            continue
        free = end
        if target:
            start = end - len(prose[start:end].lstrip())  # a time may begin with its blanks
            pieces += [prose[at:start], _held(target, prose[start:end], targets)]
            at = end
    return "".join([*pieces, prose[at:]])


def _held(target: str, text: str, targets: list[str]) -> str:
    """What stands for a link, or for a table where it has no text, until the Markdown is made."""
    targets.append(target)
    return f"{OPEN}{len(targets) - 1}{MIDDLE}{text}{CLOSE}"


def stands_alone(answer: str, block: Block) -> bool:
    """Whether data is not inside of a sentence."""
    line_start = answer.rfind("\n", 0, block.start) + 1
    line_end = answer.find("\n", block.end)
    rest = answer[line_start : block.start] + answer[block.end : line_end if line_end >= 0 else len(answer)]
    return not any(character.isalnum() for character in rest)


def _placed(answer: str, block: Block, targets: list[str]) -> str:
    """What takes the place of data: a table where it stands alone, and links inside of a sentence."""
    if not stands_alone(answer, block):
        held = [_held(marks_link([number]), f"{number} {region.name}", targets) for number, region in block.regions]
        held += [_held(time_link(event.start_s, event.end_s), span_of(event), targets) for event in block.events]
        return ", ".join(held)
    return "\n\n" + _held(_table(block, answer[block.start : block.end]), "", targets) + "\n\n"


def _table(block: Block, raw: str) -> str:
    """The data as a table, and as the model wrote it, folded away."""
    linked = [(number, marks_link([number]), region) for number, region in block.regions[:MAX_ROWS]]
    rows = [
        f"| [{number}]({link}) | [{escaped(region.name)}]({link}) | {_where(region)} |"
        for number, link, region in linked
    ]
    rows += [
        f"| | {escaped(event.label) or 'event'} | [{span_of(event)}]({time_link(event.start_s, event.end_s)}) |"
        for event in block.events[:MAX_ROWS]
    ]
    num_more = len(block.regions) + len(block.events) - len(rows)
    rows += [f"| | and {num_more:,} more | |"] if num_more else []
    table = "\n".join(["| Mark | What | Where |", "|---|---|---|", *rows])
    return f"{table}\n\n{_folded(raw)}"


def _folded(raw: str) -> str:
    """Data as the model wrote it, folded away."""
    plain = raw.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip("\n")
    code = safe_markdown(f"```json\n{plain}\n```")
    return f"<details><summary>As the model wrote it</summary>\n\n{code}\n\n</details>"


def _where(region: Region) -> str:
    if region.time_s is None:
        return region.place
    return f"{region.place} at [{region.time_s:g} s]({time_link(region.time_s, region.time_s)})"


def span_of(event: Event) -> str:
    """From when to when."""
    return f"{event.start_s:g} s" + (f" – {event.end_s:g} s" if event.end_s > event.start_s else "")


def _resolved(markdown: str, targets: Sequence[str]) -> str:
    """The Markdown with its links, and none inside of code."""
    lines, is_code = [], False
    for line in markdown.split("\n"):
        is_fence = line.startswith(FENCE)
        if not is_code and not is_fence:
            line = _CODE.sub(lambda code: _bare(code[0]), line)
            line = _TAKEN_FOR_MORE.sub(lambda mark: escaped(mark[0]), line)
            line = _LINK.sub(lambda found: _link(found, targets), line)
        lines.append(_bare(line))
        is_code ^= is_fence
    return "\n".join(lines)


def _link(found: re.Match[str], targets: Sequence[str]) -> str:
    target, text = targets[int(found[1])], found[2]
    if not text:
        return target
    return f"[{re.sub(r'[][]', lambda bracket: escaped(bracket[0]), text)}]({target})"


def _bare(text: str) -> str:
    return _LINK.sub(lambda found: found[2], text)
