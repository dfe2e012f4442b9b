"""Who uses the page by ear, by keyboard or with a thumb: axe-core, names, contrast, sizes, and the keys."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.browser_steps import DESK, PHONE, SLOW_MS, OpenPage, add, ask, choose_fast, example, shoot, wait_for_end
from tests.page_server import FREED, SAY, PageServer

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SMALLEST_PX = 24  # but for links inside of a sentence
TARGETS = """() => [...document.querySelectorAll("button, a[href], input, select, textarea, summary, [tabindex='0']")]
    .map((found) => found.matches("[type=radio], [type=checkbox]") ? found.closest("label") ?? found : found)
    .filter((found) => found.checkVisibility({visibilityProperty: true}) && !found.closest("[inert], p a"))
    .map((found) => [found.getBoundingClientRect(), found.outerHTML.slice(0, 200)])
    .filter(([box]) => box.width > 0 && box.height > 0)
    .filter(([box]) => Math.min(box.width, box.height) < %d)
    .map(([box, html]) => `${box.width} x ${box.height}: ${html}`)"""


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_and_every_target_is_large_enough(
    is_dark: bool, size: tuple[int, int], page_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(page_server, size, is_dark=is_dark)
    assert violations(page) == []
    boxes = example("png", "bbox")
    ask(page, boxes.question, boxes.path)
    wait_for_end(page, "Done")
    add(page, example("mp4").path)
    expect(page.locator("#costs li")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate(TARGETS % SMALLEST_PX) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.click("#settings .toggle-button")
    expect(page.locator("#reset")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate(TARGETS % SMALLEST_PX) == []
    shoot(page, f"{'desk' if size == DESK else 'phone'}-settings-{'dark' if is_dark else 'light'}")


def test_the_other_side_of_the_page_is_as_easy_to_use(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server, PHONE)
    page.click("#turn-over")
    expect(page.get_by_label("Model A")).to_have_value("demo")
    page.get_by_label("Model B").fill("demo")
    page.get_by_label("Model B").press("Enter")
    page.set_input_files("#compare-composer input[type=file]", example("png").path)
    expect(page.locator("#compare-composer .thumbnail-item")).to_have_count(1)
    page.fill("#compare-composer textarea", example("png").question)
    page.click("#compare-composer .submit-button")
    expect(page.locator("#compare-line")).to_contain_text("Both say the same.", timeout=SLOW_MS)
    expect(page.locator("#vote")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate(TARGETS % SMALLEST_PX) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_each_sidebar_has_a_button_of_its_own_name(page_server: PageServer, open_page: OpenPage) -> None:
    """That of the settings was called "Toggle Sidebar", by which nobody knows what it opens."""
    page = open_page(page_server)
    expect(page.locator("#settings .toggle-button")).to_have_accessible_name("Settings")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_words_run_under_the_arrow_of_a_list(
    size: tuple[int, int], page_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(page_server, size)
    page.click("#turn-over")
    lists = page.get_by_label("Model A")
    expect(lists).to_have_value("demo")
    room = """(list) => list.getBoundingClientRect().right - parseFloat(getComputedStyle(list).paddingRight)
        - list.parentElement.querySelector("svg").getBoundingClientRect().left"""
    assert lists.evaluate(room) <= 0


def test_the_keys_do_what_they_say(scripted_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(scripted_server)
    composer = page.locator("#composer textarea")
    page.keyboard.press("/")
    expect(composer).to_be_focused()
    page.keyboard.type("Hello/")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("again")
    expect(composer).to_have_value("Hello/\nagain")
    scripted_server.drain()
    page.keyboard.press("Enter")
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 2 of the thought.")
    page.keyboard.press("Escape")
    wait_for_end(page, "Stopped by you")
    scripted_server.wait_for(FREED)


def test_arrows_walk_the_places_that_an_answer_names(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, "What is in this picture?", picture)
    wait_for_end(page, "Done")
    chips = page.locator("#evidence .gb-chips [tabindex='0'], #evidence .gb-chips button")
    chips.first.focus()
    page.keyboard.press("ArrowRight")
    expect(chips.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(chips.first).to_be_focused()


def test_only_the_phase_is_announced(scripted_server: PageServer, open_page: OpenPage) -> None:
    """A listener hears "Thinking" once, and not each number that runs beside it."""
    page = open_page(scripted_server)
    page.evaluate("""() => {
        window.heard = [];
        const told = () => [...document.querySelectorAll("#status [role=status]")].map((line) =>
            [...line.childNodes].filter((node) => !node.ariaHidden).map((node) => node.textContent).join("")).join("");
        new MutationObserver(() => {
            if (told() && told() !== window.heard.at(-1)) window.heard.push(told());
        }).observe(document.querySelector("#status"), {childList: true, subtree: true, characterData: true});
    }""")
    ask(page, "Hello")
    expect(page.locator("#chat .thought-group")).to_contain_text("Step 5 of the thought.")
    page.click("#composer .stop-button")
    wait_for_end(page, "Stopped by you")
    heard = page.evaluate("window.heard")
    assert heard[-2] == "Thinking"
    expect(page.locator("#chat [role=log]")).to_have_attribute("aria-live", "off")
    assert heard.count("Thinking") == 1
    assert len(heard) <= 6


def test_what_is_heard_of_a_conversation(page_server: PageServer, open_page: OpenPage) -> None:
    """Each of its parts was named by its source, as "bot's message: " with all of its markup, or not at all."""
    page = open_page(page_server)
    boxes = example("png", "bbox")
    ask(page, boxes.question, boxes.path)
    wait_for_end(page, "Done")
    chat = page.locator("#chat [role=log]")
    expect(chat).to_match_aria_snapshot(f"""
        - group "Question":
          - button "{boxes.path.name}"
        - group "Question": {boxes.question}
        - group "Thought":
          - button /Thought/ [expanded=false]
        - group "Answer":
          - table
    """)
    chat.get_by_role("button", name="Thought").click()
    expect(chat.get_by_role("button", name="Thought", expanded=True)).to_be_visible()


STOPS = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter((found) => found.tabIndex >= 0 && !found.disabled)
    .filter((found) => !found.closest("[inert], details:not([open]) > :not(summary)"))
    .filter((found) => found.type !== "radio" || found.checked)
    .filter((found) => found.checkVisibility({visibilityProperty: true}) && found.getBoundingClientRect().width > 0)
    .map((found, number) => {
        found.dataset.stop = number;
        const {top, bottom, left, right} = found.getBoundingClientRect();
        const pane = found.closest("#top, #chat, #chat-pane, #evidence-pane, .sidebar")?.id || "else";
        const isAside = right <= 0 || left >= innerWidth;
        return {pane, top, bottom, isAside, html: found.outerHTML.slice(0, 160)};
    })"""
