"""What the page puts on the clipboard, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser_steps import OpenPage, choose_fast, say
from tests.page_server import PageServer

pytestmark = pytest.mark.browser

ANSWER = """The circle is at 3 s, <b> and ![x](y).

```json
[{"bbox_2d": [100, 200, 300, 600], "label": "circle"}]
```"""
NO_SECURE_CONTEXT = """() => {
    Object.defineProperty(navigator, "clipboard", {value: undefined});
    document.addEventListener("copy", () => { window.copied = document.activeElement.value; });
}"""
"""As a browser has it on a page that came over plain http from another machine."""


@pytest.mark.parametrize("is_secure", [True, False], ids=["https", "plain http"])
def test_an_answer_is_copied_as_the_model_wrote_it(
    is_secure: bool, scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """The links and tables that the page makes of it were copied instead."""
    page = open_page(scripted_server)
    if is_secure:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:
        page.evaluate(NO_SECURE_CONTEXT)
    choose_fast(page)
    say(page, ANSWER, picture)
    say(page, "It is red.")
    for row, words in ((0, ANSWER), (1, "It is red.")):
        copy = page.locator("#chat .bot-row").nth(row).locator(".message-buttons-left button").first
        copy.click()
        expect(copy).to_have_accessible_name("Copied")
        assert page.evaluate("navigator.clipboard ? navigator.clipboard.readText() : window.copied") == words
        expect(copy).to_have_accessible_name("Copy message")
