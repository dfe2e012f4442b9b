"""Where Firefox and Chromium draw a page otherwise: what causes it is seen in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser_steps import PHONE, OpenPage
from tests.page_server import PageServer

SCHEME = "() => getComputedStyle(document.querySelector('#chat [role=log]')).colorScheme"


@pytest.mark.browser
def test_the_words_of_an_empty_composer_bring_no_scroll_bar(scripted_server: PageServer, open_page: OpenPage) -> None:
    """On a phone they are wider than their place: Firefox scrolls a field by them, and its bar lay over the line."""
    field = open_page(scripted_server, size=PHONE).locator("#composer textarea")
    expect(field).to_have_css("overflow-x", "hidden")


@pytest.mark.browser
@pytest.mark.parametrize("is_dark", [True, False], ids=["dark", "light"])
def test_scroll_bars_are_as_dark_as_the_page(is_dark: bool, scripted_server: PageServer, open_page: OpenPage) -> None:
    """Firefox goes by what lies behind them. Chromium drew them white on the dark page, where they take room."""
    page = open_page(scripted_server, is_dark=is_dark)
    assert (page.evaluate(SCHEME) == "dark") is is_dark
