"""How many values a request that brings no file may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.host.gate import MAX_VALUES
from pipelines.values import Values
from tests.test_host import Sent


@pytest.mark.parametrize(
    ("body", "num_values"),
    [
        pytest.param(b"[[], {}, [1, 2.5], null]", 8, id="nested"),
        pytest.param(b'["a, [b], {c}", "d"]', 2, id="marks in texts"),
        pytest.param(rb'["\", [\\", "\\\"{", [1]]', 4, id="escaped quotes"),
        pytest.param(b'{"a": "[", "b": {"c, d": []}}', 4, id="names"),
    ],
)
def test_values_are_counted_however_a_body_is_cut(body: bytes, num_values: int) -> None:
    for size in range(1, len(body) + 1):
        values = Values()
        for start in range(0, len(body), size):
            values.feed(body[start : start + size])
        assert values.number == num_values


def test_a_request_holds_so_many_values(tmp_path: Path) -> None:
    """Eight megabytes of empty lists took 400 MB and held everybody up for seconds, and 64 of them could wait."""
    most = b"[" + b",".join([b"1"] * MAX_VALUES) + b"]"
    assert Sent(tmp_path, bodies=[most]).reached
    assert Sent(tmp_path, bodies=[most[:-1], b",1]"]).status == 413
    assert Sent(tmp_path, bodies=[b'["' + b"[]," * MAX_VALUES + b'"]']).reached


@pytest.mark.parametrize("way", ["run", "api", "call", "call/v2"])
def test_a_call_by_the_name_of_upload_holds_no_more(way: str, tmp_path: Path) -> None:
    """It was taken for an upload: neither its values nor its megabytes were counted before the server read it."""
    path = f"/gradio_api/{way}/upload"
    too_many = b"[" + b",".join([b"1"] * (MAX_VALUES + 1)) + b"]"
    assert Sent(tmp_path, path=path, bodies=[too_many]).status == 413
    assert Sent(tmp_path, path=path, headers={"content-length": str(9 * 2**20)}).status == 413


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_values_are_read_in_utf_8_alone(encoding: str, tmp_path: Path) -> None:
    """In UTF-16 an escaped quote was taken for one that begins a text, and hid a million lists behind it."""
    body = '{"data": ["\\"", [], []]}'.encode(encoding)
    is_read = encoding.startswith("utf-8")
    for bodies in ([body], [body[:3], body[3:]]):
        sent = Sent(tmp_path, bodies=bodies)
        assert (sent.status, sent.reached) == ((200, True) if is_read else (400, False))