"""What can be reached by Tab, numbered in the order of the document, with where it is before anything is focused."""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_tab_reaches_everything_in_reading_order(
    size: tuple[int, int], page_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(page_server, size)
    boxes = example("png", "bbox")
    ask(page, boxes.question, boxes.path)
    wait_for_end(page, "Done")
    expect(page.locator("#evidence .gb-chips")).to_be_visible()
    stops = page.evaluate(STOPS)
    reached: list[int] = []
    page.evaluate("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    for _ in range(2 * len(stops)):
        page.keyboard.press("Tab")
        number = page.evaluate("document.activeElement.dataset.stop")
        if number is not None and int(number) not in reached:
            reached.append(int(number))
    unreached = [stops[n] for n in range(len(stops)) if n not in reached]
    assert not unreached, unreached
    assert not [stop for stop in stops if stop["isAside"]], "what is folded away must take no focus"
    assert reached == sorted(reached), [stops[n]["html"] for n in reached]
    for pane in ("top", "chat-pane", "evidence-pane"):
        inside = [stop for stop in stops if stop["pane"] == pane]
        assert inside, pane
        jumps = [(a["html"], b["html"]) for a, b in pairwise(inside) if b["bottom"] <= a["top"]]
        assert jumps == [], pane


FORCED = """() => {
    const style = (selector, part) => getComputedStyle(document.querySelector(selector), part);
    return {
        toggle: style("#settings .toggle-button", "::after").backgroundColor,
        canvas: getComputedStyle(document.body).backgroundColor,
        chip: style("#evidence .gb-chip b").backgroundColor,
    };
}"""


def test_where_a_person_has_chosen_the_colours_everything_is_still_there(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """The buttons of the sidebars were blank, others had no edge, and the chips lost the colours of their marks."""
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, f'{SAY}[{{"bbox_2d": [100, 200, 300, 600], "label": "circle"}}]', picture)
    wait_for_end(page, "Done")
    page.emulate_media(forced_colors="active")
    expect(page.locator("#new-chat")).to_have_css("border-top-width", "1px")
    shown = page.evaluate(FORCED)
    assert shown["toggle"] != shown["canvas"]
    assert shown["chip"] == "rgb(230, 159, 0)"
    shoot(page, "desk-forced-colors")


def test_a_formula_takes_no_more_than_its_part_of_the_chat(scripted_server: PageServer, open_page: OpenPage) -> None:
    """One of 4,000 em made the chat 64,000 px wide and high."""
    page = open_page(scripted_server)
    choose_fast(page)
    ask(page, SAY + r"$$\rule{4000em}{4000em}$$ and $$v = \frac{d}{t}$$")
    wait_for_end(page, "Done")
    formulas = page.locator("#chat .katex-display")
    expect(formulas).to_have_count(2)
    size = "found => [found.scrollWidth - found.clientWidth, found.scrollHeight - found.clientHeight]"
    log = page.locator("#chat [role=log]")
    assert log.evaluate("found => found.scrollWidth - found.clientWidth") == 0
    assert log.evaluate("found => found.scrollHeight") < 2000
    assert formulas.last.evaluate(size) == [0, 0]  # no bars on one of an ordinary size
