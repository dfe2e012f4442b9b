"""The player of a clip in a real browser, which goes on into the next answer about the clip."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser_steps import OpenPage, choose_fast, say
from tests.media_makers import write_clip
from tests.page_server import PageServer

pytestmark = pytest.mark.browser
AT_A_SECOND = """() => {
    const player = document.querySelector("#evidence video");
    return !player.seeking && Math.abs(player.currentTime - 1.5) < 0.01;
}"""
"""Of a clip that begins half a second late."""


def write_late(path: Path) -> Path:
    """A clip on disk whose first frame is at half a second, as where it was cut out of a longer one."""
    times_ms = [500 + 40 * number for number in range(50)]
    return write_clip(path, frames=50, times_ms=times_ms, size=(320, 240))


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """Such a clip, of which its player tells where it begins."""
    return write_late(tmp_path / "late.mp4")


@pytest.fixture
def fast_page(scripted_server: PageServer, open_page: OpenPage) -> Page:
    """An open page that is answered without a thought."""
    page = open_page(scripted_server)
    choose_fast(page)
    return page


def ask_on(page: Page) -> None:
    """Have the scripted page answer another question about the same clip."""
    say(page, 'At 0:01 it turns.\n\n{"00:01.00 - 00:01.50": "it turns"}')
    expect(page.locator("#evidence .gb-events button")).to_be_visible()


def test_a_clip_that_begins_late_is_sought_right_after_another_question(fast_page: Page, late: Path) -> None:
    """Where it begins was forgotten with the answer before."""
    page = fast_page
    say(page, "It turns.", late)
    page.wait_for_function("document.querySelector('#evidence video').readyState > 0")
    ask_on(page)
    page.locator("#chat").get_by_text("0:01", exact=True).click()
    page.wait_for_function(AT_A_SECOND)


def test_a_clip_whose_player_begins_at_0_is_sought_from_its_first_frame(fast_page: Page, tmp_path: Path) -> None:
    """Of a Matroska file Chromium says 0, though its first frame is later, and all was sought early by that much."""
    page = fast_page
    say(page, "It turns at 0:01.", write_late(tmp_path / "late.mkv"))
    page.locator("#chat").get_by_text("0:01", exact=True).click()
    page.wait_for_function(AT_A_SECOND)


def test_a_time_is_sought_that_was_pressed_before_the_clip_was_there_and_the_next_answer(
    fast_page: Page, late: Path
) -> None:
    page = fast_page
    held: list[Route] = []
    page.route("**/late.mp4", lambda route: held.append(route))
    say(page, "It turns at 0:01.", late)
    page.locator("#chat").get_by_text("0:01", exact=True).click()
    ask_on(page)
    for route in held:
        route.continue_()
    page.unroute("**/late.mp4")
    page.wait_for_function(AT_A_SECOND)


def test_a_clip_that_cannot_be_played_is_told_of_at_every_answer(fast_page: Page, tmp_path: Path) -> None:
    """The sentence went at the next one, and left a black player."""
    page = fast_page
    say(page, "It turns.", write_clip(tmp_path / "clip.avi", size=(320, 240)))
    told = page.get_by_text("This browser cannot play the file.")
    expect(told).to_be_visible()
    ask_on(page)
    expect(told).to_be_visible()
    expect(page.locator("#evidence video")).to_be_hidden()
