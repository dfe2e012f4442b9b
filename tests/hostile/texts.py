"""Texts that are made to do harm: control tokens in questions, Markdown and HTML in answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from html.parser import HTMLParser

from markdown_it import MarkdownIt

from pipelines.checkpoint import Checkpoint
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from pipelines.present.markdown import safe_markdown
from pipelines.present.overlay import Mark, marks_svg
from pipelines.types import Message, Region

WORDS = ("what", "is", "there", " ", "\n", "é", "\u2060", "<", "|", ">", "im_end", "\0", "</", "日本", "🔍", "{{", "}}")
MARKUP = (
    "![a](http://evil.example/a.png)", "<img src=//evil.example onerror=alert(1)>", "<script>alert(1)</script>",
    "[x](javascript:alert(1))", "<style>@import url(//evil.example)</style>", "`", "```", "~~~html\n", "\n", "\n\n",
    "> ", "| a | b |\n|---|---|\n", "\\", "[a]: //evil.example\n", "![a]", "<!--", "<svg/onload=alert(1)>", "&lt;",
    "$x$", "*", "<iframe srcdoc=x>", "<a href='data:text/html,x'>", "text",
)  # fmt: skip
RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
HARMFUL = {"image", "html_block", "html_inline"}


def control_ids_in_questions(count: int, seed: int) -> tuple[int, int]:
    """Texts in which a token of control remained, and texts whose number of control tokens is not the template's."""
    checkpoint, rng = Checkpoint.open(DEMO_FOLDER), random.Random(seed)
    control = {checkpoint.token_id(token) for token in checkpoint.control_tokens}
    expected = _control(checkpoint, "plain", control)
    found = [_control(checkpoint, text, control) for text in _spelled(checkpoint, count, rng)]
    return sum(ids != expected for ids in found), sum(len(ids) != len(expected) for ids in found)


def _control(checkpoint: Checkpoint, text: str, control: set[int]) -> list[int]:
    message: Message = {"role": "user", "content": [{"type": "text", "text": text}]}
    ids: list[int] = fuse([message], [], checkpoint, True).input_ids[0].tolist()
    return [token_id for token_id in ids if token_id in control]


def _spelled(checkpoint: Checkpoint, count: int, rng: random.Random) -> Iterator[str]:
    pieces = [*checkpoint.control_tokens * 2, *WORDS, *(token[:-1] for token in checkpoint.control_tokens)]
    for _ in range(count):
        yield "".join(rng.choices(pieces, k=rng.randint(1, 12))) + "?"


def harmful_answers(count: int, seed: int) -> list[str]:
    """Answers of which a renderer of Markdown makes an image or HTML, after they were made safe."""
    rng = random.Random(seed)
    answers = ("".join(rng.choices(MARKUP, k=rng.randint(1, 10))) for _ in range(count))
    return [answer for answer in answers if _kinds(safe_markdown(answer)) & HARMFUL]


def _kinds(text: str) -> set[str]:
    blocks = RENDERER.parse(text)
    tokens = (token for block in blocks for token in (block, *(block.children or ())))
    return {token.type for token in tokens if token.content not in ("<code>", "</code>")}


def harmful_labels(count: int, seed: int) -> list[str]:
    """Labels that give a mark on a picture other elements or attributes than a plain one has."""
    rng = random.Random(seed)
    labels = ("".join(rng.choices((*MARKUP, '"', "'", " x="), k=rng.randint(1, 4))) for _ in range(count))
    plain = _names("circle")
    return [label for label in labels if _names(label) - plain]


def _names(label: str) -> set[str]:
    tags = Tags()
    tags.feed(marks_svg([Mark(1, Region(label, box=(1.0, 1.0, 900.0, 900.0)))]))
    return tags.names


class Tags(HTMLParser):
    """The names of all tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one."""
        self.names |= {tag, *(f"{tag}.{name}" for name, _ in attrs)}
