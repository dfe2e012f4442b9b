"""What the page gives to be taken along, opened again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipelines.conversation import Draft, Reply, Round
from pipelines.demo.examples import CLIP_FRAMES
from pipelines.present.album import report_html
from pipelines.present.claims import claims
from tests.browser_steps import PHONE, TRACK, OpenPage, choose_fast, say, shoot
from tests.page_server import PageServer

pytestmark = pytest.mark.browser


def taken(page: Page, button: str, count: int) -> list[Path]:
    """Press a button of what can be taken along, and download the files that it gives."""
    page.get_by_role("button", name=button, exact=True).click()
    links = page.locator("#taken a[download]")
    ending = {"Report": ".html", "Marked clip": ".mp4", "COCO": ".json", "Table (CSV)": ".csv"}.get(button, ".png")
    expect(links).to_have_count(count)
    for link in links.all():
        expect(link).to_have_attribute("download", re.compile(re.escape(ending) + "$"))
    found = []
    for link in links.all():
        with page.expect_download() as download:
            link.click()
        found.append(Path(download.value.path()))
    return found


def test_what_was_taken_along_goes_with_its_answer(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """The files of another conversation were offered on, and behind a button that had just refused."""
    page = open_page(scripted_server)
    page.get_by_role("button", name="Take it along").click()
    choose_fast(page)
    square = '[{"bbox_2d": [312, 250, 572, 562], "label": "blue square"}]'
    offered = page.locator("#taken")
    say(page, square, picture)
    taken(page, "COCO", 1)
    page.click("#new-chat")
    expect(offered).to_be_hidden()
    say(page, square, picture)
    taken(page, "COCO", 1)
    say(page, "It is blue.")
    expect(offered).to_be_hidden()
    report = page.get_by_role("button", name="Report", exact=True)
    taken(page, "Report", 1)
    below_px = report.evaluate("button => button.getBoundingClientRect().top") - offered.evaluate(
        "files => files.getBoundingClientRect().top"
    )
    assert below_px > 0, "files below the buttons came outside of the window"
    page.get_by_role("button", name="COCO", exact=True).click()
    expect(page.locator(".toast-body")).to_contain_text("marks nothing")
    expect(offered).to_be_hidden()


def test_a_report_is_read_on_a_phone_and_from_right_to_left(browser: Browser, picture: Path, tmp_path: Path) -> None:
    """Its headings broke within a word, and Arabic began on the left."""
    answer = 'الدائرة هنا\n[{"bbox_2d": [100.5, 200.25, 300, 600], "label": "a circle with a very long name"}]'
    (tmp_path / "report.html").write_text(
        report_html(claims([Round(Draft("أين الدائرة؟", (picture,)), Reply(answer))])), encoding="utf-8"
    )
    reader = browser.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
    reader.goto((tmp_path / "report.html").as_uri())
    lines = """(selector) => {
        const range = document.createRange(), found = document.querySelector(selector);
        range.selectNodeContents(found);
        const {right} = found.getBoundingClientRect();
        return [...range.getClientRects()].map((line) => Math.round(right - line.right));
    }"""
    assert len(reader.evaluate(lines, "th")) == 1
    assert min(reader.evaluate(lines, "h2")) == min(reader.evaluate(lines, "pre")) == 0
    assert reader.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert reader.evaluate("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid", "torn in print"
    reader.close()


def test_what_is_taken_along_opens_again(
    scripted_server: PageServer, open_page: OpenPage, browser: Browser, picture: Path, drawn_clip: Path
) -> None:
    page = open_page(scripted_server)
    page.get_by_role("button", name="Take it along").click()
    page.get_by_role("button", name="Report", exact=True).click()
    expect(page.get_by_text("ask something first")).to_be_visible()
    choose_fast(page)
    square = '[{"bbox_2d": [312, 250, 572, 562], "label": "blue square", "image": "Picture 1"}]'
    say(page, f"{square}\n\n{TRACK}", picture, drawn_clip)
    (marked, *frames) = taken(page, "Marked pictures", 3)
    with Image.open(marked) as shown:
        assert shown.size == (192, 160)
    (film,) = taken(page, "Marked clip", 1)
    with av.open(str(film)) as container:
        assert len(list(container.decode(video=0))) == CLIP_FRAMES
    (coco,) = taken(page, "COCO", 1)
    assert len(json.loads(coco.read_text(encoding="utf-8"))["annotations"]) == 3
    (csv,) = taken(page, "Table (CSV)", 1)
    assert csv.read_text(encoding="utf-8-sig").count("ball") == 2
    shoot(page, "desk-taken")
    (report,) = taken(page, "Report", 1)
    report = report.rename(report.with_suffix(".html"))
    reader = browser.new_page()
    asked: list[str] = []
    reader.on("request", lambda request: asked.append(request.url))
    reader.goto(report.as_uri())
    expect(reader.locator("figure")).to_have_count(3)
    assert reader.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    shoot(reader, "phone-report")
    reader.close()
    assert len(frames) == 2
