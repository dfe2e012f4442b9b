"""Looking closer, words, heat maps and checks in a real browser, with the model that ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from pipelines.demo.cases import make_cases
from tests.browser_steps import DESK, PHONE, SLOW_MS, OpenPage, ask, choose_fast, example, shoot, wait_for_end
from tests.media_makers import write_clip
from tests.page_server import SAY, PageServer

pytestmark = pytest.mark.browser


def described(page_server: PageServer, open_page: OpenPage) -> Page:
    """A page with a picture that the model has described, word by word."""
    page = open_page(page_server, DESK)
    choose_fast(page)
    ask(page, "Describe the picture.", example("png").path)
    wait_for_end(page, "Done")
    page.locator("#words button").first.click()
    return page


def test_the_model_looks_closer_and_answers(page_server: PageServer, open_page: OpenPage, tmp_path: Path) -> None:
    """The call, the part with its frame on the original, and the answer behind it."""
    case = make_cases("zoom", 1)[0]
    [picture] = case.query.media
    Image.fromarray(picture.rgb).save(tmp_path / "small.png")
    page = open_page(page_server, DESK)
    page.click("#settings .toggle-button")
    page.get_by_label("Look closer").check()
    page.click("#settings .toggle-button")
    ask(page, case.query.question, tmp_path / "small.png")
    wait_for_end(page, "Done")
    look = page.locator("#chat .gb-look").first
    expect(look).to_contain_text(re.compile(r"Look 1: .* of small\.png · \d+ ms"))
    expect(look.locator("img")).to_have_count(2)
    assert look.locator("img").last.evaluate("image => image.naturalWidth") > 0
    expect(page.locator("#chat .bot").last).to_contain_text(re.compile(r"\w"))
    shoot(page, "desk-looked-closer")


def test_frames_of_a_span_of_a_clip_come_into_the_chain_and_six_looks_at_most(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    """The model calls again and again; the seventh call is told that none is left, and ends it."""
    arguments = {"start_s": "0.5", "end_s": "1.5", "num_frames": "4"}
    parameters = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in arguments.items())
    call = f"<tool_call>\n<function=clip_frames_tool>\n{parameters}</function>\n</tool_call>"
    page = open_page(scripted_server, DESK)
    page.click("#settings .toggle-button")
    page.get_by_label("Fast").check()
    page.get_by_label("Look closer").check()
    page.click("#settings .toggle-button")
    ask(page, SAY + call, write_clip(tmp_path / "clip.mp4", frames=60))
    wait_for_end(page, "Done")
    looks = page.locator("#chat .gb-look")
    expect(looks).to_have_count(7)
    expect(looks.first).to_contain_text(re.compile(r"Look 1: .*0\.5.*1\.5.* · \d+ ms"))
    expect(looks.first.locator("img")).to_have_count(4)
    expect(looks.last).to_contain_text("no call is left")
    shoot(page, "desk-looked-at-frames")


@pytest.mark.parametrize(("size", "is_dark"), [(DESK, False), (PHONE, True)], ids=["desk", "phone"])
def test_a_word_shows_how_sure_the_model_was_and_where_it_looked(
    page_server: PageServer, open_page: OpenPage, size: tuple[int, int], is_dark: bool
) -> None:
    page = open_page(page_server, size, is_dark=is_dark)
    ask(page, "Describe the picture.", example("png").path)
    wait_for_end(page, "Done")
    page.locator("#words button").first.click()
    words = page.locator("#by-word [data-tokens]")
    expect(words.first).to_be_visible()
    assert re.match(r"[01]\.\d{3}", words.first.get_attribute("title") or "")
    page.locator("#by-word .gb-tint").check()
    words.last.hover()
    expect(page.locator("#heat")).to_contain_text("of the attention went to what was seen", timeout=SLOW_MS)
    heat = page.locator("#evidence .gb-whole-picture .gb-stage").evaluate(
        "stage => getComputedStyle(stage, '::after').backgroundImage"
    )
    assert heat.startswith("radial-gradient(circle at ")
    assert 'url("data:image/png' in heat
    expect(page.locator("#by-word .gb-asked")).to_have_count(1)
    expect(page.locator("#heat p")).to_be_in_viewport(ratio=1)
    shoot(page, f"{'desk' if size == DESK else 'phone'}-words")


def test_what_was_looked_at_is_beside_the_words_where_the_picture_is_out_of_sight(
    page_server: PageServer, open_page: OpenPage
) -> None:
    """The ring that is told of could not be seen: the picture had scrolled away."""
    page = open_page(page_server, (1366, 600))
    choose_fast(page)
    ask(page, "Describe the picture.", example("png").path)
    wait_for_end(page, "Done")
    page.locator("#words button").first.click()
    words = page.locator("#by-word [data-tokens]")
    expect(words.last).to_be_visible()
    page.locator("#words").evaluate("words => words.scrollIntoView()")
    words.last.dispatch_event("click")
    copy = page.locator("#heat .gb-frame .gb-stage")
    expect(copy).to_be_in_viewport(ratio=1, timeout=SLOW_MS)
    ring = copy.evaluate("stage => getComputedStyle(stage, '::after').backgroundImage")
    assert ring.startswith("radial-gradient(circle at ")
    page.locator("#evidence").evaluate("evidence => evidence.scrollIntoView()")
    words.first.dispatch_event("click")
    expect(copy).to_have_count(0, timeout=SLOW_MS)
    page.locator("#words").evaluate("words => words.scrollIntoView()")
    words.last.dispatch_event("click")  # what tells of this word is put into the elements that told of the one before
    expect(copy).to_be_in_viewport(ratio=1, timeout=SLOW_MS)


def looked_at(page: Page) -> str:
    """The map of where the model looked at the word that is pointed at, once it is there."""
    expect(page.locator("#heat")).to_contain_text("of the attention went to what was seen", timeout=SLOW_MS)
    return page.locator("#heat style").text_content() or ""


def test_the_map_is_that_of_the_word_that_was_pointed_at_last(page_server: PageServer, open_page: OpenPage) -> None:
    """What waited for the look back at another word looked back at that one again, and showed it as its own."""
    page = described(page_server, open_page)
    words = page.locator("#by-word [data-tokens]")
    words.last.hover()
    wanted = looked_at(page)
    held: list[Route] = []
    page.route("**/queue/join*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/queue/join*"):
        words.first.hover()
    words.last.hover()
    expect(words.last).to_have_class("gb-asked")
    with page.expect_request("**/queue/join*"):
        held[0].continue_()
    page.wait_for_function("wanted => document.querySelector('#heat style').textContent === wanted", arg=wanted)


def test_a_word_of_the_next_answer_tells_where_the_model_looked(page_server: PageServer, open_page: OpenPage) -> None:
    """The word in the place of the one that was pointed at before counted as pointed at already."""
    page = described(page_server, open_page)
    word = page.locator("#by-word [data-tokens]").first
    word.hover()
    looked_at(page)
    page.click("#composer textarea")
    ask(page, "How many objects are there?")
    expect(page.locator("#chat .user-row")).to_have_count(2)
    wait_for_end(page, "Done")
    expect(page.locator("#heat p")).to_have_count(0)
    word.hover()
    looked_at(page)


def test_the_keyboard_walks_the_words(page_server: PageServer, open_page: OpenPage) -> None:
    """Only a pointer reached them."""
    page = described(page_server, open_page)
    words = page.locator("#by-word [data-tokens]")
    page.locator("#by-word .gb-tint").focus()
    page.keyboard.press("Tab")
    expect(words.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(words.nth(1)).to_be_focused()
    expect(words.nth(1)).to_have_class("gb-asked")
    expect(page.locator("#heat")).to_contain_text("of the attention went to what was seen", timeout=SLOW_MS)
    page.keyboard.press("ArrowLeft")
    expect(words.first).to_be_focused()


def test_a_mark_is_checked_by_itself(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server, DESK)
    choose_fast(page)
    ask(page, "Locate all objects. Report bbox coordinates in JSON format.", example("png").path)
    wait_for_end(page, "Done")
    button = page.locator("#evidence .gb-check").first
    button.click()
    expect(button).to_have_text(re.compile(r"checked [01]\.\d\d"), timeout=SLOW_MS)
    shoot(page, "desk-checked")
