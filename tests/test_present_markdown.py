from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipelines.present.markdown import safe_markdown

RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
PIECES = [
    "\r", "$$", '"', "'", "]:", "[a](b", "http://a.b/",
    "`", "``", "```", "~~~", "<", ">", "<img src=http://x/y>", "![a](http://x/y)", "![a][b]", "[b]: http://x/y", "\n",
    "\n\n", "- ", "> ", "    ", "|", "|-|-|", "\\", "!", "[", "]", "(", ")", "*", "a", " ", "<style>", "</p>",
]  # fmt: skip


def live(text: str) -> list[Token]:
    """What a renderer would fetch, run or take for HTML; `<code>` is what code is written as."""
    live = [token for token in rendered(text) if token.type in ("image", "html_block", "html_inline")]
    return [token for token in live if token.content not in ("<code>", "</code>")]


def rendered(text: str) -> list[Token]:
    """Every token that a renderer finds, those within a line included."""
    blocks = RENDERER.parse(safe_markdown(text))
    return [token for block in blocks for token in (block, *(block.children or ()))]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("![x](http://evil.example/a.png)", id="image"),
        pytest.param("![x][r]\n\n[r]: http://evil.example/a.png", id="reference image"),
        pytest.param('<img src="http://evil.example/a.png">', id="html image"),
        pytest.param("<style>@import url(http://evil.example)</style>", id="style"),
        pytest.param("<script>alert(1)</script>", id="script"),
        pytest.param("a <b>bold</b> move", id="html within a line"),
        pytest.param("`<i>` and `open <img src=x>", id="code span never closed"),
        pytest.param("- ```\n  code\n  ```\n<img src=x>", id="fence in a list"),
        pytest.param("| a | b |\n|---|---|\n| `x | <img src=y>` | z |", id="code cut by a table cell"),
        pytest.param("```\ncode\n<img src=x>\n```\n<img src=y>", id="after a fence"),
        pytest.param("\\![x](http://evil.example/a.png)", id="escaped bang"),
        pytest.param("<!-- comment -->", id="comment"),
        pytest.param("`\r\r<img src=x>`", id="a return as a line break in code"),
        pytest.param("[a](b`c) <img src=x> `", id="backtick in an address"),
        pytest.param('[a](b "`") <img src=x> `', id="backtick in a title"),
        pytest.param("[[![x](http://evil.example/a.png)](c)", id="bracket that stays open"),
        pytest.param('[x]: /u "\n\n```\n"\n<img src=x>\n```', id="title that ends in a fence"),
        pytest.param("[x\n\n```\n]: u\n\n<img src=x>\n```", id="definition that ends in a fence"),
        pytest.param("[![x](http://evil.example/a.png)](http://evil.example)", id="image in a link"),
    ],
)
def test_nothing_to_fetch_and_no_html_is_left(text: str) -> None:
    assert not live(text)


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_no_mixture_of_markdown_gives_an_image_or_html(text: str) -> None:
    assert not live(text)


@given(st.text())
def test_any_text_gives_a_text(text: str) -> None:
    assert isinstance(safe_markdown(text), str)


def test_a_diagram_is_shown_as_code_instead_of_being_drawn() -> None:
    assert "mermaid" not in safe_markdown("```mermaid\ngraph TD\n```")


def test_code_keeps_its_characters() -> None:
    text = "Look:\n```python\nif a < b:\n    print('<b>')\n```\nand `x < y`."
    assert [token.content for token in rendered(text) if token.type == "fence"] == ["if a < b:\n    print('<b>')\n"]
    assert safe_markdown(text).endswith("and <code>x &lt; y</code>.")


def test_indented_code_becomes_a_fence() -> None:
    text = "Look:\n\n    if a < b:\n\n        go\n\n1. one\n\n    more of one\n\n       x < y\n   - part\n\n     of it"
    code = [token.content for token in rendered(text) if token.type in ("fence", "code_block")]
    assert code == ["if a < b:\n\n    go\n", "x < y\n"]
    assert safe_markdown(text).startswith("Look:\n\n\n" + "`" * 12 + "\nif a < b:")


@pytest.mark.parametrize("text", ["**bold** and *it*", "1. one\n2. two", "| a | b |\n|---|---|\n| 1 | 2 |", "x > y"])
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert safe_markdown(text) == text


def test_a_growing_text_only_grows() -> None:
    """A page sends what is new; text that changes further up would be sent again and again."""
    text = "See `code`, **this** and\n```json\n[1, 2]\n```\nthe end."
    for end in range(1, len(text)):
        before, after = safe_markdown(text[:end]), safe_markdown(text[: end + 1])
        shared = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
        last_line = re.split(r"\n", before)[-1]
        assert len(before) - shared <= max(len(last_line), 0) + 1
