"""What goes wrong for a person who asks, in a real browser: a sentence that says what to do, and nothing typed is lost.

Files that cannot be read, nothing to send and a reply that is cut off stand in `test_page_browser`, uploads too large
or too many in `test_page_upload`, and a server that dies in `test_page_kept`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipelines.page.waiting import BUSY
from tests.browser_steps import PHONE, OpenPage, add, ask, choose_fast, shoot, wait_for_end
from tests.page_server import QUEUED, SCRIPTED, TOO_LARGE, PageServer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def strict_server() -> Iterator[PageServer]:
    """A scripted page on which one question may be asked from an address at a time."""
    server = PageServer(SCRIPTED, options=["1"])
    try:
        yield server
    finally:
        server.close()


def expect_draft(page: Page, question: str) -> None:
    expect(page.locator("#composer textarea")).to_have_value(question)
    expect(page.locator("#composer .thumbnail-item")).to_have_count(1)
    expect(page.locator("#chat .user-row")).to_have_count(0)


def test_too_little_memory_is_told_with_what_to_do(
    strict_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """What the picture costs was told no more where the answer about the emptied composer came last."""
    page = open_page(strict_server)
    add(page, picture)
    expect(page.locator("#costs li")).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "queue/join" in request.url else None)
    ask(page, TOO_LARGE)
    wait_for_end(page, "The CPU ran out of memory: ask with fewer frames, a smaller picture or a shorter conversation.")
    expect_draft(page, TOO_LARGE)
    expect(page.locator("#costs li")).to_have_count(1)
    assert sum(one.startswith('{"data":["[]",') for one in asked) <= 1
    shoot(page, "desk-out-of-memory")


def test_the_place_in_the_queue_is_told_and_can_be_left(
    strict_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    page = open_page(strict_server)
    ask(page, QUEUED, picture)
    expect(page.locator("#status")).to_contain_text("Waiting · 2 before you")
    shoot(page, "desk-queue")
    page.click("#composer .stop-button")
    wait_for_end(page, "Stopped by you")


def test_a_check_beyond_the_quota_is_told_and_can_be_asked_again(
    strict_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    first, second = open_page(strict_server), open_page(strict_server)
    choose_fast(first)
    ask(first, "Where?", picture)
    wait_for_end(first, "Done")
    ask(second, "Hello")
    expect(second.locator("#chat .thought-group")).to_contain_text("Step 1 of the thought.")
    check = first.locator("#evidence .gb-check").first
    check.click()
    expect(check).to_have_text("Your address has as many questions here as it may (1): wait until one has ended.")
    second.click("#composer .stop-button")
    wait_for_end(second, "Stopped by you")
    check.click()
    expect(check).to_have_text("cannot be checked")


def test_a_used_up_quota_is_told_and_the_question_stays(
    strict_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    first, second = open_page(strict_server), open_page(strict_server)
    ask(first, "Hello")
    expect(first.locator("#chat .thought-group")).to_contain_text("Step 1 of the thought.")
    ask(second, "Is it a square?", picture)
    wait_for_end(second, "Your address has as many questions here as it may (1): wait until one has ended.")
    expect_draft(second, "Is it a square?")
    first.click("#composer .stop-button")
    wait_for_end(first, "Stopped by you")
    second.click("#composer .submit-button")
    expect(second.locator("#chat .thought-group")).to_contain_text("Step 1 of the thought.")
    second.click("#composer .stop-button")
    wait_for_end(second, "Stopped by you")


def test_a_long_name_in_what_went_wrong_is_not_cut_off(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    """On a phone what to do about it lay outside of the window."""
    file = tmp_path / f"{'holiday_pictures_' * 8}.png"
    file.write_text("This is no picture.")
    page = open_page(scripted_server, PHONE)
    ask(page, "What is this?", file)
    wait_for_end(page, "is not a picture or clip that can be read")
    assert page.locator("#status .gb-error").evaluate("found => found.scrollWidth - found.clientWidth") == 0


def test_a_question_that_the_queue_has_no_room_for_comes_back(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """Send was Stop from then on, which stopped nothing: only loading the page again gave the composer back."""
    page = open_page(scripted_server, may_complain=True)
    add(page, picture)
    expect(page.locator("#costs li")).to_have_count(1)
    page.route("**/queue/join*", lambda route: route.fulfill(status=503, json={"detail": BUSY}))
    ask(page, "Is it a square?")
    expect(page.locator(".toast-body").first).to_be_visible()
    wait_for_end(page, "")
    expect_draft(page, "Is it a square?")
    page.unroute("**/queue/join*")
    page.click("#composer .submit-button")
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 1 of the thought.")
    page.click("#composer .stop-button")
    wait_for_end(page, "Stopped by you")


def test_a_check_that_the_queue_has_no_room_for_can_be_asked_again(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """Its button said that it is checked until the page was loaded again."""
    page = open_page(scripted_server, may_complain=True)
    choose_fast(page)
    ask(page, "Where?", picture)
    wait_for_end(page, "Done")
    check = page.locator("#evidence .gb-check").first
    page.route("**/queue/join*", lambda route: route.fulfill(status=503, json={"detail": BUSY}))
    check.click()
    expect(page.locator(".toast-body").first).to_be_visible()
    expect(check).to_be_enabled()
    expect(check).to_have_text("Check")
    page.unroute("**/queue/join*")
    check.click()
    expect(check).to_have_text("cannot be checked")
