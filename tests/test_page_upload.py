"""Uploads in a real browser: their progress, their end, and what is refused."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser_steps import OpenPage, add, ask, shoot
from tests.media_makers import write_clip
from tests.page_server import PageServer

pytestmark = pytest.mark.browser

SLOWLY = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
"""Bytes a second."""
DROP = """([name, data]) => {
    const moved = new DataTransfer();
    moved.items.add(new File([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))], name, {type: "image/png"}));
    return moved;
}"""


def choose(page: Page, file: Path) -> None:
    page.set_input_files("#composer input[type=file]", file)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A picture of three megabytes."""
    Image.effect_noise((2000, 1500), 80).save(tmp_path / "large.png", compress_level=0)
    return tmp_path / "large.png"


def test_an_upload_tells_how_far_it_is_and_can_be_cancelled(
    scripted_server: PageServer, open_page: OpenPage, large: Path
) -> None:
    page = open_page(scripted_server)
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOWLY)
    choose(page, large)
    told = page.locator("#upload p")
    expect(told).to_contain_text(re.compile(r"Uploading large\.png · \d+ % · \d\.\d of 3\.0 MB · \d+ s left"))
    expect(page.locator("#upload [role=status]")).to_have_text("Uploading large.png")
    shoot(page, "desk-upload")
    page.click("#upload .gb-cancel-upload")
    expect(told).to_contain_text("The upload of large.png was cancelled.")
    expect(page.locator("#upload .gb-cancel-upload")).to_be_hidden()
    expect(page.locator("#composer .thumbnail-item")).to_have_count(0)
    expect(page.locator("#composer textarea")).to_be_editable()


def test_escape_cancels_an_upload(scripted_server: PageServer, open_page: OpenPage, large: Path) -> None:
    page = open_page(scripted_server)
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOWLY)
    choose(page, large)
    expect(page.locator("#upload p")).to_contain_text("%")
    page.keyboard.press("Escape")
    expect(page.locator("#upload p")).to_contain_text("was cancelled")


def test_a_file_over_the_limit_is_not_even_sent(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(scripted_server)
    expect(page.locator("#limits")).to_contain_text("Up to 512 MB a file.")
    page.fill("#composer textarea", "What is it?")
    with (tmp_path / "huge.mp4").open("wb") as file:
        file.truncate(512_100_000)
    choose(page, tmp_path / "huge.mp4")
    expect(page.locator("#upload p")).to_contain_text("“huge.mp4” (512.1 MB) is over the limit of 512 MB: choose a")
    expect(page.locator("#composer textarea")).to_have_value("What is it?")


def test_the_other_side_tells_of_its_uploads_too(
    page_server: PageServer, open_page: OpenPage, large: Path, tmp_path: Path
) -> None:
    """They were told below the chat, which is out of sight there: one that failed just did not come."""
    page = open_page(page_server)
    page.click("#turn-over")
    expect(page.locator("#turn-over")).to_have_attribute("aria-pressed", "true")
    told, field = page.locator("#compare-upload p"), "#compare-composer input[type=file]"
    with (tmp_path / "huge.mp4").open("wb") as file:
        file.truncate(512_100_000)
    page.set_input_files(field, tmp_path / "huge.mp4")
    expect(told).to_contain_text("“huge.mp4” (512.1 MB) is over the limit of 512 MB: choose a")
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOWLY)
    page.set_input_files(field, large)
    expect(told).to_contain_text(re.compile(r"Uploading large\.png · \d+ %"))
    shoot(page, "desk-compare-upload")
    page.click("#compare-upload .gb-cancel-upload")
    expect(told).to_contain_text("The upload of large.png was cancelled.")
    expect(told).to_be_visible()
    page.click("#turn-over")
    expect(page.locator("#upload p")).to_have_count(0)


