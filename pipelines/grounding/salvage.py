"""Text to plain nodes: a tolerant reading of JSON, Python literals and Qwen's box tags, with prose around them.

It builds what it can and never backtracks. A container that the text closed, itself or through one around it, is
marked `is_closed`; one that the text broke off is not, and neither is the value in which it broke off kept. Numbers
stay text here, since models quote them as they please. Linear: every step moves forward, `MAX_TOKENS` bounds the steps
inside brackets, and at `MAX_DEPTH` the text counts as broken off.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from pipelines.grounding.times import BRACKETED_TIME

MAX_TOKENS = 50_000
"""More than the longest reply can hold; it bounds the work on a text that is nothing but brackets."""
MAX_DEPTH = 64
"""Far deeper than any list of places; a model in a loop of brackets gets there."""
_MAX_TEXT = 2000

_CODE = re.compile(
    r"```(?:py(?:thon)?|java(?:script)?|[jt]sx?|typescript|c|cpp|c\+\+|cs(?:harp)?|go|rust|ruby|php|swift|kotlin|sql|bash|sh"
    r"|shell|html|css|svg|(?:la)?tex|ya?ml|toml|r|matlab|julia|lua|perl|scala|mermaid)[^\S\n]*\n"
    r"(?:(?!```)[\s\S])*+"
    r"|\$\$[^$]*+\$\$|(?<![\w$\\])\$(?=\S)[^$\n]*+(?<=\S)\$(?![\w$])"
)
_PLACES_IN_CODE = re.compile(r"[\"'](?:bbox|box_2d|point_2d)")
_OUTSIDE = re.compile(
    r"(?=[\[{<])(?:(?P<opener>\[(?!" + BRACKETED_TIME + r")|{|<\|box_start\|>|<\|point_start\|>|<box>|<point>)"
    r"|(?:<\|object_ref_start\|>|<ref>)(?P<reference>[^<]*+)(?:</ref>|<\|object_ref_end\|>)?)"
)
# A quote ends a string only where a value may end: models leave the quotes inside a label unescaped.
_STRING = r"""{0}(?:[^{1}\\\r\n]++|\\[\s\S]|[{1}](?![ \t]*+(?:[,，:：\]}}){1}\r\n]|\Z)))*+(?P<{2}>[{1}]?)"""
_INSIDE = re.compile(
    r"(?P<fence>```)"
    r"|(?P<opener>[\[{(]|<\|box_start\|>|<\|point_start\|>|<box>|<point>)"
    r"|(?P<closer>[\]})]|<\|box_end\|>|<\|point_end\|>|</box>|</point>)"
    r"|(?P<comma>[,，])|(?P<colon>[:：])"
    r"|"
    + _STRING.format('"', '"', "end_double")
    + r"|"
    + _STRING.format("'", "'", "end_single")
    + r"|"
    + _STRING.format("[“„”]", "“”", "end_typographic")
    + r"|(?P<clock>[0-9]++(?::[0-9]++(?:\.[0-9]*+)?)++)"
    # A quote right after a word never opens a string: it ends one that a line break has cut.
    r"""|(?P<word>[^\s\[\]{}(),，:："'<>`][^\s\[\]{}(),，:：<>`]*+)"""
)
_MORE_KEYS = re.compile(r"""\s*+[,，]\s*+["']?\w{1,40}+["']?\s*+[:：]""")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\s\S]))")
_FENCE_BEFORE = re.compile(r"```\w*+\s*+\Z")
_FENCE_BEHIND = re.compile(r"\s*+```")
_FENCE_REACH = 40
_CLOSERS = {
    "[": "]",
    "(": ")",
    "{": "}",
    "<box>": "</box>",
    "<|box_start|>": "</box>",
    "<point>": "</point>",
    "<|point_start|>": "</point>",
}
_SAME_CLOSER = {"<|box_end|>": "</box>", "<|point_end|>": "</point>"}
_NOTHING = frozenset({"None", "null", "nan", "NaN"})


@dataclass(slots=True, eq=False)
class Listing:
    """Values in order: a list, a tuple, or what stands inside a box or point tag (`closer` tells them apart)."""

    closer: str = "]"
    items: list[Node] = field(default_factory=list)
    is_closed: bool = False

    def add(self, node: Node) -> None:
        """Take the next value."""
        self.items.append(node)

    @property
    def texts(self) -> list[str] | None:
        """The values when all of them are plain text."""
        texts = [item for item in self.items if isinstance(item, str)]
        return texts if len(texts) == len(self.items) else None


@dataclass(slots=True, eq=False)
class Record:
    """Keys with their values, in order, repeated keys included. A container without a key has the key ""."""

    closer: str = "}"
    pairs: list[tuple[str, Node]] = field(default_factory=list)
    is_closed: bool = False
    _key: str = ""
    _has_colon: bool = False

    def add(self, node: Node) -> None:
        """Take the next key or value."""
        if isinstance(node, str) and not self._has_colon:
            self._key = node
        else:
            self.pairs.append((self._key, node))
            self.end_pair()

    def end_key(self) -> None:
        """What came last is the key of what comes next."""
        self._has_colon = True

    def end_pair(self) -> None:
        """A comma: what came last has no value."""
        self._key, self._has_colon = "", False


