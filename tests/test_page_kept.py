"""Conversations that are kept, in a real browser: over a reload and a crash of the server, and carried elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from pipelines.archive import Archive
from pipelines.conversation import Draft, Reply, Round
from tests.browser_steps import PHONE, OpenPage, add, ask, choose_fast, open_settings, set_number, shoot, wait_for_end
from tests.media_makers import write_clip
from tests.page_server import FREED, SAY, SCRIPTED, PageServer, serving
from tests.test_page_copying import NO_SECURE_CONTEXT
from tests.test_page_keys import compose

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def keeping_server(data: Path) -> Iterator[PageServer]:
    """A scripted page that keeps conversations."""
    yield from serving(SCRIPTED, str(data))


PRESSES_GIVE_NO_FOCUS = """() => document.addEventListener("mousedown", (event) => {
    if (!event.target.closest("button")) return;
    event.preventDefault();
    document.activeElement.blur();
}, true)"""
"""As Safari has it."""


def answered(page: Page, question: str, file: Path | None = None) -> None:
    rows = page.locator("#chat .user-row")
    count = rows.count()
    ask(page, question, file)
    expect(rows).to_have_count(count + 1)
    wait_for_end(page, "Done")


def open_library(page: Page) -> None:
    page.get_by_label("Conversations").first.click()
    expect(page.locator("#kept")).to_be_in_viewport()


def test_whoever_types_while_the_page_loads_loses_nothing(keeping_server: PageServer, open_page: OpenPage) -> None:
    """What was typed by then came back as what was there before, over what was typed since."""
    page = open_page(keeping_server)
    restoring: list[Route] = []
    page.route("**/queue/join*", lambda route: restoring.append(route))
    with page.expect_request(lambda request: "is_linked" in (request.post_data or "")):
        page.reload()
    page.click("#new-chat")  # the list that follows was an error, as its field for searching is not there yet
    page.fill("#composer textarea", "Which one is it?")
    page.wait_for_function("sessionStorage.getItem('glassbox-draft')?.includes('Which')")
    expect(page.locator("#library .toggle-button")).to_be_hidden()
    for route in restoring:
        route.continue_()
    page.unroute("**/queue/join*")
    expect(page.locator("#library .toggle-button")).to_be_visible()
    expect(page.locator("#composer textarea")).to_have_value("Which one is it?")


def test_a_conversation_and_a_draft_survive_a_reload(
    keeping_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    page = open_page(keeping_server)
    choose_fast(page)
    answered(page, "What is in this picture?", picture)
    add(page, picture)
    page.fill("#composer textarea", "Not sent yet")
    page.wait_for_function("sessionStorage.getItem('glassbox-draft').includes('Not sent yet')")
    page.reload()
    expect(page.locator("#chat .user-row")).to_have_count(1)
    expect(page.locator("#chat .user-row img")).to_be_visible()
    expect(page.locator("#chat .bot").last).to_contain_text("red circle")
    expect(page.locator("#composer textarea")).to_have_value("Not sent yet")
    expect(page.locator("#composer .thumbnail-item")).to_have_count(1)
    answered(page, "And now?")


def test_the_evidence_is_drawn_again_after_a_reload_and_when_a_conversation_is_opened(
    keeping_server: PageServer, open_page: OpenPage, picture: Path, tmp_path: Path
) -> None:
    """Marks, frames, a player that seeks; and after an undo, that of the answer before."""
    clip = write_clip(tmp_path / "clip.mp4", frames=60)
    page = open_page(keeping_server)
    choose_fast(page)
    square = '[{"bbox_2d": [312, 250, 572, 562], "label": "blue square"}]'
    answered(page, SAY + square, picture)
    answered(page, f'{SAY}[{{"time": 1.0, "bbox_2d": [100, 100, 300, 400], "label": "ball"}}]', clip)
    pane = page.locator("#evidence")
    expect(pane.locator(".gb-chip")).to_have_text(re.compile("ball"))
    before = pane.locator(".gb-evidence").inner_html()
    page.reload()
    expect(pane.locator(".gb-chip")).to_have_text(re.compile("ball"))
    assert pane.locator(".gb-evidence").inner_html().count("<figure") == before.count("<figure")
    page.wait_for_function("document.querySelector('#evidence video').readyState > 0")
    pane.locator(".gb-chip .gb-show").click()
    page.wait_for_function("document.querySelector('#evidence video').currentTime === 1")
    shoot(page, "desk-reopened")
    page.click("#new-chat")
    expect(pane.locator(".gb-empty")).to_be_visible()
    open_library(page)
    page.locator("#kept [data-act=open]", has_text="Say:").first.click()
    expect(pane.locator(".gb-chip")).to_have_text(re.compile("ball"))
    page.get_by_role("button", name="Undo").click()
    expect(pane.locator(".gb-chip")).to_have_text(re.compile("blue square"))


def test_conversations_are_listed_searched_renamed_and_deleted(keeping_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(keeping_server)
    choose_fast(page)
    answered(page, "Hello zebra")
    page.click("#new-chat")
    expect(page.locator("#chat .user-row")).to_have_count(0)
    answered(page, "Hello giraffe")
    open_library(page)
    shoot(page, "desk-library")
    page.fill("#search input, #search textarea", "zebra")
    expect(page.locator("#kept li")).to_have_count(1)
    page.click("#kept [data-act=open]")
    expect(page.locator("#chat .user-row")).to_contain_text("Hello zebra")
    page.click("#kept [data-act=rename]")
    page.fill("#kept .gb-rename", "Stripes and <b>zebra</b>")
    page.keyboard.press("Enter")
    expect(page.locator("#kept .gb-title span")).to_have_text("Stripes and <b>zebra</b>")
    page.click("#kept [data-act=rename]")
    page.fill("#kept .gb-rename", "")
    compose(page, "あか", "Enter")  # which is for the input method
    expect(page.locator("#kept .gb-rename")).to_have_value("あか")
    page.fill("#kept .gb-rename", "Only zebra")
    page.locator("#search input, #search textarea").focus()
    page.click("#kept [data-act=rename]")
    expect(page.locator("#kept .gb-title span")).to_have_text("Only zebra")
    page.click("#kept [data-act=delete]")
    expect(page.locator("#kept [data-act=delete]")).to_contain_text("Delete for good?")
    expect(page.locator("#kept [data-act=delete]")).to_have_accessible_name("Delete for good? Only zebra")
    page.click("#kept [data-act=delete]")
    expect(page.locator("#kept")).to_contain_text("No conversation holds these words.")
    expect(page.locator("#chat .user-row")).to_have_count(0)


def test_a_deletion_that_was_not_meant_is_left_by_a_press_elsewhere(
    keeping_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """In Safari the button had no focus to lose: it went on to ask, and the next press deleted."""
    page = open_page(keeping_server)
    choose_fast(page)
    answered(page, "What is it?", picture)
    page.evaluate(PRESSES_GIVE_NO_FOCUS)
    open_library(page)
    delete = page.locator("#kept [data-act=delete]").first
    delete.click()
    expect(delete).to_have_text("Delete for good?")
    page.locator("#search input, #search textarea").click()
    expect(delete).to_have_text("Delete")


def about_to_ask_anew(keeping_server: PageServer, open_page: OpenPage) -> Page:
    """A page with its list open, and in a new chat a question that is not sent yet."""
    page = open_page(keeping_server)
    choose_fast(page)
    answered(page, f"{SAY}It is red.")
    page.click("#new-chat")
    expect(page.locator("#chat .user-row")).to_have_count(0)
    open_library(page)
    page.fill("#composer textarea", f"{SAY}It is blue.")
    return page


def test_a_title_that_is_typed_stays_while_the_list_changes(keeping_server: PageServer, open_page: OpenPage) -> None:
    """It was gone with the end of an answer."""
    page = about_to_ask_anew(keeping_server, open_page)
    count = page.locator("#kept li").count()
    page.locator("#kept [data-act=rename]").first.click()
    field = page.locator("#kept .gb-rename")
    field.fill("Holiday in June")
    page.locator("#composer .submit-button").dispatch_event("click")
    expect(page.locator("#kept li")).to_have_count(count + 1)
    expect(field).to_be_focused()
    field.press("Enter")
    expect(page.locator("#kept li").nth(1)).to_contain_text("Holiday in June")


def test_a_button_that_asks_again_is_named_after_the_row_that_it_is_in(
    keeping_server: PageServer, open_page: OpenPage
) -> None:
    """Where the list changed meanwhile it took the name of the conversation that was there before."""
    page = about_to_ask_anew(keeping_server, open_page)
    count = page.locator("#kept li").count()
    delete = page.locator("#kept [data-act=delete]").first
    delete.click()
    expect(delete).to_have_text("Delete for good?")
    page.locator("#composer .submit-button").dispatch_event("click")
    expect(page.locator("#kept li")).to_have_count(count + 1)
    page.click("#about b")
    expect(delete).to_have_accessible_name(f"Delete: {SAY}It is blue.")


def test_a_conversation_is_exported_imported_and_shared(
    keeping_server: PageServer, open_page: OpenPage, picture: Path, tmp_path: Path
) -> None:
    page = open_page(keeping_server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose_fast(page)
    answered(page, "Hello okapi in this picture", picture)
    open_library(page)
    mine = "#kept li:has-text('okapi')"
    page.click(f"{mine} [data-act=link]")
    expect(page.locator(f"{mine} [data-act=link]")).to_have_text("Copied")
    expect(page.locator(f"{mine} [data-act=link]")).to_have_accessible_name("Copied")
    link = str(page.evaluate("navigator.clipboard.readText()"))
    with page.expect_download() as download:
        page.click(f"{mine} [data-act=export]")
    download.value.save_as(tmp_path / "okapi.zip")
    page.set_input_files("#import input, input#import, #library input[type=file]", tmp_path / "okapi.zip")
    expect(page.locator(mine)).to_have_count(2)
    expect(page.locator("#chat .user-row img")).to_be_visible()
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    page.set_input_files("#import input, input#import, #library input[type=file]", tmp_path / "bad.zip")
    expect(page.locator(".toast-body")).to_contain_text("not an exported conversation")
    other = open_page(keeping_server, link=link)
    expect(other.locator("#chat .user-row")).to_contain_text("Hello okapi")
    assert "conversation=" not in other.url
    unknown = open_page(keeping_server, link=f"{link}0")
    expect(unknown.locator(".toast-body")).to_contain_text("This conversation is not kept here")


def test_a_reply_that_was_cut_off_goes_on_after_a_reload(keeping_server: PageServer, open_page: OpenPage) -> None:
    """The button was gone with the reload, and with an edit that was left."""
    page = open_page(keeping_server)
    open_settings(page)
    set_number(page, "New tokens at most", "64")
    page.click("#settings .toggle-button")
    ask(page, "Hello numbat")
    wait_for_end(page, "Cut off")
    page.reload()
    expect(page.locator("#chat .user-row")).to_have_text(re.compile("numbat"))
    expect(page.locator("#status")).to_contain_text("Cut off")
    page.locator("#chat .user-row").get_by_label("Edit").last.click()
    expect(page.locator("#go-on")).to_be_hidden()
    page.click("#leave-edit")
    shoot(page, "desk-cut-off-reloaded")
    expect(page.locator("#chat .thought-group")).to_contain_text("64 tokens")
    page.click("#go-on")
    expect(page.locator("#chat .thought-group")).to_contain_text("128 tokens")
    wait_for_end(page, "Cut off")
    expect(page.locator("#chat .user-row")).to_have_count(1)


def test_a_long_conversation_can_be_stopped(data: Path, keeping_server: PageServer, open_page: OpenPage) -> None:
    """The browser fell so far behind what it was sent that it told of the end a minute after Stop."""
    reply = Reply("It is a **circle**. " * 10, "Step of the thought. " * 200, "stop", 2.0, 800)
    Archive(data).save("long", [Round(Draft(f"Question {number}?"), reply) for number in range(100)])
    page = open_page(keeping_server, link=f"{keeping_server.address}?conversation=long")
    expect(page.locator("#chat .user-row")).to_have_count(100)
    ask(page, "Hello dugong")
    expect(page.locator("#chat .thought-group").last).to_contain_text("Step 20 of the thought.")
    page.click("#composer .stop-button")
    wait_for_end(page, "Stopped by you")


def test_one_conversation_in_two_tabs_loses_nothing(keeping_server: PageServer, open_page: OpenPage) -> None:
    """What was asked in the other tab was gone after a reload: whoever asked last was kept alone."""
    page = open_page(keeping_server)
    choose_fast(page)
    answered(page, "Hello quokka")
    id = page.evaluate("sessionStorage.getItem('glassbox-conversation')")
    other = open_page(keeping_server, link=f"{keeping_server.address}?conversation={id}")
    choose_fast(other)
    expect(other.locator("#chat .user-row")).to_have_text(re.compile("Hello quokka"))
    answered(page, "Asked here")
    answered(other, "Asked there")
    expect(other.locator(".toast-body")).to_contain_text("goes on as a conversation of its own")
    other.wait_for_function(f"sessionStorage.getItem('glassbox-conversation') !== '{id}'")
    answered(other, "And there again")
    for tab, asked in ((page, ["quokka", "here"]), (other, ["quokka", "there", "there again"])):
        tab.reload()
        expect(tab.locator("#chat .user-row")).to_have_text([re.compile(words) for words in asked])
    open_library(other)
    expect(other.locator("#kept li:has-text('quokka')")).to_have_count(2)
    expect(other.locator("#kept li[aria-current]")).to_have_count(1)
    shoot(other, "desk-parted")


def test_a_link_is_copied_where_the_page_came_over_plain_http(keeping_server: PageServer, open_page: OpenPage) -> None:
    """Nothing happened there: such a page has no clipboard of the newer kind."""
    page = open_page(keeping_server)
    page.evaluate(NO_SECURE_CONTEXT)
    choose_fast(page)
    answered(page, "Hello tapir")
    open_library(page)
    page.click("#kept li:has-text('tapir') [data-act=link]")
    expect(page.locator("#kept li:has-text('tapir') [data-act=link]")).to_have_text("Copied")
    assert "?conversation=" in page.evaluate("window.copied")


def test_a_server_that_crashes_in_an_answer_and_comes_back(open_page: OpenPage, picture: Path, tmp_path: Path) -> None:
    server = PageServer(SCRIPTED, str(tmp_path / "data"))
    try:
        page = open_page(server, may_complain=True)
        choose_fast(page)
        answered(page, "What is in this picture?", picture)
        page.click("#settings .toggle-button")
        page.get_by_label("Think").check()
        page.click("#settings .toggle-button")
        ask(page, "Hello again", picture)
        expect(page.locator("#chat .thought-group")).to_contain_text("Step 3 of the thought.")
        server.kill()
        expect(page.get_by_text(re.compile("connection", re.IGNORECASE)).first).to_be_visible()
        shoot(page, "desk-server-gone")
        server = PageServer(SCRIPTED, str(tmp_path / "data"), server.port)
        expect(page.locator("#about")).to_contain_text(" on ", timeout=60_000)
        expect(page.locator("#composer textarea")).to_have_value("Hello again", timeout=60_000)
        expect(page.locator("#composer .thumbnail-item")).to_have_count(1)
        expect(page.locator("#chat .user-row")).to_have_count(1)
        expect(page.locator("#chat .user-row")).to_contain_text("What is in this picture?")
        shoot(page, "desk-server-back")
    finally:
        server.close()


def test_a_system_prompt_comes_back_with_its_conversation(keeping_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(keeping_server)
    choose_fast(page)
    system = page.locator("#system textarea")
    page.click("#settings .toggle-button")
    system.fill("Be a lynx.")
    page.click("#settings .toggle-button")
    answered(page, "Hello lynx")
    page.click("#settings .toggle-button")
    system.fill("")
    page.click("#settings .toggle-button")
    page.click("#new-chat")
    expect(page.locator("#chat .user-row")).to_have_count(0)
    open_library(page)
    page.click("#kept li:has-text('lynx') [data-act=open]")
    expect(page.locator("#chat .user-row")).to_contain_text("Hello lynx")
    expect(system).to_have_value("Be a lynx.")


def test_a_conversation_that_is_opened_leaves_the_visitors_own_system_prompt(
    keeping_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(keeping_server)
    choose_fast(page)
    system, rows = page.locator("#system textarea"), page.locator("#chat .user-row")
    answered(page, "Hello heron")
    page.click("#settings .toggle-button")
    system.fill("Be an ibis.")
    page.click("#settings .toggle-button")
    page.fill("#composer textarea", "typed already")
    open_library(page)
    page.click("#new-chat")
    expect(rows).to_have_count(0)
    page.click("#kept li:has-text('heron') [data-act=open]")
    expect(rows).to_contain_text("Hello heron")
    expect(system).to_have_value("")
    expect(page.locator("#composer textarea")).to_have_value("typed already")
    page.reload()
    expect(rows).to_contain_text("Hello heron")
    expect(system).to_have_value("")
    page.click("#new-chat")
    expect(rows).to_have_count(0)
    expect(system).to_have_value("Be an ibis.")
    expect(page.locator("#composer textarea")).to_have_value("typed already")


def test_an_answer_that_is_left_is_kept_with_its_question(keeping_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(keeping_server)
    ask(page, "Hello pelican")
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 3 of the thought.")
    page.click("#new-chat")
    keeping_server.wait_for(FREED)
    open_library(page)
    page.click("#kept li:has-text('pelican') [data-act=open]")
    expect(page.locator("#chat")).to_contain_text("Stopped by you.")
    expect(page.locator("#composer .submit-button")).to_be_visible()
    page.click("#new-chat")
    expect(page.locator("#chat .user-row")).to_have_count(0)
    expect(page.locator("#composer textarea")).to_have_value("")


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_the_list_on_a_phone(is_dark: bool, keeping_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(keeping_server, PHONE, is_dark=is_dark)
    choose_fast(page)
    answered(page, "Hello walrus, tell me something long that does not fit into a line of the list")
    open_library(page)
    shoot(page, f"phone-library-{'dark' if is_dark else 'light'}")
    page.locator("#kept [data-act=rename]").first.click()
    page.fill("#kept .gb-rename", "Walrus")
    page.keyboard.press("Enter")
    title = page.locator("#kept [data-act=open]").first
    expect(title).to_contain_text("Walrus")
    expect(title).to_be_focused()  # Enter pressed it too, and the list was folded away
    title.click()
    expect(page.locator("#kept")).not_to_be_in_viewport()
    expect(page.locator("#library .toggle-button")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
