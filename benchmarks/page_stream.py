"""The page while 4,000 tokens stream into it: how long that takes, and how soon it answers a click meanwhile.

`python -m benchmarks.page_stream` drives Chromium on a page whose engine writes 200 tokens a second, whatever the
machine. A click opens or closes the settings; its time is that of the browser's own event timing, from the press to
the next picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser_steps import open_settings, set_number
from tests.conftest import ARGUMENTS, CHROMIUM
from tests.page_server import LONG_RATE, LONG_TOKENS, SCRIPTED, PageServer

ENDED = re.compile("Done|Cut off")
EVERY_MS = 900
"""Between two clicks."""
TOGGLE = "#settings .toggle-button"
PLACE = f"""() => {{
  const box = document.querySelector("{TOGGLE}").getBoundingClientRect();
  return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
}}"""
IS_OPEN = """() => document.querySelector("#settings").classList.contains("open")"""
WATCH = """() => {
  window.clicks = []; window.tasks = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === "click") window.clicks.push(entry.duration);
  }).observe({ type: "event", durationThreshold: 16 });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.tasks.push(entry.duration);
  }).observe({ type: "longtask" });
  window.asked = performance.now();
}"""


@dataclass(frozen=True)
class Streaming:
    """What was measured, in seconds and ms; a click that was answered within a picture counts as 16 ms."""

    took_s: float
    clicks_ms: tuple[float, ...]
    tasks_ms: tuple[float, ...]

    @property
    def overhead(self) -> float:
        """Wall time beside that of the engine alone."""
        return self.took_s / (LONG_TOKENS / LONG_RATE)

    def __str__(self) -> str:
        slowest, longest = max(self.clicks_ms), max(self.tasks_ms, default=0)
        return (
            f"{LONG_TOKENS:,} tokens at {LONG_RATE} a second: {self.took_s:.1f} s, {self.overhead:.2f} x the engine. "
            f"{len(self.clicks_ms)} clicks meanwhile, answered in {median(self.clicks_ms):.0f} ms, the slowest in "
            f"{slowest:.0f} ms; the longest task of the page took {longest:.0f} ms."
        )


def measure(page: Page) -> Streaming:
    """Ask on an open page, and click until the answer is there."""
    open_settings(page)
    set_number(page, "New tokens at most", str(LONG_TOKENS))
    page.locator(TOGGLE).click()
    expect(page.locator("#outlook")).to_contain_text(f"at most {LONG_TOKENS:,} new")
    page.fill("#composer textarea", "Hello")
    page.evaluate(WATCH)
    page.click("#composer .submit-button")
    num_clicks, done = 0, page.locator("#status .gb-status:not(.gb-busy)", has_text=ENDED)
    page.locator("#status .gb-busy").wait_for()
    while not done.count():
        # without Playwright's own waits, which take part in what is measured; the button moves with what it opens
        box = page.evaluate(PLACE)
        was_open = page.evaluate(IS_OPEN)
        page.mouse.move(box["x"], box["y"])
        page.mouse.down()
        page.mouse.up()
        num_clicks += 1
        page.wait_for_timeout(EVERY_MS)
        if page.evaluate(IS_OPEN) == was_open:
            raise RuntimeError("a click neither opened nor closed the settings")
    took_s = page.evaluate("(performance.now() - window.asked) / 1000")
    told = page.evaluate("window.clicks")
    quick = [16.0] * max(num_clicks - len(told), 0)
    return Streaming(took_s, (*told, *quick), tuple(page.evaluate("window.tasks")))


def main() -> None:
    """Measure once, and print it."""
    server = PageServer(SCRIPTED)
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            page.goto(server.address)
            expect(page.locator("#composer textarea")).to_be_editable(timeout=60_000)
            print(measure(page))
            chromium.close()
    finally:
        server.close()


if __name__ == "__main__":
    main()
