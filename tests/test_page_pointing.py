"""Marking a part in a real browser, where fingers, answers and slow cuts come in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from pipelines.page.components import STYLES
from tests.browser_steps import SLOW_MS, OpenPage, choose_fast, drag, say
from tests.conftest import ARGUMENTS, CHROMIUM
from tests.page_server import ROOT, SAY, PageServer

pytestmark = pytest.mark.browser
CLIP = ROOT / "assets" / "examples" / "moving-circle.mp4"
TOUCH_LAPTOP = "--blink-settings=primaryPointerType=4,availablePointerTypes=6"
"""Has a mouse, and a screen that is touched."""


@pytest.fixture
def touched(browser: Browser, scripted_server: PageServer) -> Iterator[Page]:
    """A page that is touched, with an answer about a clip."""
    page = browser.new_page(has_touch=True)
    page.goto(scripted_server.address)
    expect(page.locator("#about b")).to_be_visible(timeout=SLOW_MS)
    choose_fast(page)
    say(page, "It moves.", CLIP)
    yield page
    page.close()


def swipe(page: Page, *fingers: Sequence[float]) -> None:
    """Put fingers on the timeline, one after the other, and move each over places that are shares of its width."""
    timeline = page.locator("#evidence .gb-timeline")
    timeline.scroll_into_view_if_needed()
    frame = timeline.bounding_box()
    assert frame is not None
    session = page.context.new_cdp_session(page)

    def send(kind: str, shares: Sequence[float]) -> None:
        y = frame["y"] + frame["height"] / 2
        points = [{"x": frame["x"] + share * frame["width"], "y": y, "id": id} for id, share in enumerate(shares)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    begun = [finger[0] for finger in fingers]
    for count in range(1, len(begun) + 1):
        send("touchStart", begun[:count])
    for places in zip(*(finger[1:] for finger in fingers), strict=True):
        send("touchMove", places)
    send("touchEnd", [])


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


def test_what_a_finger_marked_is_left_by_one_press(touched: Page) -> None:
    """The first press after such a drag was taken for its end: no click follows it."""
    swipe(touched, (0.25, 0.4, 0.6, 0.75))
    expect(touched.locator("#pointed")).to_contain_text("Between 1.0 and 3.0 seconds")
    touched.locator("#pointed button").press("Enter")
    expect(touched.locator("#pointed p")).to_have_count(0)


def test_two_fingers_mark_nothing(touched: Page) -> None:
    """What enlarges a page marked a part as well."""
    swipe(touched, (0.4, 0.3, 0.2), (0.6, 0.7, 0.8))
    assert touched.evaluate("glassbox.part") is None
    expect(touched.locator("#evidence .gb-chosen")).to_have_attribute("width", "0")


def test_a_drag_ends_with_the_picture_that_it_marks(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """It went on over whatever came in the place of the picture, and was complained of."""
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, "It is a square.", picture)
    page.locator("#evidence .gb-figure .gb-stage").hover(position={"x": 20, "y": 20})
    page.mouse.down()
    page.locator("#new-chat").dispatch_event("click")
    expect(page.locator("#evidence .gb-empty")).to_be_visible()
    page.locator("#evidence .gb-empty").hover()
    page.mouse.up()
    assert page.evaluate("glassbox.part") is None


@pytest.mark.parametrize(("argument", "opacity"), [(TOUCH_LAPTOP, "1"), ("--mute-audio", "0")], ids=["touch", "mouse"])
def test_the_button_for_fingers_is_shown_wherever_a_screen_is_touched(
    argument: str, opacity: str, browser: Browser
) -> None:
    """A laptop with both has a mouse first, and was shown none."""
    laptop = browser.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, argument])
    page = laptop.new_page()
    page.set_content('<button class="gb-mark-part">Mark a part</button>')
    page.add_style_tag(path=STYLES[0])
    expect(page.get_by_role("button")).to_have_css("opacity", opacity)
    laptop.close()
