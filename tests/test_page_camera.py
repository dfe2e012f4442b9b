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


ASKED_AND_ASKED_AGAIN = """async () => {
    const { mediaDevices } = navigator, found = mediaDevices.getUserMedia.bind(mediaDevices), streams = [];
    const [dialog, camera, close] = ["dialog", ".gb-camera", "[data-act=close]"]
        .map((one) => document.querySelector(`#camera ${one}`));
    mediaDevices.getUserMedia = (wanted) => streams[streams.push(found(wanted)) - 1];
    for (const button of [camera, close, camera]) button.click();
    const tracks = (await Promise.all(streams)).flatMap((stream) => stream.getTracks());
    const closed = new Promise((resolve) => dialog.addEventListener("close", resolve));
    close.click();
    await closed;
    return tracks.map((track) => track.readyState);
}"""
"""Opens the camera, closes it while the browser still asks, opens it once more, and closes it."""


def test_a_camera_that_was_opened_again_is_off_once_it_is_closed(
    scripted_server: PageServer, open_page: OpenPage
) -> None:
    """What came for the first opening stayed on until the page was left."""
    page = open_page(scripted_server)
    assert page.evaluate(ASKED_AND_ASKED_AGAIN) == ["ended", "ended"]
