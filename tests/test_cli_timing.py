"""Where the time went, on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipelines.__main__ import main
from pipelines.tracing import check_trace, traced
from pipelines.types import UserError
from tests.archive_values import full_disk

QUESTION = "How many objects are there?"


def test_the_table_of_the_page_is_printed(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(picture), "-q", QUESTION, "--timing", "--price-per-hour", "2"]) == 0
    shown = capsys.readouterr().out
    for row in ("Open", "Vision", "Prefill", "Think", "Answer", "Other", "Total"):
        assert f"\n  {row} " in shown
    assert "that this device could do" in shown
    assert " at 2 an hour" in shown
    assert shown.count("Prefill") == 1


def test_beside_json_it_goes_to_stderr(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(picture), "-q", QUESTION, "--timing", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["answer"]
    assert "Prefill" in shown.err


def test_a_refused_question_has_its_times_and_its_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["ask", str(broken), "-q", "What is it?", "--timing"]) == 2
    shown = capsys.readouterr()
    assert "Open" in shown.out
    assert "refused" in shown.out
    assert '"broken.png"' in shown.err.splitlines()[-1]


def test_a_trace_holds_the_stages_and_what_torch_ran_in_them(
    picture: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Between its stages stood what torch tells of its profiler."""
    file = tmp_path / "trace.json"
    arguments = ["-q", QUESTION, "--thinking", "off", "--max-new-tokens", "4", "--trace", str(file)]
    assert main(["ask", str(picture), *arguments]) == 0
    assert all(line.endswith(" ...") for line in capfd.readouterr().err.splitlines())
    events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    stages = {event["name"]: event for event in events if event.get("cat") == "stage"}
    assert {"open", "vision", "prefill", "answer"} <= stages.keys()
    assert stages["vision"]["args"]["medium"] == "square.png"
    vision = stages["vision"]
    ran = {
        event["name"]
        for event in events
        if event.get("cat") == "cpu_op" and 0 <= event["ts"] - vision["ts"] <= vision["dur"]
    }
    assert "aten::linear" in ran or "aten::addmm" in ran


def test_a_full_disk_ends_a_trace_in_a_sentence(tmp_path: Path) -> None:
    """What torch wrote in between ended in a traceback, and a trace that was cut off lay under its name."""
    file = tmp_path / "trace.json"
    check_trace(file)
    with full_disk(), pytest.raises(UserError, match="temporary folder: make room there"), traced(file, lambda: None):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no folder/trace.json", "folder", "ring"])
def test_a_trace_that_cannot_be_written_is_told_before_the_model_is_loaded(
    name: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder was refused only once all had been answered."""
    file = tmp_path / name
    (tmp_path / "folder").mkdir()
    (tmp_path / "ring").symlink_to("ring")
    assert main(["ask", str(picture), "-q", QUESTION, "--trace", str(file)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f'The trace cannot be written to "{file}"')
    assert len(told) == 1 or "Loading" not in told[0]


def test_what_lies_where_a_trace_is_to_be_written_stays_as_it_is(tmp_path: Path) -> None:
    """A link to a file that is still to come was taken away, and that file was made."""
    (link := tmp_path / "link.json").symlink_to("later.json")
    (before := tmp_path / "before.json").write_text("before")
    os.mkfifo(tmp_path / "pipe")
    there = sorted(tmp_path.iterdir())
    for path in there:
        check_trace(path)
    assert sorted(tmp_path.iterdir()) == there
    assert (link.is_symlink(), before.read_text()) == (True, "before")


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_a_price_that_is_none_is_one_sentence(price: str, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ask", str(picture), "-q", QUESTION, f"--price-per-hour={price}"])
    assert ended.value.code == 2
    assert "--price-per-hour: must be a number, and 0 or above" in capsys.readouterr().err.splitlines()[-1]
