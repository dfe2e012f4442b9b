"""Models on the page in a real browser: downloaded from a hub on this machine, cancelled, resumed, and used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipelines.models import DEMO_FOLDER
from tests.browser_steps import SLOW_MS, OpenPage, ask, choose_fast, shoot, wait_for_end
from tests.hub_server import HubServer, hub_server
from tests.page_server import ROOMY, PageServer

pytestmark = pytest.mark.browser


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server(DEMO_FOLDER, "Qwen/Qwen3.5-0.8B") as server:
        yield server
        server.may_go_on.set()


@contextmanager
def serving_from(hub: HubServer, home: Path, file_limit: int | None = None) -> Iterator[PageServer]:
    """A page that reaches that hub and no other."""
    own = {"HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.address}
    server = PageServer(ROOMY, environment=own, file_limit=file_limit)
    try:
        yield server
    finally:
        hub.may_go_on.set()
        server.close()


def told(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#model-line")).to_contain_text(text, timeout=SLOW_MS)


def test_a_real_model_is_downloaded_cancelled_resumed_and_used(
    open_page: OpenPage, hub: HubServer, tmp_path: Path
) -> None:
    hub.holds_at = 12_000_000
    with serving_from(hub, tmp_path) as server:
        page = open_page(server)
        expect(page.locator("#about")).to_contain_text("knows drawn scenes only")
        page.click("#get-model")
        names, button = page.locator("#model-choice input"), page.locator("#use-model")
        told_of = page.locator("#model-about")
        expect(told_of).to_contain_text(
            re.compile(r"0\.8B · 0\.9 B parameters · needs .* GB · fits · .* GB to download")
        )
        expect(button).to_have_text("Download and use it")
        expect(page.locator("#cancel-model")).to_be_hidden()
        names.click()
        expect(page.get_by_role("option")).to_have_count(5)
        shoot(page, "desk-models")
        page.keyboard.press("Escape")
        button.click()
        told(page, re.compile(r"Downloading 0\.8B · 0\.01 of 0\.0\d GB · \d+ s left"))
        shoot(page, "desk-downloading")
        page.click("#cancel-model")
        hub.holds_at = None
        hub.may_go_on.set()
        told(page, re.compile(r"The download of 0\.8B was cancelled at .* GB: what came is kept"))
        hub.ranges.clear()
        button.click()
        told(page, "0.8B answers from now on.")
        assert [re.fullmatch(r"bytes=[1-9]\d+-", asked) is not None for asked in hub.ranges] == [True]
        expect(page.locator("#about")).to_contain_text("0.8B on ")
        expect(page.locator("#get-model")).to_be_hidden()
        expect(button).to_have_text("In use")
        page.click("#settings .toggle-button")
        choose_fast(page)
        ask(page, "Hello, what can you do?")
        wait_for_end(page, "Done")
        page.close()  # before its server, of which it would complain


def test_a_broken_connection_and_a_full_disk_are_told_and_the_download_goes_on(
    open_page: OpenPage, hub: HubServer, tmp_path: Path
) -> None:
    with serving_from(hub, tmp_path, file_limit=16_000_000) as server:
        page = open_page(server)
        page.click("#get-model")
        button = page.locator("#use-model")
        hub.claimed_bytes = 10**15
        button.click()
        told(page, re.compile(r"The download takes \S+ GB and the disk has \S+ GB left: make room"))
        hub.claimed_bytes = None
        hub.breaks_at = [9_000_000] + [0] * 4
        button.click()
        told(page, "The connection broke at 0.01 of 0.03 GB of more.safetensors: what came is kept, so try again")
        hub.breaks_at = []
        button.click()
        told(page, "The disk is full, and more.safetensors is not whole: make room, or set HF_HOME to a larger disk.")
        shoot(page, "desk-disk-full")
        ask(page, "Hello, what can you do?")
        wait_for_end(page, "Done")
        page.close()  # before its server, of which it would complain
