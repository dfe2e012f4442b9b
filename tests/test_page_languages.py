"""The page in the language of its reader."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from pipelines.present.languages import catalogues
from tests.browser_steps import DESK, PHONE, OpenPage, add, ask, example, shoot
from tests.page_server import PageServer

pytestmark = pytest.mark.browser

CATALOGUES = catalogues()
SHOWN = r"""() => {
  const left = "[translate=no], script, style, code, [data-tokens], #chat .message .md, #chat .example, [role=option]";
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (walk.nextNode()) {
    const node = walk.currentNode, element = node.parentElement;
    if (node.nodeType === Node.TEXT_NODE && !element.closest(left)) found.push(node.data);
    if (node.nodeType === Node.ELEMENT_NODE && !node.closest(left + ", #chat .message")) {
      for (const name of ["title", "aria-label", "placeholder", "alt"]) found.push(node.getAttribute(name) ?? "");
    }
  }
  return found;
}"""
TOO_WIDE = """() => [...document.querySelectorAll("#past, #compared")].flatMap((box) => {
  const { right } = box.getBoundingClientRect();
  return [...box.querySelectorAll("table")].map((table) => table.getBoundingClientRect().right - right);
}).filter((beyond) => beyond > 0.5)"""
SAME = {
    "clip", "clip 0", "coco", "cpu", "csv", "cuda", "glassbox", "json", "video", "prefill", "standard", "top-k",
    "top-p", "min-p", "0 × 0 px", "processing |", "common.complete",
}  # fmt: skip
"""What German leaves as it is, and two texts that the framework shows for a moment while it works, or as it has."""
UNITS = re.compile(r"[-+−(]?0? ?(ms|tok/s|[kMG]B(/s)?|[kMGT]FLOP(/s)?)\)?")
FORMATS = r"^(AVI|AVIF|BMP|GIF|HEIC|MKV|MOV|PNG|WebM|WebP)\b"
NAMES = re.compile(
    rf"{FORMATS}|[\w-]+\.?(png|jpg|mp0)|\d thread|CPU \(.*|float0|NAME@|torch|demo|x86_64|aarch64|engine local",
    re.IGNORECASE,
)


def pieces(page: Page) -> set[str]:
    """What the page shows of its own, in pieces and without numbers."""
    texts = [piece for text in page.evaluate(SHOWN) for piece in re.split(r" · |(?<=[.!?]) |; |, |: ", text)]
    plain = {re.sub(r"\d[\d.,]*", "0", text).strip(" .,:·\n") for text in texts}
    plain = {re.sub(r" [+−]0 m?s$", "", text) for text in plain}  # by how much a stage differs, whichever did most
    return {text for text in plain if re.search(r"[^\W\d_]{2}", text) and not UNITS.fullmatch(text)}


def use(page: Page) -> set[str]:
    """Do what shows most of what the page can say, and gather it."""
    for folded in ("#words", "#requests", "#take"):
        page.locator(folded).locator("button").first.click()
    boxes, moving = example("png", "bbox"), example("mp4")
    page.locator("#take").get_by_text("COCO").click()
    expect(page.locator(".toast-body")).to_contain_text(".")
    found = pieces(page)
    add(page, boxes.path)
    expect(page.locator("#costs li")).to_be_visible()
    found |= pieces(page)
    ask(page, boxes.question)
    expect(page.locator("#evidence .gb-chip").first).to_be_visible()
    expect(page.locator("#past tbody tr").first).to_be_visible()
    found |= pieces(page)
    ask(page, moving.question, moving.path)
    expect(page.locator("#evidence .gb-strip")).to_be_visible()
    found |= pieces(page)
    ask(page, "")
    expect(page.locator("#status .gb-error")).to_be_visible()
    return found | pieces(page)


def test_nothing_that_the_page_says_is_left_in_english(page_server: PageServer, open_page: OpenPage) -> None:
    """A text that somebody adds has to be in the catalogues: German stands for all, as none lacks what another has."""
    english, german = (use(open_page(page_server, language=tag)) for tag in ("en-US", "de-DE"))
    left = {text for text in english & german if text.lower() not in SAME and not NAMES.search(text)}
    assert not left, "\n".join(sorted(left))


@pytest.mark.parametrize(
    ("language", "size"), [("de", PHONE), ("es", DESK), ("fr", PHONE), ("ja", PHONE), ("zh-CN", DESK)]
)
def test_the_page_speaks_its_readers_language(
    language: str, size: tuple[int, int], page_server: PageServer, open_page: OpenPage
) -> None:
    texts = CATALOGUES[language]
    page = open_page(page_server, size, language=language)
    assert page.evaluate("document.documentElement.lang") == language
    expect(page.locator("#new-chat")).to_have_text(texts["New chat"])
    composer = page.locator("#composer textarea")
    expect(composer).to_have_attribute("placeholder", texts["Ask about a picture or a clip …"])
    expect(page.locator("#evidence .gb-empty")).to_contain_text(
        texts["What the model saw appears here, with the boxes, points and times of its answer drawn on it."]
    )
    if size == PHONE:  # where the examples go on below
        down = page.locator("#chat .scroll-down-button-container button")
        expect(down).to_have_accessible_name(texts["Scroll down"])
    add(page, example("png").path)
    ask(page, "")
    expect(page.locator("#status .gb-error")).to_have_text(texts["There is no question: type one and send it again."])
    ask(page, example("png").question)
    expect(page.locator("#status [role=status]")).to_contain_text(texts["Done"])
    expect(page.locator("#chat .thought-group")).to_contain_text(texts["Thought"])
    expect(page.locator("#outlook")).to_contain_text("2,048" if language in ("ja", "zh-CN") else "2\u202f048")
    for name in ("Question", "Thought", "Answer"):
        expect(page.locator("#chat").get_by_role("group", name=texts[name], exact=True)).not_to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.locator("#requests button").first.click()
    expect(page.locator("#past tbody tr")).to_have_count(2)
    assert page.evaluate(TOO_WIDE) == []
    shoot(page, f"{'desk' if size == DESK else 'phone'}-{language}")
    page.locator("#settings .toggle-button").click()
    expect(page.locator("#reset")).to_have_text(texts["Reset"])
    expect(page.locator("#settings input[type=radio]:checked").first).to_have_value("Think")
    expect(page.locator(".toast-body")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    shoot(page, f"{'desk' if size == DESK else 'phone'}-settings-{language}")


def test_another_language_is_shown_in_english(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server, language="nl-NL")
    expect(page.locator("#new-chat")).to_have_text("New chat")
