"""What Safari does otherwise than Chromium, done to Chromium: the page works with that too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.page.components import STYLES
from tests.browser_steps import DESK, PHONE, SLOW_MS, OpenPage, ask, choose_fast, wait_for_end
from tests.page_server import ROOT, SAY, PageServer

WRITES_IN_A_PRESS_ALONE = """() => {
    for (const name of ["write", "writeText"]) {
        const plain = navigator.clipboard[name].bind(navigator.clipboard);
        navigator.clipboard[name] = (what) => window.event?.type === "click"
            ? plain(what) : Promise.reject(new DOMException("Not in a press.", "NotAllowedError"));
    }
    document.execCommand = () => false;
}"""
NO_STORES = """for (const name of ["sessionStorage", "localStorage"]) {
    Object.defineProperty(window, name, {
        configurable: true, get() { throw new DOMException("It is denied.", "SecurityError"); },
    });
}"""
RECORDS_MP4 = """() => {
    const Plain = MediaRecorder;
    window.MediaRecorder = class extends Plain {
        constructor(stream) { super(stream, { mimeType: "video/mp4" }); }
    };
}"""

MARKED = {"picture": ("shapes.png", ".gb-stage"), "clip": ("moving-circle.mp4", ".gb-timeline")}
SMALLER_FIELDS = """() => [...document.querySelectorAll("input, textarea, select")]
    .filter(({ type }) => !["file", "checkbox", "radio", "range"].includes(type))
    .filter((field) => parseFloat(getComputedStyle(field).fontSize) < 16).map((field) => field.outerHTML)"""


def answered(page: Page, answer: str, file: Path | None = None) -> None:
    """Have the scripted page give that answer."""
    choose_fast(page)
    ask(page, SAY + answer, file)
    wait_for_end(page, "Done")


@pytest.mark.browser
@pytest.mark.parametrize("is_taken", [True, False], ids=["taken", "refused"])
def test_an_answer_is_copied_where_only_a_press_may_write(
    is_taken: bool, scripted_server: PageServer, open_page: OpenPage
) -> None:
    """Its words come from the server, after the press: nothing was copied, and a tick was shown all the same."""
    page = open_page(scripted_server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(WRITES_IN_A_PRESS_ALONE)
    if not is_taken:
        page.evaluate("() => { delete window.ClipboardItem; }")
    answered(page, "It is red.")
    copy = page.locator("#chat .bot-row .message-buttons-left button").first
    copy.click()
    expect(copy).to_have_accessible_name("Copied" if is_taken else "Not copied")
    mark = copy.locator("div").evaluate("div => getComputedStyle(div, '::after').content")
    assert mark == ('"✓"' if is_taken else '"✕"')
    if is_taken:
        assert page.evaluate("navigator.clipboard.readText()") == "It is red."


@pytest.mark.browser
def test_the_page_answers_where_the_browser_denies_its_stores(scripted_server: PageServer, open_page: OpenPage) -> None:
    """With cookies blocked, it never came past its loading, or did nothing on Send."""
    page = open_page(scripted_server)
    page.add_init_script(NO_STORES)
    page.reload()
    expect(page.locator("#about b")).to_be_visible(timeout=SLOW_MS)
    expect(page.locator("#composer textarea")).to_be_editable()
    answered(page, "It is red.")
    expect(page.locator("#chat .bot-row")).to_contain_text("It is red.")


@pytest.mark.browser
def test_a_clip_of_the_camera_is_named_as_what_it_is(scripted_server: PageServer, open_page: OpenPage) -> None:
    """What Safari records is MP4, and was sent as WebM."""
    page = open_page(scripted_server)
    page.evaluate(RECORDS_MP4)
    page.click("#camera .gb-camera")
    page.wait_for_function("document.querySelector('#camera video').videoWidth > 0")
    page.click("#camera [data-act=clip]")
    page.wait_for_function("document.querySelector('#camera video').currentTime > 1")
    page.click("#camera [data-act=clip]")
    expect(page.locator("#costs li")).to_contain_text("clip.mp4")
    expect(page.locator("#costs li")).to_contain_text("visual tokens")


@pytest.mark.browser
@pytest.mark.parametrize("kind", MARKED)
def test_a_drag_that_leaves_what_it_marks_selects_no_words(
    kind: str, page_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(page_server)
    name, surface = MARKED[kind]
    choose_fast(page)
    ask(page, "What is it?", ROOT / "assets" / "examples" / name)
    wait_for_end(page, "Done")
    page.locator(f"#evidence {surface}").first.hover(position={"x": 40, "y": 5})
    page.mouse.down()
    page.locator(f"#evidence {surface}").first.hover()
    page.locator("#evidence .gb-hint").first.hover(force=True)
    assert page.evaluate("String(getSelection())") == ""
    page.mouse.up()
    expect(page.locator("#pointed p")).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESK, (1280, 862), (900, 862)], ids=str)
def test_a_page_of_two_panes_does_not_scroll(
    size: tuple[int, int], page_server: PageServer, open_page: OpenPage
) -> None:
    """Where the header took two lines the page was a few pixels too high, and WebKit's bar for scrolling lay over the
    button of the settings, which a press did not open any more."""
    page = open_page(page_server, size)
    choose_fast(page)
    ask(page, "What is it?", ROOT / "assets" / "examples" / "shapes.png")
    wait_for_end(page, "Done")
    assert page.evaluate("document.documentElement.scrollHeight") == size[1]


@pytest.mark.browser
def test_a_question_can_be_typed_in_a_low_window(page_server: PageServer, open_page: OpenPage) -> None:
    """On a phone held sideways the composer had no height, and lay below the end of the page."""
    page = open_page(page_server, PHONE[::-1])
    composer = page.locator("#composer")
    composer.scroll_into_view_if_needed()
    frame = composer.bounding_box()
    assert frame is not None
    assert frame["height"] > 40
    assert frame["y"] + frame["height"] <= PHONE[0]


@pytest.mark.browser
def test_no_field_is_zoomed_in_to_on_a_phone(browser: Browser, page_server: PageServer) -> None:
    """Safari zooms in to a field whose letters are under 16 px as it is tapped, and stays so."""
    phone = browser.new_page(viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True, is_mobile=True)
    try:
        phone.goto(page_server.address)
        expect(phone.locator("#composer textarea")).to_be_editable()
        assert phone.evaluate(SMALLER_FIELDS) == []
    finally:
        phone.close()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_the_styles_are_written_as_older_safaris_read_them(style: Path) -> None:
    """`user-select` has its prefix, without which no Safari heeds it, and before 17.2 a rule within another is dropped
    where it begins with a letter."""
    text = style.read_text(encoding="utf-8")
    assert re.findall(r"(?<!-webkit-user-select: none; )(?<!-webkit-)user-select", text) == []
    assert re.findall(r"^ {4}[a-z][^;\n]*\{", text, re.M) == []
