"""Keys that are meant for something else than the page: an input method, an open list, a picture, a part of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser_steps import OpenPage, ask, choose_fast, wait_for_end
from tests.page_server import SAY, PageServer

pytestmark = pytest.mark.browser

KEYS = {"Enter": 13, "Escape": 27}


def compose(page: Page, text: str, key: str) -> None:
    """Write with an input method, which then gets the key."""
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})
    pressed = {"type": "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
    session.send("Input.dispatchKeyEvent", pressed)


def think(page: Page) -> None:
    page.click("#settings .toggle-button")
    page.get_by_label("Think").check()
    page.click("#settings .toggle-button")


def test_whoever_asks_by_keys_goes_on_where_the_question_was_typed(
    scripted_server: PageServer, open_page: OpenPage
) -> None:
    """The composer takes no focus while an answer runs, and nothing had it afterwards."""
    page = open_page(scripted_server)
    choose_fast(page)
    composer, elsewhere = page.locator("#composer textarea"), page.locator("#new-chat")
    composer.fill(f"{SAY}One.")
    composer.press("Enter")
    wait_for_end(page, "Done")
    expect(composer).to_be_focused()
    composer.fill(f"{SAY}Two.")
    composer.press("Enter")
    elsewhere.focus()
    wait_for_end(page, "Done")
    expect(page.locator("#chat .bot-row")).to_have_count(2)
    expect(elsewhere).to_be_focused()


def test_an_edit_is_gone_on_with_in_the_composer(scripted_server: PageServer, open_page: OpenPage) -> None:
    """The focus stayed on the pencil, and went nowhere with the button that leaves the edit."""
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, f"{SAY}One.")
    wait_for_end(page, "Done")
    composer = page.locator("#composer textarea")
    page.locator("#chat .user-row .message-buttons-right button:visible").first.press("Enter")
    expect(composer).to_have_value(f"{SAY}One.")
    expect(composer).to_be_focused()
    page.locator("#leave-edit").press("Enter")
    expect(composer).to_have_value("")
    expect(composer).to_be_focused()


def test_an_input_method_ends_no_edit(scripted_server: PageServer, open_page: OpenPage) -> None:
    """The key that takes a composition back took all that was typed as well."""
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, f"{SAY}One.")
    wait_for_end(page, "Done")
    page.locator("#chat .user-row .feather-edit-2:visible").click()
    composer = page.locator("#composer textarea")
    expect(composer).to_have_value(f"{SAY}One.")
    composer.press("End")
    page.keyboard.type(" Two.")
    page.evaluate("document.addEventListener('click', ({ target }) => { window.pressed = target.outerHTML; }, true)")
    compose(page, "あか", "Escape")
    expect(composer).to_have_value(f"{SAY}One. Two.あか")
    assert page.evaluate("window.pressed") is None  # no button was, by the key
    expect(page.locator("#leave-edit")).to_be_visible()


def test_escape_closes_an_open_list_and_a_zoomed_picture_before_it_stops_the_answer(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, f'{SAY}[{{"bbox_2d": [100, 200, 300, 600], "label": "circle"}}]', picture)
    wait_for_end(page, "Done")
    page.locator("#requests .label-wrap").first.click()
    think(page)
    ask(page, "Hello")
    thought = page.locator("#chat .thought-group")
    expect(thought).to_contain_text("Step 1 of the thought.")
    chosen = page.get_by_label("Compare", exact=True).and_(page.get_by_role("combobox"))
    chosen.click()
    expect(chosen).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(chosen).to_have_attribute("aria-expanded", "false")
    zoomed = page.locator("#evidence .gb-zoomed")
    for mark in (page.locator("#evidence .gb-show"), page.locator("#evidence .gb-mark .gb-box")):
        mark.click()
        expect(zoomed).to_have_count(1)
        page.keyboard.press("Escape")
        expect(zoomed).to_have_count(0)
    expect(thought).to_contain_text("Step 6 of the thought.")
    page.keyboard.press("Escape")
    wait_for_end(page, "Stopped by you")


def test_keys_mark_a_part_of_a_picture(scripted_server: PageServer, open_page: OpenPage, picture: Path) -> None:
    """Only a pointer could."""
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, f"{SAY}It is a square.", picture)
    wait_for_end(page, "Done")
    button, pointed = page.get_by_role("button", name="Mark a part"), page.locator("#pointed")
    page.locator("#evidence .gb-seen summary").focus()
    page.keyboard.press("Shift+Tab")
    expect(button).to_be_focused()
    expect(button).to_have_css("opacity", "1")
    page.keyboard.press("Enter")
    part = page.get_by_role("application", name="Arrows move the part")
    expect(part).to_be_focused()
    told = page.locator("#evidence [role=status]")
    expect(told).to_have_text("25 to 75 percent across, 25 to 75 percent down")
    for key in ["ArrowRight", "ArrowUp", "Shift+ArrowRight", *["Shift+ArrowDown"] * 20]:
        page.keyboard.press(key)
    expect(told).to_have_text("27 to 79 percent across, 23 to 100 percent down")
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(page.locator("#evidence .gb-band")).to_have_count(0)
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(pointed).to_contain_text("In this region [0, 250, 500, 750]")
    expect(page.locator("#evidence .gb-band")).to_be_visible()
    expect(page.locator("#composer textarea")).to_be_focused()
