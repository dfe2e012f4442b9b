"""A proxy in the environment: it is for what lies elsewhere, and the page starts without it."""

from __future__ import annotations

import os
from urllib.request import getproxies

import httpx
import pytest

from pipelines.host.proxies import no_proxies
from tests.page_server import PageServer

NOWHERE = "127.0.0.1:9"


def test_the_page_starts_whatever_proxy_is_named() -> None:
    """It asked itself through the proxy as it started, and ended in a traceback; by SOCKS it did so at once."""
    proxies = {"http_proxy": f"http://{NOWHERE}", "all_proxy": f"socks5://{NOWHERE}", "no_proxy": "example.com"}
    server = PageServer("demo", environment=proxies)
    try:
        assert httpx.get(server.address).status_code == 200
    finally:
        server.close()


@pytest.mark.parametrize("before", [None, "example.com"])
def test_what_is_downloaded_later_goes_through_it_again(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{NOWHERE}")
    monkeypatch.delenv("no_proxy", raising=False)
    if before:
        monkeypatch.setenv("no_proxy", before)
    told = getproxies()
    with no_proxies():
        assert getproxies()["no"] == "*"
    assert os.environ.get("no_proxy") == before
    assert getproxies() == told
