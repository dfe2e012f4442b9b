"""Where Firefox and Chromium draw a page otherwise: what causes it is seen in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser_steps import PHONE, OpenPage
from tests.page_server import PageServer


@pytest.mark.browser
def test_the_words_of_an_empty_composer_bring_no_scroll_bar(scripted_server: PageServer, open_page: OpenPage) -> None:
    """On a phone they are wider than their place: Firefox scrolls a field by them, and its bar lay over the line."""
    field = open_page(scripted_server, size=PHONE).locator("#composer textarea")
    expect(field).to_have_css("overflow-x", "hidden")
