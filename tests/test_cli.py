"""The command line, as a person calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from PIL import Image

from pipelines.__main__ import main
from pipelines.present.preview import FIRST_FRAME
from tests.dialect_server import CUT, Stream, delta, dialect_server, said
from tests.media_makers import write_clip

ROOT = Path(__file__).resolve().parent.parent
TELLING_OF_GRADIO = """
import sys
from pipelines.__main__ import main
from tests.media_makers import write_clip
code = main()
print("gradio" in sys.modules, file=sys.stderr)
sys.exit(code)
"""


def test_json_on_stdout_progress_on_stderr_and_no_gradio(picture: Path) -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            TELLING_OF_GRADIO,
            "ask",
            str(picture),
            "--question",
            "Where is the blue square?",
            "--json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(run.stdout)
    assert set(told) >= {
        "model",
        "device",
        "reasoning",
        "answer",
        "regions",
        "events",
        "timing",
        "tokens",
        "finish_reason",
    }
    assert set(told["tokens"]) == {"text", "visual", "reasoning", "answer"}
    assert told["model"] == "demo"
    assert told["media"] == [{"name": "square.png", "size": [192, 160], "seen_at": [192, 160], "visual_tokens": 30}]
    *progress, imported_gradio = run.stderr.splitlines()
    assert progress[0] == "Loading the model ..."
    assert imported_gradio == "False"


def test_text_shows_the_thought_the_answer_and_the_times(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(picture), "-q", "How many objects are there?"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("Thought\n") < shown.index("Answer\n") < shown.index("prefill")
    assert "first token" in shown
    assert "square.png: 192 × 160, seen at 192 × 160, 30 visual tokens" in shown


@pytest.mark.parametrize("command", [["ask", "-q", "What?", "--model"], ["models", "--also"]], ids=" ".join)
def test_a_home_that_nobody_has_is_one_sentence(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "~nobody-of-that-name/model"]) == 2
    assert 'model" is n' in capsys.readouterr().err.splitlines()[-1]  # not known, or no checkpoint


def test_only_the_first_frame_of_an_animation_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.new("RGB", (192, 160), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "walk.webp", save_all=True, append_images=frames[1:])
    assert main(["ask", str(tmp_path / "walk.webp"), "-q", "What is there?"]) == 0
    assert f"seen at 192 × 160, 30 visual tokens, {FIRST_FRAME}\n" in capsys.readouterr().out
    assert main(["ask", str(tmp_path / "walk.webp"), "-q", "What is there?", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["media"][0]["first_frame_only"]


def test_generate_says_the_same(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replies = []
    for engine in ("local", "reference"):
        assert main(["ask", str(picture), "-q", "How many objects are there?", "--engine", engine, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        replies.append((told["reasoning"], told["answer"]))
    assert replies[0] == replies[1]


def test_a_bound_of_the_thought(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(picture), "-q", "How many objects are there?", "--max-thinking-tokens", "4"]) == 0
    assert "The thought was ended at its limit of tokens." in capsys.readouterr().out


def test_a_number_of_frames_of_a_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_clip(tmp_path / "a.mp4")
    assert main(["ask", str(path), "-q", "What moves?", "--thinking", "off", "--frames", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["media"][0]["times_s"] == [0, 0.8, 1.56]


def test_fast_mode_has_no_thought(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(picture), "-q", "How many objects are there?", "--thinking", "off", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reasoning"] == ""
    assert told["answer"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        pytest.param("notes.png", b"only words", '"notes.png"', id="text renamed"),
        pytest.param("empty.png", b"", '"empty.png"', id="empty"),
        pytest.param("cut.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 64, '"cut.mp4"', id="cut-off clip"),
        pytest.param("none.png", None, '"none.png"', id="missing"),
    ],
)
def test_a_wrong_file_is_one_sentence_and_exit_code_2(
    name: str, content: bytes | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["ask", str(tmp_path / name), "-q", "What is it?"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert sentence in last
    assert last.endswith(".")
    assert str(tmp_path) not in last


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["-q", "What is in this picture?"], "none is given", id="no file"),
        pytest.param(["-q", "  "], "There is no question", id="no question"),
        pytest.param(["-q", "\udcff red?"], "bytes that are no characters", id="no UTF-8"),
        pytest.param(
            ["-q", "Hello", "--system", "\udcff"], "bytes that are no characters", id="no UTF-8 in the system"
        ),
        pytest.param(["-q", "word " * 5000], "this model holds", id="beyond the context"),
        pytest.param(["-q", "Hello", "--model", "7C"], '"7C" is not a known model', id="unknown model"),
        pytest.param(["-q", "Hello", "--model", "assets"], '"assets" is not a whole checkpoint', id="no checkpoint"),
        pytest.param(
            ["-q", "Hello", "--engine", "reference", "--base-url", "http://127.0.0.1:9/v1"],
            "The reference runs here and asks no server",
            id="reference at a server",
        ),
        pytest.param(["-q", "Hello", "--base-url", ""], "Which server is to answer?", id="empty address"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the address of a server was empty, as of a variable that nobody set, the shipped model answered."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert main(["ask", *arguments]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        *(("--fps", value, "must be a number above 0") for value in ("0", "-1", "nan", "inf", "two")),
        *(("--timeout", value, "must be a number above 0") for value in ("0", "-1", "nan")),
        *(("--price-per-hour", value, "must be a number, and 0 or above") for value in ("-1", "nan", "inf")),
        ("--max-new-tokens", "0", "must be at least 1"),
    ],
)
def test_a_setting_that_can_be_none_is_named(
    option: str, value: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["ask", "-q", "Hello", option, value])
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"argument {option}: {sentence}")


def test_the_help_says_of_each_setting_what_it_is_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the limit of new tokens it said nothing at all."""
    with pytest.raises(SystemExit, match="0"):
        main(["ask", "--help"])
    entries = {entry.split()[0]: entry for entry in capsys.readouterr().out.split("\n  --")[1:]}
    told = "weights", "max-new-tokens", "fps", "max-frames", "max-clip-tokens", "max-pixels", "clip-reader", "seed"
    assert all("default" in entries[name] for name in told)


