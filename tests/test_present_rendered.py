"""Answers made to do harm, as the chat of the page itself renders them in a real browser."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page

from pipelines.grounding import parse_grounding
from pipelines.page.components import chat_pane
from pipelines.present.chat import ChatMessage, answered, said
from tests.hostile.texts import MARKUP

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

IMAGE = "<img src=//evil.example/x>"
BOX = '[{"bbox_2d": [1, 2, 30, 40], "label": "cat"}]'
ATTACKS = [
    f"`\r\r{IMAGE}`",
    f"[a](b`c) {IMAGE} `",
    f'[a](b "`") {IMAGE} `',
    f"see https://a.b/`c {IMAGE} `",
    f"www.a.b/`c {IMAGE} `",
    f"$$`$$ {IMAGE} `",
    f"$$\u2060`\u2060$$ {IMAGE} `",
    f"$$\n```\n$$\n{IMAGE}\n",
    "Cost: $$\n\n```\necho $$\n\n<style>body{display:none}</style>\n```",
    "[[![i](//evil.example/x)](c)",
    "[[[!\\\\[i](//evil.example/x)](c)](d)",
    f"![cat](//evil.example/x) !{BOX} and",
    f"{BOX}\n\n!cat and \\!cat",
    '[a]($$"onmouseover=alert(1)$$)',
    '[a](%%%LATEX_BLOCK_0%%%) $$" onmouseover=alert(1) x="$$',
    f'[x]: /u "\n\n```\n"\n{IMAGE}\n```',
    f"[x\n\n```\n]: u\n\n{IMAGE}\n```",
    f"- [ ] [x\n\n```\n]: u\n\n{IMAGE}\n```",
    f"$$[$$ [x\n\n```\n]: u\n\n{IMAGE}\n```",
]
PIECES = [
    *MARKUP, IMAGE, BOX, "``", "$$", "[a](b", "](c", ")", '"', "'", "|", "    ", "http://a.b/", "www.a.b/c", "a@b.c",
    "[^1]", "]: ", "[r", "*", "_", "~~", "# ", "a", " ", "\t", "\r", "!", "1. ", "- [ ] ", "cat", "at 0:07 ", "\u2060",
]  # fmt: skip
NUM_MIXED = 150
HARMLESS = {
    "a", "b", "blockquote", "br", "button", "code", "del", "details", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "input", "li", "ol", "p", "path", "pre", "s", "span", "strong", "summary", "svg", "table", "tbody", "td",
    "th", "thead", "tr", "ul",
}  # fmt: skip
FOUND = """() => [...document.querySelectorAll("#chat .md *:not(.katex *)")].flatMap((found) =>
    [found.tagName.toLowerCase(), ...found.getAttributeNames().filter((name) => name.startsWith("on"))])"""
RENDERED = (
    "(count) => [...document.querySelectorAll('#chat .md')].filter((one) => one.childElementCount).length >= count"
)


@pytest.fixture
def render(browser: Browser) -> Iterator[Callable[[Sequence[ChatMessage]], Page]]:
    """Shows messages in the chat as the page has it, and tells what it asked other hosts for."""
    pages: list[Page] = []
    blocks: list[gr.Blocks] = []
    outside: list[str] = []

    def shown(messages: Sequence[ChatMessage]) -> Page:
        def load() -> Any:
            return messages

        with gr.Blocks() as served:
            served.load(load, outputs=chat_pane([]).chat)
        blocks.append(served)
        _, address, _ = served.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", ssr_mode=False)
        page = browser.new_page()
        pages.append(page)
        page.on("request", lambda request: outside.append(request.url) if "evil.example" in request.url else None)
        page.goto(address)
        page.wait_for_function(RENDERED, arg=len(messages), timeout=60_000)
        return page

    yield shown
    for page in pages:
        page.close()
    for served in blocks:
        served.close(verbose=False)
    assert outside == []


def test_no_answer_brings_an_element_of_its_own(render: Callable[[Sequence[ChatMessage]], Page]) -> None:
    rng = random.Random(20_261_127)
    mixed = ["".join(rng.choices(PIECES, k=rng.randint(2, 9))) for _ in range(NUM_MIXED)]
    texts = [f"{text}\n\nend" for text in (*ATTACKS, *mixed)]
    page = render([*map(said, texts), *(answered(text, parse_grounding(text)) for text in texts)])
    found = set(page.evaluate(FOUND))
    assert found - HARMLESS == set()
    assert {"code", "pre", "table", "a", "blockquote"} <= found


def test_formulas_and_code_are_shown(render: Callable[[Sequence[ChatMessage]], Page]) -> None:
    text = (
        "So $$a < b_{[1]} \\text{`x'}!$$ and\n\n$$\n\\frac{1}{2}\n$$\n\n`if x < y[0]:` \\!\n\n    echo $$ <b>\n\n"
        "```bash\nkill $$; echo $$\n```\n\n| a |\n|-|\n| `x | y` |"
    )
    page = render([said(text)])
    page.wait_for_function("() => document.querySelectorAll('#chat .md .katex-display').length >= 2")
    formulas = page.locator("#chat .md annotation").all_text_contents()
    assert [formula.strip() for formula in formulas] == ["a < b_{[1]} \\text{`x'}!", "\\frac{1}{2}"]
    code = [part.strip() for part in page.locator("#chat .md code").all_text_contents()]
    assert code == ["if x < y[0]:", "echo $$ <b>", "kill $$; echo $$", "x | y"]
