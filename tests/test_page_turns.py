"""Turns of a conversation in a real browser: ask again, take back, and change what was asked before."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser_steps import OpenPage, ask, choose_fast, shoot, wait_for_end
from tests.page_server import FREED, SAY, PageServer

pytestmark = pytest.mark.browser


def questions(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#chat .user-row .message-content").all_inner_texts()]


@pytest.fixture
def answered(scripted_server: PageServer, open_page: OpenPage, picture: Path) -> Page:
    """A page on which two questions were answered at once."""
    page = open_page(scripted_server)
    choose_fast(page)
    for count, (question, file) in enumerate((("What is in this picture?", picture), ("And its colour?", None)), 1):
        ask(page, question, file)
        expect(page.locator("#chat .user-row")).to_have_count(count)
        wait_for_end(page, "Done")
    return page


def test_an_earlier_question_is_changed_with_its_picture(answered: Page) -> None:
    answered.fill("#composer textarea", "typed already")
    answered.locator("#chat .user-row").first.hover()
    shoot(answered, "desk-turns")
    answered.locator("#chat .user-row").first.get_by_label("Edit").last.click()
    composer = answered.locator("#composer textarea")
    expect(composer).to_have_value("What is in this picture?")
    expect(answered.locator("#composer .thumbnail-item")).to_have_count(1)
    expect(answered.locator("#status")).to_contain_text("Editing question 1")
    shoot(answered, "desk-editing")
    composer.fill("Is there a square in this picture?")
    answered.click("#composer .submit-button")
    expect(answered.locator("#chat .user-row")).to_have_count(1)
    wait_for_end(answered, "Done")
    assert questions(answered) == ["Is there a square in this picture?"]
    expect(answered.locator("#chat .user-row img")).to_have_count(1)
    expect(composer).to_have_value("typed already")


def test_an_edit_can_be_left(answered: Page) -> None:
    answered.locator("#chat .user-row").last.get_by_label("Edit").last.click()
    expect(answered.locator("#composer textarea")).to_have_value("And its colour?")
    answered.click("#leave-edit")
    expect(answered.locator("#composer textarea")).to_have_value("")
    expect(answered.locator("#leave-edit")).to_be_hidden()
    assert questions(answered) == ["What is in this picture?", "And its colour?"]


def test_the_last_question_is_asked_again_and_taken_back(scripted_server: PageServer, answered: Page) -> None:
    scripted_server.drain()
    answered.fill("#composer textarea", "typed already")
    answered.get_by_label("Retry").last.click()
    scripted_server.wait_for(FREED)
    wait_for_end(answered, "Done")
    expect(answered.locator("#composer textarea")).to_have_value("typed already")
    assert questions(answered) == ["What is in this picture?", "And its colour?"]
    answered.get_by_label("Undo").last.click()
    expect(answered.locator("#chat .user-row")).to_have_count(1)
    expect(answered.locator("#composer textarea")).to_have_value("And its colour?\ntyped already")


TYPED = "2*3*4 = $$x^2$$ <b>&amp;</b>\n\n    - [a](b)\nשלום, מה זה?"
IN_HEBREW = "שלום.\n\nHello.\n\n- אחד\n- שתיים"
STARTS = """(block) => {
    const range = document.createRange();
    const text = document.createTreeWalker(block, NodeFilter.SHOW_TEXT).nextNode();
    range.setStart(text, 0);
    range.setEnd(text, 1);
    const letter = range.getBoundingClientRect(), {left, right} = block.getBoundingClientRect();
    return letter.left - left < right - letter.right ? "left" : "right";
}"""


def test_each_is_shown_as_it_was_written_from_its_own_side(scripted_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, f"{TYPED}\n{SAY}{IN_HEBREW}")
    wait_for_end(page, "Done")
    typed, answer = page.locator("#chat .user-row .gb-typed"), page.locator("#chat .bot").last
    assert typed.inner_text() == f"{TYPED}\n{SAY}{IN_HEBREW}"
    assert [block.evaluate(STARTS) for block in answer.locator("p").all()] == ["right", "left"]
    assert {block.evaluate(STARTS) for block in answer.locator("li").all()} == {"right"}
    expect(answer.locator("ul")).to_have_css("direction", "rtl")
    composer = page.locator("#composer textarea")
    composer.fill("שלום")
    expect(composer).to_have_css("unicode-bidi", "plaintext")
    shoot(page, "desk-hebrew")


def test_an_answer_is_copied(answered: Page) -> None:
    answered.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answered.get_by_label("Copy message").last.click()
    answered.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('red circle'))")
