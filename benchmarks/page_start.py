"""How soon the page is there: the server from its start, and the page in a browser that never saw it.

`python -m benchmarks.page_start` starts the page as it is started by hand, with the model that ships, and opens it in a
fresh Chromium each time. Usable is a page whose composer takes a question and that says which model answers.
"""

from __future__ import annotations

import time
from statistics import median

from playwright.sync_api import Browser, expect, sync_playwright

from tests.conftest import ARGUMENTS, CHROMIUM
from tests.page_server import OUTGOING, PageServer

TIMES = 5


def usable_s(browser: Browser, address: str, noted: list[str]) -> float:
    """Seconds from the address to a page that can be used, from an empty cache; what is wrong meanwhile is noted."""
    page = browser.new_context().new_page()
    page.on("console", lambda message: noted.append(message.text) if message.type == "error" else None)
    page.on("request", lambda sent: noted.append(sent.url) if not sent.url.startswith((address, "data:")) else None)
    began_s = time.perf_counter()
    page.goto(address)
    expect(page.locator("#composer textarea")).to_be_editable()
    expect(page.locator("#about b")).to_be_visible()
    took_s = time.perf_counter() - began_s
    page.context.close()
    return took_s


def main() -> None:
    """Measure and print."""
    began_s, noted = time.perf_counter(), list[str]()
    server = PageServer("demo")
    print(f"The server is ready {time.perf_counter() - began_s:.1f} s after its start.", flush=True)
    try:
        with sync_playwright() as playwright:
            times_s = []
            for _ in range(TIMES):
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                times_s.append(usable_s(browser, server.address, noted))
                browser.close()
        noted += [line for line in server.drain() if OUTGOING in line]
    finally:
        server.close()
    told = f"The page is usable after {median(times_s):.1f} s, {max(times_s):.1f} s at most of {TIMES} cold browsers. "
    print(told + (f"It complained or reached outside: {noted}" if noted else "No error, nothing asked of outside."))


if __name__ == "__main__":
    main()