def test_a_name_gives_a_terminal_no_orders(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The title of the window, what is on the screen and the clipboard were for whoever had named a file."""
    name = "a\x1b]0;yours\x07\x9b2Jb"
    named = picture.rename(picture.with_name(f"{name}.png"))
    (other := named.with_name(f"{name}2.png")).write_text("no picture")
    assert main(["ask", str(named), "-q", "What is it?", "--thinking", "off"]) == 0
    assert main(["ask", str(named), "-q", "What is it?", "--thinking", "off", "--json"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["media"][0]["name"] == named.name
    assert main(["ask", str(other), "-q", "What is it?"]) == 2
    assert main(["batch", str(other.parent), "-q", "What is it?", "--out", str(picture.with_name("out.jsonl"))]) == 1
    shown += capsys.readouterr().err
    assert shown.count("a\\u001b]0;yours\\u0007\\u009b2Jb") == 5
    assert not set("\x1b\x07\x9b") & set(shown)


def test_a_file_that_is_not_there_is_told_before_a_model_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was told seconds later, behind three lines of progress."""
    assert main(["ask", str(tmp_path / "photo.jpg"), "-q", "What is it?"]) == 2
    told = 'There is no file "photo.jpg" here, or not any more: check its name, or upload it again.\n'
    assert capsys.readouterr().err == told


def test_a_trace_is_not_written_over_a_picture(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = picture.read_bytes()
    assert main(["ask", str(picture), "-q", "What is it?", "--trace", str(picture)]) == 2
    assert '--trace names "square.png"' in capsys.readouterr().err.splitlines()[-1]
    assert picture.read_bytes() == before


def run_in(environment: dict[str, str], output: int | IO[bytes], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pipelines", *arguments]
    told = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=told, stdout=output, stderr=subprocess.PIPE, check=False)


COMMANDS = pytest.mark.parametrize(
    "command", [["ask", "-q", "Hello"], ["models"], ["doctor", "--data", "none"]], ids=lambda one: one[0]
)


@COMMANDS
def test_an_output_that_nobody_reads_any_more_ends_the_command(command: list[str]) -> None:
    """What is piped to `head` ended in a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as output:  # noqa: PTH123 - a number is no path
        run = run_in({}, output, *command)
    assert run.returncode == 141
    assert b"Error" not in run.stderr


@COMMANDS
def test_a_disk_that_takes_no_output_is_one_sentence(command: list[str]) -> None:
    with Path("/dev/full").open("wb") as output:
        run = run_in({}, output, *command)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == b"The output cannot be written: check the free disk space."
    assert b"Traceback" not in run.stderr


def test_a_locale_that_lacks_a_character_has_a_question_mark_for_it(picture: Path) -> None:
    run = run_in(
        {"PYTHONIOENCODING": "ascii"}, subprocess.PIPE, "ask", str(picture), "-q", "How many objects are there?"
    )
    assert run.returncode == 0
    assert b"square.png: 192 ? 160, seen at 192 ? 160" in run.stdout


@pytest.mark.parametrize("command", [["ask"], ["compare", "--models", "demo", "demo"]], ids=lambda one: one[0])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_json_loses_nothing_whatever_the_output_is_written_in(
    encoding: str, command: list[str], picture: Path, tmp_path: Path
) -> None:
    """What the code page of a redirected output lacks was "?", and what it has was no JSON for a program."""
    named = picture.rename(picture.with_name("字é😀.png"))
    (tmp_path / "list.txt").write_text(f"{named.name}\n", encoding="utf-8")
    source = named if command == ["ask"] else tmp_path / "list.txt"
    asked = [*command, "-q", "What is it?", "--thinking", "off", "--json", str(source)]
    run = run_in({"PYTHONIOENCODING": encoding}, subprocess.PIPE, *asked)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert named.name in (told["media"][0]["name"] if command == ["ask"] else told["file"])


def test_json_holds_a_name_that_is_no_text(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = picture.rename(picture.with_name("caf\udce9.png"))
    assert main(["ask", str(named), "-q", "What is it?", "--thinking", "off", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["media"][0]["name"] == named.name


def test_an_answer_that_a_server_does_not_tell_from_a_thought(capsys: pytest.CaptureFixture[str]) -> None:
    """All that models without a thought say stood under "Thought", and nothing told that it was the answer."""
    with dialect_server(Stream(said("Two", "."))) as server:
        assert main(["ask", "-q", "How many?", "--base-url", server.base_url]) == 0
    told = "Thought\nTwo.\n\nThe server told no thought apart: what stands above is the answer.\n"
    shown = capsys.readouterr().out
    assert shown.startswith(told)
    assert "  tokens: 0 reasoning, 2 answer\n" in shown


def test_a_reply_that_breaks_off_keeps_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal the sentence of what went wrong was written over it."""
    with dialect_server(Stream([delta({"content": "Two and"}), CUT])) as server:
        assert main(["ask", "-q", "How many?", "--base-url", server.base_url]) == 2
    assert capsys.readouterr().out == "Thought\nTwo and\n"


def test_a_hub_id_that_cannot_be_had_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "-q", "Hello", "--model", "4B"]) == 2
    assert '"Qwen/Qwen3.5-4B" is not on this machine' in capsys.readouterr().err.splitlines()[-1]
