"""What stays in its place in a real browser while an answer grows, and how a reader gets up and down the chat."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser_steps import DESK, PHONE, OpenPage, ask, open_settings, set_number, wait_for_end
from tests.page_server import LONG_TOKENS, PageServer

pytestmark = pytest.mark.browser

PARTS = ("#top", "#chat", "#status", "#composer", "#evidence-pane")
PLACES = """(parts) => {
    window.places = Object.fromEntries(parts.map((part) => [part, new Set()]));
    const note = () => {
        for (const part of parts) {
            const {x, y, width, height} = document.querySelector(part).getBoundingClientRect();
            window.places[part].add([x, y, width, height].map(Math.round).join(" "));
        }
        requestAnimationFrame(note);
    };
    note();
}"""
"""Notes, picture by picture of the screen, where the parts of the page are."""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_jumps_while_an_answer_streams(
    size: tuple[int, int], scripted_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(scripted_server, size)
    ask(page, "Hello")
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 2 of the thought.")
    page.evaluate(PLACES, PARTS)
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 9 of the thought.")
    places = page.evaluate("Object.entries(places).map(([part, found]) => [part, [...found]])")
    assert [found for found in places if len(found[1]) > 1] == []
    page.click("#composer .stop-button")
    wait_for_end(page, "Stopped by you")


def test_the_arrow_on_a_phone_goes_down_the_examples(scripted_server: PageServer, open_page: OpenPage) -> None:
    """What keeps the framework from scrolling past the first of them took each scroll back that no finger had made."""
    page = open_page(scripted_server, PHONE)
    page.locator("#chat .scroll-down-button-container button").click()
    page.wait_for_function(
        "() => { const log = document.querySelector('#chat [role=log]');"
        " return log.scrollTop > 0 && log.scrollTop + log.clientHeight >= log.scrollHeight - 4; }"
    )


def test_who_scrolls_up_reads_on_while_an_answer_grows(scripted_server: PageServer, open_page: OpenPage) -> None:
    """Each piece of the answer brought the chat back to its end, so that nobody could read what was above."""
    page = open_page(scripted_server)
    open_settings(page)
    set_number(page, "New tokens at most", str(3 * LONG_TOKENS))
    page.click("#settings .toggle-button")
    ask(page, "Hello")
    page.click("#answer-now")
    log = page.locator("#chat [role=log]")
    chat = "document.querySelector('#chat [role=log]')"
    page.wait_for_function(f"{chat}.scrollTop > 200")
    log.hover()
    page.mouse.wheel(0, -10_000)
    page.wait_for_function(f"{chat}.scrollTop === 0")
    height = log.evaluate("log => log.scrollHeight")
    page.wait_for_function(f"{chat}.scrollHeight > {height + 200}")
    assert log.evaluate("log => log.scrollTop") == 0
    page.locator("#chat .scroll-down-button-container button").click()
    page.wait_for_function(f"{chat}.scrollHeight > {height + 400} && {chat}.scrollTop > {height} - {chat}.clientHeight")
    page.click("#composer .stop-button")
    wait_for_end(page, "Stopped by you")
