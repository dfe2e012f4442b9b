"""The page in a real browser: what a person does, and what goes wrong for a person."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from pipelines.demo.clips import draw_clip
from pipelines.demo.examples import CLIP_FPS, CLIP_FRAMES, CLIP_SIZE, write_clip
from pipelines.demo.scenes import draw_named
from pipelines.present.examples import FOLLOWING
from tests.browser_steps import (
    PHONE,
    OpenPage,
    add,
    ask,
    choose_fast,
    example,
    open_settings,
    set_number,
    shoot,
    wait_for_end,
)
from tests.page_server import BEGUN, FREED, HOSTILE_LABEL, OUTGOING, PageServer

pytestmark = pytest.mark.browser

NAMES = [("circle", "red"), ("square", "blue")]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a drawn picture, and with files that nobody can read."""
    folder = tmp_path_factory.mktemp("media")
    Image.fromarray(draw_named(random.Random(3), NAMES, (160, 224)).rgb).save(folder / "shapes.png")
    times_s = tuple(frame / CLIP_FPS for frame in range(CLIP_FRAMES))
    write_clip(folder / "whole.mp4", draw_clip(random.Random(5), CLIP_SIZE, times_s).rgb)
    whole = (folder / "whole.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("This is no picture.")
    (folder / "empty.png").write_bytes(b"")
    return folder


def test_a_picture_is_answered_with_thought_marks_and_times(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server)
    shoot(page, "desk-start")
    boxes = example("png", "bbox")
    ask(page, boxes.question, boxes.path)
    wait_for_end(page, "Done")
    thought = page.locator("#chat .thought-group")
    expect(thought).to_contain_text(re.compile(r"Thought.*\d+ tokens.*s\)", re.DOTALL))
    expect(page.locator("#chat .bot").last).to_contain_text("bbox_2d")
    expect(page.locator("#evidence .gb-box").first).to_be_visible()
    expect(page.locator("#evidence .gb-chip").first).to_be_visible()
    for stage in ("Upload", "Open", "Fuse", "Prefill", "Think", "Answer"):
        expect(page.get_by_role("rowheader", name=stage)).to_be_visible()
    assert page.locator("#waterfall .gb-bars rect").count() >= 6
    shoot(page, "desk-picture")


def test_a_clip_is_answered_with_its_frames_and_their_times(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server, is_dark=True)
    moving = example("mp4")
    ask(page, moving.question, moving.path)
    wait_for_end(page, "Done")
    captions = page.locator("#evidence .gb-strip figcaption").all_inner_texts()
    assert len(captions) >= 4
    assert all(re.fullmatch(r"\d+\.\d s", caption) for caption in captions)
    assert captions == sorted(captions, key=lambda caption: float(caption.split()[0]))
    shoot(page, "desk-clip-dark")


def test_a_second_question_is_about_the_same_picture(page_server: PageServer, open_page: OpenPage, media: Path) -> None:
    page = open_page(page_server)
    ask(page, "How many shapes are there?", media / "shapes.png")
    wait_for_end(page, "Done")
    ask(page, "Is there a red circle in the picture?")
    expect(page.locator("#chat .user-row")).to_have_count(2)
    wait_for_end(page, "Done")
    expect(page.locator("#evidence .gb-canvas img")).to_have_count(1)
    page.click("#new-chat")
    expect(page.locator("#chat .user-row")).to_have_count(0)
    expect(page.locator("#evidence .gb-empty")).to_be_visible()


BAD_INPUTS = [
    pytest.param("text.png", "What is in this picture?", re.compile("picture|read", re.IGNORECASE), id="not a picture"),
    pytest.param("empty.png", "What is in this picture?", re.compile("empty", re.IGNORECASE), id="empty file"),
    pytest.param("cut.mp4", "What moves?", re.compile("clip|damaged|cut", re.IGNORECASE), id="clip cut off"),
    pytest.param("shapes.png", "", "There is no question", id="no question"),
    pytest.param(None, "What is in this picture?", "none is given", id="no picture"),
    pytest.param("shapes.png", "Why? " * 8000, re.compile("context|tokens|long", re.IGNORECASE), id="too long"),
]


@pytest.mark.parametrize(("file", "question", "sentence"), BAD_INPUTS)
def test_a_bad_input_is_told_and_kept(
    file: str | None,
    question: str,
    sentence: str | re.Pattern[str],
    page_server: PageServer,
    open_page: OpenPage,
    media: Path,
) -> None:
    page = open_page(page_server)
    ask(page, question, media / file if file else None)
    wait_for_end(page, sentence)
    expect(page.locator("#status .gb-error")).to_be_visible()
    expect(page.locator("#composer textarea")).to_have_value(question)
    expect(page.locator("#composer .thumbnail-item")).to_have_count(1 if file else 0)
    expect(page.locator("#chat .user-row")).to_have_count(0)
    assert "Traceback" not in page.inner_text("body")
    assert page_server.is_running


def test_after_a_bad_input_the_next_question_is_answered(
    page_server: PageServer, open_page: OpenPage, media: Path
) -> None:
    page = open_page(page_server)
    ask(page, "What is in this picture?", media / "text.png")
    wait_for_end(page, re.compile("picture|read", re.IGNORECASE))
    shoot(page, "desk-refused")
    page.click("#composer .delete-button")
    ask(page, "How many shapes are there?", media / "shapes.png")
    wait_for_end(page, "Done")


def test_what_a_file_costs_is_told_before_and_shown_after(
    page_server: PageServer, open_page: OpenPage, media: Path
) -> None:
    page = open_page(page_server)
    costs = page.locator("#costs li")
    expect(costs).to_have_count(0)
    add(page, media / "shapes.png")
    expect(costs).to_have_text(re.compile(r"^shapes\.png: 224 × 160 px, seen at \d+ × \d+: \d+ visual tokens$"))
    told = re.findall(r"seen at \d+ × \d+|\d+ visual tokens", costs.inner_text())
    shoot(page, "desk-costs")
    add(page, media / "text.png")
    expect(costs.last).to_contain_text("not a picture or clip")
    page.locator("#composer .delete-button").last.click()
    expect(costs).to_have_count(1)
    ask(page, "How many shapes are there?")
    wait_for_end(page, "Done")
    expect(costs).to_have_count(0)
    expect(page.locator("#evidence h2")).to_contain_text(", ".join(told))
    seen = page.locator("#evidence .gb-seen img")
    expect(seen).not_to_be_visible()
    page.get_by_text("What the model saw", exact=True).click()
    expect(seen).to_be_visible()
    assert (
        seen.evaluate("image => image.complete && `seen at ${image.naturalWidth} × ${image.naturalHeight}`") == told[0]
    )
    seen.scroll_into_view_if_needed()
    shoot(page, "desk-seen")


def test_typing_with_files_asks_the_server_nothing(
    scripted_server: PageServer, open_page: OpenPage, media: Path
) -> None:
    page = open_page(scripted_server)
    add(page, media / "whole.mp4")
    expect(page.locator("#costs li")).to_contain_text("visual tokens")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.locator("#composer textarea").press_sequentially("Which way does the circle move?", delay=5)
    expect(page.locator("#composer textarea")).to_have_value("Which way does the circle move?")
    assert asked == []


def test_what_a_clip_costs_follows_the_settings(scripted_server: PageServer, open_page: OpenPage, media: Path) -> None:
    page = open_page(scripted_server)
    add(page, media / "whole.mp4")
    costs = page.locator("#costs li")
    expect(costs).to_contain_text(re.compile(r"[5-8] frames seen at"))
    page.click("#settings .toggle-button")
    page.get_by_label("number input for Number of frames").fill("4")
    page.keyboard.press("Tab")
    expect(costs).to_contain_text("4 frames seen at")
    page.get_by_label("number input for Frames a second").fill("0.5")
    page.get_by_label("number input for Number of frames").fill("7")
    page.get_by_label("By number").check()
    expect(costs).to_contain_text("7 frames seen at")
    shoot(page, "desk-clip-settings")


def test_stop_keeps_the_partial_text(scripted_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(scripted_server)
    ask(page, "Hello")
    thought = page.locator("#chat .thought-group")
    expect(thought).to_contain_text("Step 9 of the thought.")
    shoot(page, "desk-thinking")
    page.click("#composer button[aria-label=Stop]")
    wait_for_end(page, "Stopped by you")
    expect(page.locator("#chat")).to_contain_text("Stopped by you.")
    expect(thought).not_to_contain_text("Step 3 of the thought.", use_inner_text=True)
    thought.get_by_role("button").first.click()
    expect(thought).to_contain_text("Step 3 of the thought.", use_inner_text=True)
    scripted_server.wait_for(FREED)


def test_answer_now_ends_the_thought(scripted_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(scripted_server)
    expect(page.locator("#answer-now")).to_be_hidden()
    ask(page, "Hello")
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 3 of the thought.")
    shoot(page, "desk-answer-now")
    page.click("#answer-now")
    wait_for_end(page, "Done")
    expect(page.locator("#chat")).to_contain_text("The thought was ended by you.")
    expect(page.get_by_label("Retry").and_(page.locator(":visible"))).to_have_count(1)
    expect(page.locator("#answer-now")).to_be_hidden()
    scripted_server.wait_for(FREED)


def test_a_reply_that_was_cut_off_goes_on(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server)
    open_settings(page)
    set_number(page, "New tokens at most", "64")
    page.click("#settings .toggle-button")
    expect(page.locator("#go-on")).to_be_hidden()
    add(page, example("jpg", "Describe").path)
    ask(page, "Describe the picture.")
    wait_for_end(page, "Cut off")
    shoot(page, "desk-cut-off")
    page.click("#go-on")
    wait_for_end(page, "Done")
    expect(page.locator("#chat")).to_contain_text("The picture shows")
    expect(page.locator("#chat .user-row")).to_have_count(1)


def test_a_hostile_answer_is_shown_as_text(scripted_server: PageServer, open_page: OpenPage, media: Path) -> None:
    page = open_page(scripted_server)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    choose_fast(page)
    ask(page, "What is in this picture?", media / "shapes.png")
    wait_for_end(page, "Done")
    expect(page.locator("#chat .bot").last).to_contain_text("![a](http://example.com/a.png) <img src=")
    expect(page.locator("#chat .bot img, #chat .bot style")).to_have_count(0)
    expect(page.locator("#evidence .gb-box")).to_have_count(1)
    expect(page.locator("#evidence .gb-point")).to_have_count(1)
    expect(page.locator("#evidence .gb-chip").last).to_contain_text(HOSTILE_LABEL)
    expect(page.locator("#evidence .gb-canvas img")).to_have_count(1)
    shoot(page, "desk-marks")


def test_a_closed_tab_frees_the_engine(scripted_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(scripted_server)
    scripted_server.drain()
    ask(page, "Hello")
    scripted_server.wait_for(BEGUN)
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 1 of the thought.")
    page.close()
    scripted_server.wait_for(FREED, timeout_s=5.0)


def test_an_example_fills_the_composer_and_does_not_run(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server)
    card = page.locator("#chat .example").first
    question = card.inner_text().strip()
    card.click()
    expect(page.locator("#composer textarea")).to_have_value(question)
    expect(page.locator("#composer .thumbnail-item")).to_have_count(1)
    expect(page.locator("#chat .user-row")).to_have_count(0)


def test_a_card_of_several_questions_offers_the_next_behind_each_answer(
    page_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(page_server)
    expect(page.locator("#chat .example")).to_have_count(6)
    composer = page.locator("#composer textarea")
    page.locator("#chat .example").last.click()
    expect(composer).to_have_value("How many red shapes are there?")
    for count, offered in enumerate((*FOLLOWING, ""), 1):
        page.click("#composer .submit-button")
        expect(page.locator("#chat .user-row")).to_have_count(count)
        wait_for_end(page, "Done")
        expect(composer).to_have_value(offered)
    expect(page.locator("#evidence .gb-box").first).to_be_visible()
    shoot(page, "desk-card")


def test_settings_are_kept_in_the_browser_until_they_are_reset(
    scripted_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(scripted_server)
    fast = page.get_by_label("Fast")
    page.click("#settings .toggle-button")
    fast.check()
    page.wait_for_function("JSON.stringify(localStorage).length > 40")
    shoot(page, "desk-settings")
    page.reload()
    expect(fast).to_be_checked()
    page.click("#settings .toggle-button")
    page.click("#reset")
    expect(page.get_by_label("Think")).to_be_checked()


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_a_phone_shows_everything_in_one_column(
    is_dark: bool, scripted_server: PageServer, open_page: OpenPage, media: Path
) -> None:
    page = open_page(scripted_server, PHONE, is_dark=is_dark)
    expect(page.locator("#composer")).to_be_in_viewport(ratio=1)
    page.wait_for_function("[...document.querySelectorAll('#chat .example img')].every((image) => image.complete)")
    expect(page.locator("#chat .example").first).to_be_in_viewport(ratio=1)
    choose_fast(page)
    ask(page, "What is in this picture?", media / "shapes.png")
    wait_for_end(page, "Done")
    expect(page.locator("#evidence .gb-box")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    shoot(page, f"phone-{'dark' if is_dark else 'light'}")


def test_the_servers_reached_nothing_outside(page_server: PageServer, scripted_server: PageServer) -> None:
    assert not [line for server in (page_server, scripted_server) for line in server.drain() if OUTGOING in line]
