"""Fixtures that more than one test module needs."""

from __future__ import annotations

import atexit
import os
import random
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.browser_steps import DESK, PATIENCE_MS, SLOW_MS, OpenPage
from tests.page_server import SCRIPTED, PageServer, serving

if TYPE_CHECKING:
    from pipelines.archive import Archive
    from pipelines.engine import LocalEngine

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may fetch weights, nor any process that it starts
_HOME = tempfile.TemporaryDirectory(prefix="glassbox-test-hub-")  # nor find those that somebody has fetched
atexit.register(_HOME.cleanup)
os.environ["HF_HOME"] = _HOME.name
os.environ.pop("HF_HUB_CACHE", None)
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# a shell has it ignored by what runs in the background, and the programs that a test starts would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
CUT_OFF = "AbortError: signal is aborted", "Connection errored out"
"""What a browser says of requests that run when a page is loaded again."""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A drawn picture on disk: one blue square."""
    rgb = np.full((160, 192, 3), 230, np.uint8)
    rgb[40:90, 60:110] = (35, 80, 220)
    Image.fromarray(rgb).save(tmp_path / "square.png")
    return tmp_path / "square.png"


@pytest.fixture
def drawn_clip(tmp_path: Path) -> Path:
    """A drawn clip on disk."""
    from pipelines.demo.clips import draw_clip
    from pipelines.demo.examples import CLIP_FPS, CLIP_FRAMES, CLIP_SIZE, write_clip

    times_s = tuple(frame / CLIP_FPS for frame in range(CLIP_FRAMES))
    write_clip(tmp_path / "clip.mp4", draw_clip(random.Random(5), CLIP_SIZE, times_s).rgb)
    return tmp_path / "clip.mp4"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """One that keeps conversations, none yet."""
    from pipelines.archive import Archive

    return Archive(tmp_path / "data")


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Where the files of kept conversations are brought."""
    return tmp_path / "uploads"


@pytest.fixture(scope="module")
def loaded() -> LocalEngine:
    """The shipped model, for whoever leaves it as it is."""
    from pipelines.engine import LocalEngine  # transformers looks once, as it is imported, whether it is offline
    from pipelines.models import DEMO_FOLDER

    return LocalEngine.load(DEMO_FOLDER, "demo")


@pytest.fixture
def engine(loaded: LocalEngine) -> Iterator[LocalEngine]:
    """The same, with nothing kept and nothing changed."""
    from pipelines.engine.placement import choose_placement
    from pipelines.models import DEMO_FOLDER

    fresh = type(loaded)(loaded.model, loaded.checkpoint, "demo", choose_placement(DEMO_FOLDER))
    yield fresh
    fresh.scheduler.close()


@pytest.fixture(scope="session")
def page_server() -> Iterator[PageServer]:
    """The page as it is started by hand, with the model that ships."""
    yield from serving("demo")


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[PageServer]:
    """The page with an engine that thinks slowly and for long."""
    yield from serving(SCRIPTED)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages that may neither reach outside nor complain."""
    pages: list[Page] = []
    outside: list[str] = []
    complaints: list[tuple[Page, str]] = []
    loads = Counter[Page]()

    def note(request: Request) -> None:
        if not re.match(r"http://127\.0\.0\.1:\d+/|data:|blob:", request.url):
            outside.append(request.url)

    def complain(page: Page, text: str) -> None:
        if not text.startswith(CUT_OFF[0]):
            complaints.append((page, text))

    def open_at(
        server: PageServer,
        size: tuple[int, int] = DESK,
        *,
        is_dark: bool = False,
        may_complain: bool = False,
        link: str = "",
        language: str = "en-US",
    ) -> Page:
        page = browser.new_page(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if is_dark else "light",
            locale=language,
        )
        pages.append(page)
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", note)
        page.on("domcontentloaded", lambda loaded: loads.update([loaded]))
        if not may_complain:  # a browser complains of a server that is gone
            page.on("console", lambda message: complain(page, message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: complain(page, str(error)))
        page.goto(link or server.address)
        expect(page.locator("#about b")).to_be_visible(timeout=SLOW_MS)
        expect(page.locator("#composer textarea")).to_be_editable()
        return page

    yield open_at
    complained = [  # not of streams that are cut off by the closing, or by loading a page again
        text for page, text in complaints if not (loads[page] > 1 and CUT_OFF[1] in text)
    ]
    for page in pages:
        page.close()
    assert outside == []
    assert complained == []
