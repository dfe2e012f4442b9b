"""What a person does on the page, step by step, for the tests that drive a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from pipelines.present.examples import Example, load_examples
from tests.page_server import ROOT, SAY

DESK, PHONE = (1440, 900), (390, 844)
OpenPage = Callable[..., Page]
SCREENSHOTS = ROOT / "build" / "screenshots"
EXAMPLES = load_examples(ROOT / "assets" / "examples")
TRACK = (
    '[{"time": 1.0, "bbox_2d": [100, 100, 300, 400], "label": "ball"}, '
    '{"time": "0:03", "bbox_2d": [500, 500, 700, 800], "label": "ball"}]'
)
"""A ball at two times of a clip, as a model tells it."""
SLOW_MS = 120_000
"""The time that a small model may take on a machine with other work."""
PATIENCE_MS = 90_000
"""The time that anything else may take while every core has other tests to run."""
expect.set_options(timeout=PATIENCE_MS)


def add(page: Page, file: Path) -> None:
    """Add a file to the composer, and wait until it is there."""
    before = page.locator("#composer .thumbnail-item").count()
    page.locator("#composer input[type=file]").evaluate("input => { input.value = ''; }")  # as a click on it does
    page.set_input_files("#composer input[type=file]", file)
    expect(page.locator("#composer .thumbnail-item")).to_have_count(before + 1)


def ask(page: Page, question: str, file: Path | None = None) -> None:
    """Compose a question and send it."""
    if file:
        add(page, file)
    page.fill("#composer textarea", question)
    page.click("#composer .submit-button")


def choose_fast(page: Page) -> None:
    """Turn thinking off, and close the settings again."""
    page.click("#settings .toggle-button")
    page.get_by_label("Fast").check()
    page.click("#settings .toggle-button")
    expect(page.locator("#reset")).not_to_be_in_viewport()


def open_settings(page: Page) -> None:
    """Open the sidebar of settings, the advanced ones too."""
    page.click("#settings .toggle-button")
    page.locator("#advanced .label-wrap").click()
    expect(page.locator("#reset")).to_be_visible()


def set_number(page: Page, name: str, value: str) -> None:
    """Type a number beside a slider, key by key as a person does."""
    page.get_by_label(f"number input for {name}").click()
    page.keyboard.press("Control+A")
    page.keyboard.type(value)
    page.keyboard.press("Tab")


def wait_for_end(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait until the status line holds `text` and the composer is given back."""
    expect(page.locator("#status [role=status]")).to_contain_text(text, timeout=SLOW_MS)
    expect(page.locator("#composer textarea")).to_be_editable()
    expect(page.locator("#composer .submit-button")).to_be_visible()


def say(page: Page, answer: str, *files: Path) -> None:
    """Have the scripted page give that answer about the files, without a thought, and wait until it has."""
    rows = page.locator("#chat .bot-row")
    count = rows.count()
    for file in files:
        add(page, file)
    ask(page, SAY + answer)
    expect(rows).to_have_count(count + 1)
    wait_for_end(page, "Done")


def drag(page: Page, on: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one place to the other, each as shares of the width and height of what is dragged over."""
    on.scroll_into_view_if_needed()
    frame = on.bounding_box()
    assert frame is not None
    places = [(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


SETTLED = """() => Promise.race([
    Promise.allSettled(document.getAnimations().filter((found) => found.playState === "running")
        .filter((found) => Number.isFinite(found.effect.getComputedTiming().endTime)).map((found) => found.finished)),
    new Promise((resolve) => setTimeout(resolve, 3000)),
])"""
"""What slides is where it is going; what turns for ever goes on."""


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the page for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.evaluate(SETTLED)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=name.startswith("phone"))


def example(kind: str, about: str = "") -> Example:
    """The first example of that kind of file whose question holds `about`: one that the model is known to answer."""
    return next(found for found in EXAMPLES if found.path.suffix == f".{kind}" and about in found.question)
