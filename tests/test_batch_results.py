"""The file of a batch's results: one writer, one way of asking, and nothing lost where a disk is full."""

from __future__ import annotations

import codecs
import csv
import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.batch.items import Item
from pipelines.batch.lines import Results, failed
from pipelines.batch.tables import csv_text
from pipelines.commands.batch import write_table
from pipelines.disk import write_whole
from pipelines.spreadsheet import UTF_8_MARK
from pipelines.types import Settings, UserError
from tests.archive_values import full_disk
from tests.batch_values import lines_of


@pytest.mark.parametrize(
    "content", [b"dear diary", b'{"answer": 42}\n', b"[1]\n", b'{"file": "a", "question": "b"}\n', b"\xff\xfe"]
)
def test_a_file_of_something_else_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_bytes(content)
    with pytest.raises(UserError, match="holds something else"):
        Results(tmp_path / "diary.txt", Settings())
    assert (tmp_path / "diary.txt").read_bytes() == content


def test_a_file_of_results_has_one_writer_one_model_and_one_way_of_asking(tmp_path: Path) -> None:
    item = Item("a\udcff.png", tmp_path / "a.png", "What?")
    with Results(tmp_path / "r.jsonl", Settings()) as results:
        results.append(failed(item, "demo", Settings(), "No."))
        with pytest.raises(UserError, match="Another batch"):
            Results(tmp_path / "r.jsonl", Settings())
    with pytest.raises(UserError, match="with other settings"):
        Results(tmp_path / "r.jsonl", Settings(thinking=False))
    with Results(tmp_path / "r.jsonl", Settings()) as results:
        assert results.left([item]) == []
        results.check_model("demo")
        with pytest.raises(UserError, match="another model"):
            results.check_model("4B")


def test_a_retry_that_is_refused_keeps_the_errors_and_one_that_is_not_keeps_the_link(tmp_path: Path) -> None:
    """It dropped them before it saw that they were asked with other settings, and put a file where a link was.

    Those about other files, as of another folder, were dropped too, and not asked about.
    """
    item, link = Item("a.png", tmp_path / "a.png", "What?"), tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "r.jsonl")
    with Results(link, Settings()) as results:
        results.append(failed(item, "demo", Settings(), "No."))
        results.append(failed(replace(item, file="b.png"), "demo", Settings(), "No."))
    with pytest.raises(UserError, match="with other settings"):
        Results(link, Settings(thinking=False)).drop_errors([item])
    assert len(lines_of(tmp_path / "r.jsonl")) == 2
    with Results(link, Settings()) as results:
        results.drop_errors([item])
        assert (results.left([item]), results.num_errors) == ([item], 1)
    assert link.is_symlink()
    assert [line["file"] for line in lines_of(tmp_path / "r.jsonl")] == ["b.png"]


def test_what_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # of this process, in bytes
    try:
        with pytest.raises(UserError, match="cannot be written"):
            write_table(path, "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "before"


def test_a_disk_that_is_full_is_told_and_the_run_can_go_on(tmp_path: Path) -> None:
    path, line = tmp_path / "r.jsonl", failed(Item("a", Path("a"), "What?"), "demo", Settings(), "No.")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # of this process, in bytes
    try:
        with Results(path, Settings()) as results, pytest.raises(UserError, match="cannot be written"):
            results.append(line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with Results(path, Settings()) as results:
        assert not results.done
        results.append(line)
        assert list(results.lines()) == [json.loads(json.dumps(line))]


def test_what_a_full_disk_cuts_off_is_not_left_beside_what_was_there(tmp_path: Path) -> None:
    table, fresh = tmp_path / "t.csv", tmp_path / "c.json"
    table.write_text("before")
    for path in (table, fresh):
        with full_disk(), pytest.raises(OSError, match="large"):
            write_whole(path, "x" * 1000)
    assert list(tmp_path.iterdir()) == [table]
    assert table.read_text() == "before"
    path, item = tmp_path / "r.jsonl", Item("a", Path("a"), "What?")
    line = failed(item, "demo", Settings(), "No.")
    answer: Any = {**line, "error": None, "answer": "x" * 1000}
    with Results(path, Settings()) as results:
        results.append(answer)
        results.append(line)
    whole = path.read_bytes()
    with full_disk(), pytest.raises(UserError, match="cannot be written"), Results(path, Settings()) as results:
        results.drop_errors([item])
    assert path.read_bytes() == whole
    assert sorted(tmp_path.iterdir()) == [path, table]


def test_a_device_keeps_no_results() -> None:
    with pytest.raises(UserError, match="cannot be written"):
        Results(Path("/dev/full"), Settings())


def test_a_table_is_read_as_utf_8_and_holds_nothing_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    """Without the mark at its beginning Excel showed "größe.png" as "grÃ¶ÃŸe.png"."""
    item = Item("=1+1.png", tmp_path, "@SUM(A1)")
    text = csv_text([failed(item, "-demo", Settings(), '=HYPERLINK("http://example.com")')])
    assert text.encode().startswith(codecs.BOM_UTF8)
    [row] = list(csv.DictReader(text.removeprefix(UTF_8_MARK).splitlines()))
    assert [row[key] for key in ("file", "question", "model")] == ["'=1+1.png", "'@SUM(A1)", "'-demo"]
    assert row["error"].startswith("'=")
