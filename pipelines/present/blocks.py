"""Cuts Markdown into its prose and its code: fences, and lines that are indented so far that they are code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r" {0,3}(?P<ticks>`{3,}|~{3,})(?P<info>[^`]*)")
_ITEM = re.compile(r" *(?:[-+*]|[0-9]{1,9}[.)])(?: {1,4}(?=[^ ])| |$)")
_CODE_INDENT = 4


@dataclass
class Block:
    """Lines of prose, or of code where there is an `info`: what a fence says of its language."""

    info: str | None = None
    lines: list[str] = field(default_factory=list)
    is_closed: bool = False


def blocks(text: str) -> Iterator[Block]:
    """The blocks of `text` in order; blank lines around indented code are of the prose."""
    block, closing = Block(), ""
    margin, is_after_blank = _Margin(), True
    for line in text.split("\n"):
        fence = _FENCE.fullmatch(line)
        if closing:
            block.is_closed = fence is not None and not fence["info"].strip() and fence["ticks"].startswith(closing)
            if not block.is_closed:
                block.lines.append(line)
                continue
            yield block
            block, closing, is_after_blank = Block(), "", True
        elif fence:
            yield from _ended(block)
            block, closing = Block(fence["info"]), fence["ticks"]
        elif not line.strip():
            block.lines.append(line)
            is_after_blank = True
        elif (code := margin.code(line)) is not None and (is_after_blank or block.info is not None):
            if block.info is None:
                yield from _ended(block)
                block = Block("")
            block.lines.append(code)
            is_after_blank = False
        else:
            if block.info is not None:
                yield from _ended(block)
                block = Block()
            margin.note(line, is_after_blank)
            block.lines.append(line)
            is_after_blank = False
    yield from [block] if closing else _ended(block, False)


def _ended(block: Block, is_closed: bool = True) -> Iterator[Block]:
    """The block without the blank lines behind indented code, and these."""
    blank: list[str] = []
    while block.info is not None and not block.lines[-1].strip():
        blank.append(block.lines.pop())
    block.is_closed = is_closed or bool(blank)
    yield from (found for found in (block, Block(None, blank)) if found.lines)


class _Margin:
    """How far the text of the lists that are open is indented: code is so by four more."""

    def __init__(self) -> None:
        self._open = [0]

    def code(self, line: str) -> str | None:
        """The line as code, if it is indented as such."""
        expanded = line.expandtabs(_CODE_INDENT)
        start = self._within(expanded) + _CODE_INDENT
        return None if expanded[:start].strip() else expanded[start:]

    def note(self, line: str, is_after_blank: bool) -> None:
        """Take in a line of prose. Only behind a blank one does a lesser indent end a list."""
        expanded = line.expandtabs(_CODE_INDENT)
        item = _ITEM.match(expanded)
        if item or is_after_blank:
            self._open = [margin for margin in self._open if margin <= self._within(expanded)]
        if item:
            self._open.append(item.end())

    def _within(self, expanded: str) -> int:
        """The margin of the innermost list that the line can be in."""
        indent = len(expanded) - len(expanded.lstrip())
        return max(margin for margin in self._open if margin <= indent)
