"""The camera in a real browser, which has a drawn one for tests."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser_steps import OpenPage, shoot
from tests.page_server import PageServer

pytestmark = pytest.mark.browser


def test_a_photo_and_a_clip_go_from_the_camera_into_the_composer(
    scripted_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(scripted_server)
    seen = "() => document.querySelector('#camera video').videoWidth > 0"
    page.click("#camera .gb-camera")
    page.wait_for_function(seen)
    shoot(page, "desk-camera")
    page.click("#camera [data-act=photo]")
    expect(page.locator("#costs li")).to_contain_text("photo.jpg")
    page.click("#camera .gb-camera")
    page.wait_for_function(seen)
    page.click("#camera [data-act=clip]")
    expect(page.locator("#camera p")).to_contain_text("Recording")
    page.wait_for_function("start => document.querySelector('#camera video').currentTime > start + 1", arg=0)
    page.click("#camera [data-act=clip]")
    expect(page.locator("#costs li").nth(1)).to_contain_text("clip.webm")
    expect(page.locator("#costs li").nth(1)).to_contain_text("visual tokens")
    expect(page.locator("#camera dialog")).to_be_hidden()
