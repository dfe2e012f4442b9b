"""A part of what the model saw, dragged or marked by keys, that goes along with the next question."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser_steps import TRACK, OpenPage, ask, choose_fast, drag, example, say, shoot, wait_for_end
from tests.page_server import PageServer

pytestmark = pytest.mark.browser


def test_a_dragged_box_changes_the_answer(page_server: PageServer, open_page: OpenPage) -> None:
    """The example holds five things, two of them in its left half, where alone the second question looks."""
    page = open_page(page_server)
    shapes = example("png", "red shapes")
    ask(page, "How many objects are there?", shapes.path)
    wait_for_end(page, "Done")
    expect(page.locator("#chat .bot").last).to_contain_text("5 objects")
    chip = page.locator("#pointed .gb-pointed")
    picture = page.locator("#evidence .gb-whole-picture .gb-stage")
    drag(page, picture, (0.01, 0.01), (0.45, 0.97))
    expect(chip).to_contain_text("In this region [10, 10, 450, 970]")
    chip.get_by_role("button").click()
    expect(chip).to_have_count(0)
    drag(page, picture, (0.45, 0.97), (0.01, 0.01))
    expect(chip.locator("img")).to_be_visible()
    shoot(page, "desk-pointed")
    ask(page, "How many objects are there?")
    expect(page.locator("#chat .user-row")).to_have_count(2)
    expect(chip).to_have_count(0)
    wait_for_end(page, "Done")
    expect(page.locator("#chat .bot").last).to_contain_text("2 objects")
    expect(page.locator("#chat .user-row").last.locator("img")).to_have_count(1)


def test_a_span_of_the_timeline_is_asked_about(
    scripted_server: PageServer, open_page: OpenPage, drawn_clip: Path
) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, "It turns.", drawn_clip)
    drag(page, page.locator("#evidence .gb-timeline"), (0.25, 0.5), (0.75, 0.5))
    expect(page.locator("#pointed")).to_contain_text("Between 1.0 and 3.0 seconds")
    expect(page.locator("#pointed img")).to_have_count(4)
    shoot(page, "desk-span")
    ask(page, "What happens?")
    wait_for_end(page, "Done")
    asked = page.locator("#chat .user-row").last
    expect(asked).to_contain_text("Between 1.0 and 3.0 seconds (see the frames at 1.2, 1.8, 2.2, 2.8 seconds): What")
    expect(asked.locator("img")).to_have_count(4)
    for image in asked.locator("img").all():
        expect(image).not_to_have_js_property("naturalWidth", 0)
    expect(page.locator("#evidence h2").last).to_contain_text("part of clip at 2.8 s.png")
    page.click("#new-chat")
    expect(page.locator("#evidence .gb-empty")).to_be_visible()
    expect(page.locator("#pointed p")).to_have_count(0)


def test_a_region_of_a_frame_is_asked_about(scripted_server: PageServer, open_page: OpenPage, drawn_clip: Path) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, TRACK, drawn_clip)
    drag(page, page.locator("#evidence .gb-figure .gb-stage").first, (0.1, 0.2), (0.6, 0.8))
    expect(page.locator("#pointed")).to_contain_text("At 1.1 seconds, in this region [100, 200, 600, 800]")
    expect(page.locator("#pointed img")).to_have_count(1)
    ask(page, "What is this?")
    wait_for_end(page, "Done")
    asked = page.locator("#chat .user-row").last
    expect(asked).to_contain_text("At 1.1 seconds, in this region [100, 200, 600, 800]: What is this?")
    expect(asked.locator("img")).to_have_count(1)
    expect(asked.locator("img")).not_to_have_js_property("naturalWidth", 0)


def test_keys_mark_a_span_of_a_clip(scripted_server: PageServer, open_page: OpenPage, drawn_clip: Path) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, "It turns.", drawn_clip)
    button, told = page.get_by_role("button", name="Mark a part"), page.locator("#evidence [role=status]")
    button.press("Enter")
    expect(told).to_have_text("1.0 – 3.0 s")
    page.keyboard.press("Tab")
    expect(told).to_have_count(0)
    button.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#pointed")).to_contain_text("Between 1.0 and 3.0 seconds")
