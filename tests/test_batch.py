"""Many files asked about: nothing is lost or repeated by a kill, and whatever fails is a line."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pipelines.__main__ import main
from pipelines.batch.items import Item, find_items
from pipelines.types import UserError
from tests.batch_values import lines_of
from tests.media_makers import write_clip

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets" / "examples"
HOW_MANY = "How many objects are there?"
STAR_AT = "Where is the blue star at 2.5 s? Report bbox coordinates in JSON format."
RED_CIRCLES = (
    "Locate every instance that belongs to the following categories: 'red circle'. "
    "Report bbox coordinates in JSON format."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures in two folders, each a little different."""
    for number in range(12):
        rgb = np.full((96, 96, 3), 230, np.uint8)
        rgb[20:60, 5 * number : 5 * number + 30] = (220, 30, 35)
        path = tmp_path / "in" / ("even" if number % 2 == 0 else "odd") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(path)
    return tmp_path / "in"


def test_a_killed_run_goes_on_without_losing_or_repeating_a_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    arguments = ["batch", str(folder), "-q", HOW_MANY, "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-m", "pipelines", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not out.exists() or out.read_bytes().count(b"\n") < 3:
        with pytest.raises(subprocess.TimeoutExpired):  # that is: it runs still
            process.wait(0.02)
    process.kill()
    process.wait()
    written = out.read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    assert 3 <= whole.count(b"\n") < 12

    assert main(arguments) == 0
    assert out.read_bytes().startswith(whole)
    files = [line["file"] for line in lines_of(out)]
    assert sorted(files) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_a_line_that_was_cut_off_is_asked_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    arguments = ["batch", str(folder), "-q", HOW_MANY, "--thinking", "off", "--out", str(out)]
    assert main(arguments) == 0
    *kept, last = out.read_bytes().splitlines(keepends=True)
    for cut in (3, 12, len(last) // 2, len(last) - 1):
        out.write_bytes(b"".join(kept) + last[:cut])
        assert main(arguments) == 0
        lines = lines_of(out)
        assert len({line["file"] for line in lines}) == len(lines) == 12


def test_another_file_of_the_same_name_is_not_taken_for_answered(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pictures of another folder were passed over where they had the names of those before."""
    out, other = tmp_path / "results.jsonl", tmp_path / "other"
    arguments = ["-q", HOW_MANY, "--thinking", "off", "--out", str(out)]
    assert main(["batch", str(folder / "odd"), *arguments]) == 0
    before = out.read_bytes()
    shutil.copytree(folder / "odd", other)
    assert main(["batch", str(other), *arguments]) == 0, "a folder may have been moved"
    Image.new("RGB", (90, 70), "red").save(other / "01.png")
    assert main(["batch", str(other), *arguments]) == 2
    assert '"results.jsonl" holds the answer about another file "01.png": choose another' in capsys.readouterr().err
    assert out.read_bytes() == before


def test_what_fails_is_a_line_and_can_be_asked_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "even" / "broken.png").write_bytes(b"only words")
    (folder / "notes.txt").write_text("no medium")
    out = tmp_path / "results.jsonl"
    arguments = ["batch", str(folder), "-q", HOW_MANY, "--thinking", "off", "--out", str(out)]
    assert main(arguments) == 1
    assert "13 asked about; 1 could not be answered" in capsys.readouterr().err
    errors = [line for line in lines_of(out) if line["error"]]
    assert [line["file"] for line in errors] == ["even/broken.png"]
    assert '"broken.png" is not a picture or clip' in errors[0]["error"]

    shutil.copy(folder / "odd" / "01.png", folder / "even" / "broken.png")
    assert main(arguments) == 1
    assert main([*arguments, "--retry"]) == 0
    lines = lines_of(out)
    assert len({line["file"] for line in lines}) == len(lines) == 13
    assert not any(line["error"] for line in lines)


def test_a_list_with_questions_of_its_own_and_all_that_can_be_written(tmp_path: Path) -> None:
    for name in ("shapes.png", "newcomer.mp4"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    listed = tmp_path / "list.txt"
    listed.write_text(f"shapes.png\t{RED_CIRCLES}\n\nnewcomer.mp4\nshapes.png\nshapes.png\n", encoding="utf-8")
    out, table, annotations, marked = (tmp_path / "out" / name for name in ("r.jsonl", "r.csv", "r.json", "marked"))
    arguments = ["batch", str(listed), "-q", HOW_MANY, "--out", str(out), "--csv", str(table)]
    assert main([*arguments, "--coco", str(annotations), "--marked", str(marked), "--greedy"]) == 0

    lines = {(line["file"], line["question"]): line for line in lines_of(out)}
    assert set(lines) == {("shapes.png", RED_CIRCLES), ("newcomer.mp4", HOW_MANY), ("shapes.png", HOW_MANY)}
    located = lines["shapes.png", RED_CIRCLES]
    assert [region["label"] for region in located["regions"]] == ["red circle", "red circle"]
    assert lines["newcomer.mp4", HOW_MANY]["media"][0]["times_s"][0] == 0
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["answer"] for row in rows} == {line["answer"] for line in lines.values()}
    opened = COCO(str(annotations))
    circles = opened.loadAnns(opened.getAnnIds(catIds=opened.getCatIds(catNms=["red circle"])))
    x1, y1, x2, y2 = located["regions"][0]["box"]
    assert circles[0]["bbox"] == pytest.approx([x1 * 0.512, y1 * 0.384, (x2 - x1) * 0.512, (y2 - y1) * 0.384], abs=0.01)
    [copy] = located["marked"]
    drawn = np.asarray(Image.open(copy))
    assert drawn.shape == (384, 512, 3)
    assert (drawn != np.asarray(Image.open(EXAMPLES / "shapes.png").convert("RGB"))).any()


def test_a_list_is_parted_at_the_ends_of_its_lines_alone(tmp_path: Path) -> None:
    """A question was cut off at what ends a paragraph or a page, and its rest was the name of a file."""
    questions = [f"What{mark}is it?" for mark in "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"]
    lines = [f"a.png\t{question}" for question in questions]
    for end in ("\n", "\r\n"):
        (tmp_path / "list.txt").write_bytes(end.join(lines).encode())
        assert [(item.file, item.question) for item in find_items(tmp_path / "list.txt", None)] == [
            ("a.png", question) for question in questions
        ]


def test_places_in_a_clip_are_drawn_on_its_frames(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "newcomer.mp4", tmp_path / "a.mp4")
    (tmp_path / "list.txt").write_text("a.mp4", encoding="utf-8")
    out, annotations = tmp_path / "r.jsonl", tmp_path / "r.json"
    arguments = ["batch", str(tmp_path / "list.txt"), "-q", STAR_AT, "--out", str(out), "--greedy"]
    assert main([*arguments, "--marked", str(tmp_path / "marked"), "--coco", str(annotations)]) == 0
    [line] = lines_of(out)
    assert line["regions"]
    assert len(line["marked"]) == len({image["id"] for image in json.loads(annotations.read_text())["images"]})
    assert all(Path(copy).is_file() for copy in line["marked"])


@pytest.mark.parametrize("name", ["list.txt", "list.txt/inside", "ring"])
def test_a_folder_that_takes_no_copies_is_told_before_the_model_is_loaded(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each answer was thrown away, and its line said that no copy could be written."""
    (tmp_path / "list.txt").write_text("only words")
    (tmp_path / "ring").symlink_to("ring")
    arguments = ["batch", str(folder), "-q", RED_CIRCLES, "--out", str(tmp_path / "r.jsonl")]
    assert main([*arguments, "--marked", str(tmp_path / name)]) == 2
    [told] = capsys.readouterr().err.splitlines()
    assert told.startswith(f'No copy can be written to "{Path(name).name}"')
    assert lines_of(tmp_path / "r.jsonl") == []


def test_a_copy_that_cannot_be_written_later_ends_the_run_and_the_next_one_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EXAMPLES / "shapes.png", tmp_path / "shapes.png")
    (tmp_path / "list.txt").write_text("shapes.png")
    copy = tmp_path / "marked" / f"{Item('shapes.png', tmp_path, RED_CIRCLES).copy_name}.png"
    copy.mkdir(parents=True)
    arguments = ["batch", str(tmp_path / "list.txt"), "-q", RED_CIRCLES, "--out", str(tmp_path / "r.jsonl")]
    arguments += ["--thinking", "off", "--greedy", "--marked", str(tmp_path / "marked")]
    assert main(arguments) == 2
    assert 'No copy can be written to "marked"' in capsys.readouterr().err.splitlines()[-1]
    assert lines_of(tmp_path / "r.jsonl") == []
    copy.rmdir()
    assert main(arguments) == 0
    assert [line["marked"] for line in lines_of(tmp_path / "r.jsonl")] == [[copy.as_posix()]]
    assert copy.is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["nowhere", "-q", "What?"], 'There is no folder and no list "nowhere"', id="no source"),
        pytest.param(["in", "--question", " "], "There is no question", id="no question"),
        pytest.param(["in"], "There is no question", id="none given"),
        pytest.param(["empty", "-q", "What?"], 'no picture and no clip in "empty"', id="nothing in it"),
        pytest.param(["in/even/00.png", "-q", "What?"], '"00.png" is not a list of files', id="a picture"),
        pytest.param(["print0.txt", "-q", "What?"], '"print0.txt" is not a list of files', id="parted by NUL"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    arguments: list[str],
    sentence: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("empty").mkdir()
    Path("print0.txt").write_bytes(b"in/even/00.png\0in/even/02.png\0")
    assert main(["batch", *arguments, "--out", "r.jsonl"]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_no_price_is_asked_for_where_no_cost_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It went into the settings of each line, and nothing came of it."""
    with pytest.raises(SystemExit, match="2"):
        main(["batch", str(folder), "-q", "What?", "--out", "r.jsonl", "--price-per-hour", "2"])
    assert "unrecognized arguments: --price-per-hour 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--csv", "r.jsonl"], '--csv and --out name the same file, "r.jsonl"', id="table over results"),
        pytest.param(["--csv", "in/../r.jsonl"], "--csv and --out", id="by another way"),
        pytest.param(["--csv", "link"], "--csv and --out", id="by a link"),
        pytest.param(
            ["--csv", "same", "--coco", "same"], "--coco and --csv name the same file", id="table, annotations"
        ),
        pytest.param(["--csv", "list.txt"], '--csv names "list.txt", which is read', id="table over the list"),
        pytest.param(["--coco", "in/odd/01.png"], '--coco names "01.png"', id="annotations over a picture"),
        pytest.param(["--marked", "r.jsonl"], "--marked and --out name the same file", id="copies in the results"),
    ],
)
def test_no_file_is_written_over_another(
    arguments: list[str],
    sentence: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A table that was named like the results, or like the list, took their place and they were lost."""
    monkeypatch.chdir(folder.parent)
    Path("list.txt").write_text("in/odd/01.png\n")
    Path("r.jsonl").touch()
    Path("link").symlink_to("r.jsonl")
    before = Path("in/odd/01.png").read_bytes()
    assert main(["batch", "list.txt", "-q", HOW_MANY, "--out", "r.jsonl", *arguments]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert (Path("list.txt").read_text(), Path("r.jsonl").read_text()) == ("in/odd/01.png\n", "")
    assert Path("in/odd/01.png").read_bytes() == before


def test_links_that_lead_in_a_ring_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before Python 3.13 they ended the command in a traceback, whether they were read or to be written."""
    monkeypatch.chdir(folder.parent)
    Path("there.png").symlink_to("back.png")
    Path("back.png").symlink_to("there.png")
    Path("round.csv").symlink_to("round.csv")
    Path("list.txt").write_text("there.png\n")
    assert main(["ask", "there.png", "-q", "What is it?"]) == 2
    assert '"there.png"' in capsys.readouterr().err.splitlines()[-1]
    assert main(["batch", "list.txt", "-q", "What is it?", "--out", "r.jsonl", "--csv", "round.csv"]) == 2
    assert '"there.png"' in lines_of(Path("r.jsonl"))[0]["error"]
    assert '"round.csv" cannot be written' in capsys.readouterr().err.splitlines()[-1]
    assert Path("round.csv").is_symlink()
    assert len(find_items(Path("in"), "What?", Path("round.csv"))) == 12


def test_a_name_that_is_no_text_is_written_escaped(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once all was asked it ended in a UnicodeEncodeError, and left empty files."""
    own, out = tmp_path / "own", tmp_path / "r.jsonl"
    own.mkdir()
    shutil.copy(folder / "odd" / "01.png", own / "caf\udce9.png")
    table, annotations, printed = tmp_path / "r.csv", tmp_path / "r.json", tmp_path / "printed"
    table.symlink_to(tmp_path / "linked.csv")
    asked = [str(own), "-q", HOW_MANY, "--thinking", "off"]
    assert main(["batch", *asked, "--out", str(out), "--csv", str(table), "--coco", str(annotations)]) == 0
    assert "caf\\udce9.png" in (tmp_path / "linked.csv").read_text(encoding="utf-8")
    assert json.loads(annotations.read_text(encoding="utf-8"))["images"][0]["file_name"] == "caf\udce9.png"
    with printed.open("w", encoding="utf-8", errors="strict") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["compare", *asked, "--models", "demo", "demo", "--json"]) == 0
    assert json.loads(printed.read_text(encoding="utf-8"))["file"] == "caf\udce9.png"


@pytest.mark.parametrize("copies", ["in", ".", "in/even/.."])
def test_copies_among_the_files_themselves_are_refused(
    copies: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "There is no picture and no clip" was said, as all of them were passed over."""
    monkeypatch.chdir(folder.parent)
    with pytest.raises(UserError, match='would lie among the files of "in"'):
        find_items(Path("in"), "What?", Path(copies))


def test_copies_hidden_files_and_other_content_are_not_asked_about(folder: Path) -> None:
    for path in ("copies/a.png", ".hidden/b.png", ".c.png"):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "odd" / "01.png", folder / path)
    shutil.copy(folder / "odd" / "01.png", folder / "no-ending")
    (folder / "Thumbs.db").write_bytes(b"\0\1\2")
    write_clip(folder / "z.mp4", frames=3)
    (folder / "ring.png").symlink_to("ring.png")
    files = [item.file for item in find_items(folder, "What?", folder / "copies")]
    assert files == sorted(files)
    assert {"no-ending", "z.mp4"} <= set(files)
    assert len(files) == 14