def test_a_picture_that_no_browser_shows_has_its_name_in_its_place(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    """A broken icon stood in the composer, and nothing at all in the chat."""
    pillow_heif.register_heif_opener()
    Image.new("RGB", (64, 48), "red").save(tmp_path / "Garten im März.heic", "HEIF")
    Image.new("RGB", (64, 48), "red").save(tmp_path / "shown.png")
    page = open_page(scripted_server, may_complain=True)
    add(page, tmp_path / "Garten im März.heic")
    add(page, tmp_path / "shown.png")
    named = page.locator("#composer .thumbnail-item[data-unshown]")
    expect(named).to_have_count(1)
    expect(named).to_have_attribute("data-unshown", "Garten im März.heic")
    shoot(page, "desk-unshown")
    ask(page, "What is it?")
    expect(page.locator("#chat").get_by_role("button", name="Garten im März.heic")).to_be_visible()
    expect(page.locator("#chat [data-unshown]")).to_have_count(1)
    shoot(page, "desk-unshown-asked")


def test_a_clip_that_no_browser_plays_has_its_name_in_the_chat(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    """An empty box stood in its place."""
    page = open_page(scripted_server, may_complain=True)
    add(page, write_clip(tmp_path / "walk.avi", codec="mpeg4"))
    ask(page, "What happens?")
    expect(page.locator("#chat .mirror-wrap")).to_have_attribute("data-unshown", "walk.avi")


def test_a_thumbnail_that_is_given_another_file_loses_the_name(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    pillow_heif.register_heif_opener()
    Image.new("RGB", (64, 48), "red").save(tmp_path / "garden.heic", "HEIF")
    Image.new("RGB", (64, 48), "red").save(tmp_path / "shown.png")
    page = open_page(scripted_server, may_complain=True)
    add(page, tmp_path / "garden.heic")
    add(page, tmp_path / "shown.png")
    expect(page.locator("#composer .thumbnail-item[data-unshown]")).to_have_count(1)
    page.locator("#composer .delete-button").first.click()
    expect(page.locator("#composer .thumbnail-item")).to_have_count(1)
    expect(page.locator("#composer [data-unshown]")).to_have_count(0)


REFUSALS = [
    (413, "large.png is too large for this server: choose a smaller file."),
    (429, "This server holds too many files now: try large.png again in a minute."),
    (507, "There is no room left for large.png on this server: try again later."),
    (500, "large.png could not be uploaded (500): add it again."),
    (None, "The connection broke while large.png was uploaded: add it again."),
]


@pytest.mark.parametrize(("status", "sentence"), REFUSALS)
def test_an_upload_that_fails_is_told_and_the_draft_stays(
    status: int | None, sentence: str, scripted_server: PageServer, open_page: OpenPage, large: Path
) -> None:
    page = open_page(scripted_server, may_complain=True)

    def answer(route: Route) -> None:
        if status is None:
            route.abort()
        else:
            route.fulfill(status=status, body="no")

    page.route("**/upload*", answer)
    page.fill("#composer textarea", "What is it?")
    choose(page, large)
    expect(page.locator("#upload p")).to_contain_text(sentence)
    expect(page.locator("#composer textarea")).to_have_value("What is it?")
    page.unroute("**/upload*")
    add(page, large)
    expect(page.locator("#upload p")).to_be_hidden()


def test_more_files_than_an_upload_may_have_are_told_so(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    """Small as they are, all 21 of them were called too large."""
    pictures = [tmp_path / f"{number}.png" for number in range(21)]
    for picture in pictures:
        Image.new("RGB", (64, 48), "red").save(picture)
    page = open_page(scripted_server, may_complain=True)
    page.set_input_files("#composer input[type=file]", pictures)
    expect(page.locator("#upload p")).to_contain_text("20.png are too many or too large for one upload: add fewer at")
    page.set_input_files("#composer input[type=file]", pictures[:20])
    expect(page.locator("#composer .thumbnail-item")).to_have_count(20)


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_is_pasted_and_dropped(
    way: str, scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    page = open_page(scripted_server)
    data = base64.b64encode(picture.read_bytes()).decode()
    moved = page.evaluate_handle(DROP, [f"{way}.png", data])
    if way == "drop":
        for event in ("dragenter", "dragover", "drop"):
            page.dispatch_event("#composer .input-container", event, {"dataTransfer": moved})
    else:
        page.locator("#composer textarea").evaluate(
            "(field, moved) => field.dispatchEvent(new ClipboardEvent('paste', {clipboardData: moved, bubbles: true}))",
            moved,
        )
    expect(page.locator("#composer .thumbnail-item")).to_have_count(1)


def test_a_long_text_is_pasted_as_text(scripted_server: PageServer, open_page: OpenPage) -> None:
    """Beyond 100,000 characters it became a file, which was refused as no picture."""
    page = open_page(scripted_server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('word '.repeat(30_000))")
    page.locator("#composer textarea").focus()
    page.keyboard.press("Control+V")
    expect(page.locator("#composer textarea")).to_have_value("word " * 30_000)
    expect(page.locator("#composer .thumbnail-item")).to_have_count(0)
