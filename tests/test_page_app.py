"""The page's server without a browser: its headers."""

from __future__ import annotations

import urllib.error
import urllib.request

from tests.page_server import PageServer


def test_every_response_keeps_the_page_to_itself(scripted_server: PageServer) -> None:
    for path in ("", "gradio_api/info", "no/such/page"):
        try:
            with urllib.request.urlopen(scripted_server.address + path, timeout=60) as response:
                headers = response.headers
        except urllib.error.HTTPError as error:
            headers = error.headers
            error.close()
        assert "img-src 'self' data: blob:" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
