"""Marking a part in a real browser, where fingers, answers and slow cuts come in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.browser_steps import OpenPage, choose_fast
from tests.page_server import SAY, PageServer
from tests.test_page_evidence import drag, say

pytestmark = pytest.mark.browser


def test_the_next_question_is_about_the_part_that_was_dragged_last(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """A second drag drew its band and was dropped where the part before was still being cut out."""
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, "It is a square.", picture)
    held: list[Route] = []
    page.route("**/run/predict*", lambda route: route.continue_() if held else held.append(route))
    stage = page.locator("#evidence .gb-figure .gb-stage")
    with page.expect_request("**/run/predict*"):
        drag(page, stage, (0.1, 0.1), (0.3, 0.3))
    drag(page, stage, (0.6, 0.6), (0.9, 0.9))
    held[0].continue_()
    expect(page.locator("#pointed")).to_contain_text("In this region [600, 600, 900, 900]")


def test_an_answer_that_comes_while_keys_mark_a_part_is_drawn(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """What left the keys took away what the framework was about to, which then drew half of the answer."""
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, "It is a square.", picture)
    page.fill("#composer textarea", f'{SAY}[{{"bbox_2d": [100, 100, 300, 400], "label": "ball"}}]')
    page.get_by_role("button", name="Mark a part").press("Enter")
    expect(page.locator(".gb-by-keys")).to_be_focused()
    page.locator("#composer .submit-button").dispatch_event("click")
    expect(page.locator("#evidence .gb-chip")).to_contain_text("ball")
    expect(page.locator(".gb-by-keys, #evidence .gb-band")).to_have_count(0)