Node = str | Listing | Record


@dataclass(frozen=True)
class Root:
    """An outermost node with the `<ref>` label before it, which holds for those that follow up to the next word.

    `start` and `end` are where it stands in the text, its label and fence included, and `before` the prose before it.
    """

    label: str
    node: Listing | Record
    start: int
    end: int
    before: str


@dataclass(frozen=True)
class Salvage:
    """What a text holds: its outermost nodes, and the passages of prose around them."""

    roots: list[Root]
    passages: list[str]


def salvage(text: str) -> Salvage:
    """Read the nodes and the prose of `text`. Code and formulas are neither, but for lists of places among the code."""
    text = _CODE.sub(_masked, text)
    builder = _Builder()
    at, label, label_at = 0, "", -1
    roots: list[Root] = []
    passages: list[str] = []
    while builder.num_tokens < MAX_TOKENS and (opening := _OUTSIDE.search(text, at)):
        before = text[at : opening.start()]
        if not opening["opener"]:
            passages.append(before)
            label, label_at, at = opening["reference"][:_MAX_TEXT], opening.start(), opening.end()
            builder.num_tokens += 1
            continue
        node, end = builder.build(opening["opener"], text, opening.end())
        fence = _FENCE_BEFORE.search(before, max(0, len(before) - _FENCE_REACH))
        start = at + fence.start() if fence else opening.start()
        closing = _FENCE_BEHIND.match(text, end)
        before = before[: fence.start()] if fence else before
        passages.append(before)
        at = closing.end() if closing else end
        if label_at < 0 and any(map(str.isalpha, before)):
            label = ""
        roots.append(Root(label, node, label_at if label_at >= 0 and not before.strip() else start, at, before))
        label_at = -1
    passages.append(text[at:])
    return Salvage(roots, passages)


def _masked(code: re.Match[str]) -> str:
    """Code as a word of the same length that means nothing."""
    return code[0] if _PLACES_IN_CODE.search(code[0]) else re.sub(r"\S", "x", code[0])


class _Builder:
    """Builds one outermost node after the other on an explicit stack."""

    def __init__(self) -> None:
        self.num_tokens = 0
        self._stack: list[Listing | Record] = []
        self._num_open: Counter[str] = Counter()

    def build(self, opener: str, text: str, at: int) -> tuple[Listing | Record, int]:
        """Build the node whose opener ends at `at`, and say where it ends."""
        root = self._open(opener)
        self.num_tokens += 1
        while self.num_tokens < MAX_TOKENS and (token := _INSIDE.search(text, at)):
            at = token.end()
            self.num_tokens += 1
            self._take(token)
            if not self._stack:
                return root, at
            if len(self._stack) > MAX_DEPTH:
                break
        self._give_up()
        return root, len(text)

    def _take(self, token: re.Match[str]) -> None:
        kind, raw = token.lastgroup, token[0]
        if kind == "opener":
            self._open(raw)
        elif kind == "closer":
            self._close(_SAME_CLOSER.get(raw, raw), token)
        elif kind == "fence":
            self._give_up()
        elif kind == "comma" and isinstance(top := self._stack[-1], Record):
            top.end_pair()
        elif kind == "colon":
            self._colon()
        elif kind in ("end_double", "end_single", "end_typographic"):
            if token[kind] or token.end() < len(token.string):
                self._stack[-1].add(_unescape(raw[1 : len(raw) - len(token[kind])]))
        elif kind in ("clock", "word"):
            self._stack[-1].add("" if raw in _NOTHING else raw[:_MAX_TEXT])

    def _open(self, opener: str) -> Listing | Record:
        node = Record() if opener == "{" else Listing(_CLOSERS[opener])
        if self._stack:
            self._stack[-1].add(node)
        self._stack.append(node)
        self._num_open[node.closer] += 1
        return node

    def _close(self, closer: str, token: re.Match[str]) -> None:
        if not self._num_open[closer]:
            return
        is_mismatch = self._stack[-1].closer != closer
        if is_mismatch and isinstance(self._stack[-1], Record) and _MORE_KEYS.match(token.string, token.end()):
            return
        while self._pop().closer != closer:
            pass

    def _pop(self) -> Listing | Record:
        node = self._stack.pop()
        node.is_closed = True
        self._num_open[node.closer] -= 1
        return node

    def _colon(self) -> None:
        """A key inside a list, itself inside a record: the list was never closed, and the key belongs outside it."""
        top = self._stack[-1]
        outer = self._stack[-2] if len(self._stack) > 1 else None
        if isinstance(top, Listing) and isinstance(outer, Record) and top.items and isinstance(top.items[-1], str):
            outer.add(top.items.pop())
            self._pop()
            top = outer
        if isinstance(top, Record):
            top.end_key()

    def _give_up(self) -> None:
        """The text broke off: what is still open stays unclosed."""
        self._stack.clear()
        self._num_open.clear()


def _unescape(raw: str) -> str:
    """The text of a quoted string; pairs of surrogates become the character that they stand for."""
    if "\\" not in raw:
        return raw[:_MAX_TEXT]
    text = _ESCAPE.sub(_unescape_one, raw[:_MAX_TEXT])
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _unescape_one(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return {"n": "\n", "t": "\t", "r": "\r"}.get(escape[2], escape[2])
