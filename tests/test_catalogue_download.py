"""Downloads, from a hub on this machine: broken off and resumed, checked, and found again without a connection."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.catalogue.download import INDEX, is_whole
from pipelines.models import DEMO_FOLDER
from tests.hub_server import COMMIT, WEIGHTS, HubServer, hub_server

ROOT = Path(__file__).resolve().parent.parent
LARGE = {"sha256": "0" * 64, "size": 3, "pointerSize": 130}
"""How the hub tells of a large file."""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server(DEMO_FOLDER, "Qwen/Qwen3.5-0.8B") as server:
        yield server


def run(home: Path, hub: HubServer | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which reaches that hub and no other."""
    own = {"HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0" if hub else "1"}
    environment = {**os.environ, **own, **({"HF_ENDPOINT": hub.address} if hub else {})}
    command = [sys.executable, "-m", "pipelines", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_download_goes_on_where_its_connection_broke(tmp_path: Path, hub: HubServer) -> None:
    hub.breaks_at = [15_000_000]
    whole = run(tmp_path, hub, "models", "pull", "0.8B")
    assert whole.returncode == 0, whole.stderr
    assert f"revision {COMMIT}: use it with --model 0.8B" in whole.stdout
    assert hub.ranges == ["", "bytes=15000000-"]
    assert f"Checking {WEIGHTS} ..." in whole.stderr
    asked = run(tmp_path, None, "ask", "-q", "Hello, what can you do?", "--thinking", "off", "--model", "0.8B")
    assert asked.returncode == 0, asked.stderr
    table = run(tmp_path, None, "models").stdout.splitlines()
    assert next(row for row in table if row.startswith("0.8B")).split()[-2:] == ["yes", "no"]


def test_no_code_of_a_model_is_taken(tmp_path: Path, hub: HubServer) -> None:
    """Nor weights in a form that can hold code; and a terminal obeys no name of a file."""
    code = {"modeling.py": b"raise SystemExit", "pytorch_model.bin": b"\x80\x04."}
    hub.files |= {**code, "\x1b[2J.json": b"{}"}
    pulled = run(tmp_path, hub, "models", "pull", "0.8B")
    assert pulled.returncode == 0, pulled.stderr
    assert r"Checking \u001b[2J.json ..." in pulled.stderr
    assert not code.keys() & {*hub.fetched, *(file.name for file in tmp_path.rglob("*"))}


def test_a_pull_after_a_failed_one_fetches_what_is_missing(tmp_path: Path, hub: HubServer) -> None:
    """Files that came whole stay, and one that was broken off goes on where it was."""
    hub.breaks_at = [9_000_000] + [0] * 20
    broken = run(tmp_path, hub, "models", "pull", "0.8B")
    assert broken.returncode == 2
    assert broken.stderr.splitlines()[-1].startswith(f"The connection broke at 0.01 of 0.03 GB of {WEIGHTS}: what came")
    hub.breaks_at = []
    hub.fetched.clear()
    hub.ranges.clear()
    assert run(tmp_path, hub, "models", "pull", "0.8B").returncode == 0
    assert hub.fetched.count(WEIGHTS) == 1
    assert hub.ranges == ["bytes=9000000-"]


def test_a_model_is_not_here_before_its_small_files_are(tmp_path: Path, hub: HubServer) -> None:
    """With all but its template it was told to be here, and could not be loaded."""
    hub.withheld = {"chat_template.jinja"}
    assert run(tmp_path, hub, "models", "pull", "0.8B").returncode == 2
    hub.withheld = set()
    asked = run(tmp_path, hub, "ask", "-q", "Hello, what can you do?", "--thinking", "off", "--model", "0.8B")
    assert asked.returncode == 0, asked.stderr


def test_without_symbolic_links_a_model_takes_its_room_once(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights lay beside the copy that the hub's library made of them, in twice the room that was looked for."""
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    hub.breaks_at = [15_000_000]
    assert run(tmp_path, hub, "models", "pull", "0.8B").returncode == 0
    assert hub.ranges == ["", "bytes=15000000-"]
    size = len(hub.files[WEIGHTS])
    assert [file.name for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size == size] == [WEIGHTS]


def test_what_the_hubs_own_library_brought_without_symbolic_links_is_not_fetched_again(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked for where links lead to, and came whole again."""
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    bring = f"import huggingface_hub; huggingface_hub.snapshot_download({hub.hub_id!r})"
    brought = subprocess.run([sys.executable, "-c", bring], capture_output=True, text=True, check=False)
    assert brought.returncode == 0, brought.stderr
    assert hub.fetched.count(WEIGHTS) == 1
    assert run(tmp_path, hub, "models", "pull", "0.8B").returncode == 0
    assert hub.fetched.count(WEIGHTS) == 1


def test_a_damaged_file_is_found_and_removed(tmp_path: Path, hub: HubServer) -> None:
    hub.is_damaged = True
    damaged = run(tmp_path, hub, "models", "pull", "0.8B", "--revision", COMMIT)
    assert damaged.returncode == 2
    assert damaged.stderr.splitlines()[-1].startswith(f"{WEIGHTS} arrived damaged, and was removed")
    hub.is_damaged = False
    assert run(tmp_path, hub, "models", "pull", f"0.8B@{COMMIT}").returncode == 0


def test_a_pull_that_cannot_ask_what_the_files_should_be_says_that_none_was_checked(
    tmp_path: Path, hub: HubServer
) -> None:
    """Without a connection it told a damaged model to be whole."""
    assert run(tmp_path, hub, "models", "pull", "0.8B").returncode == 0
    next(tmp_path.rglob(WEIGHTS)).write_bytes(b"damaged")
    unchecked = run(tmp_path, None, "models", "pull", "0.8B")
    assert unchecked.returncode == 2
    assert unchecked.stderr.splitlines()[-1].startswith('"Qwen/Qwen3.5-0.8B" is here, but the hub cannot be asked')
    assert "removed: pull it again" in run(tmp_path, hub, "models", "pull", "0.8B").stderr


@pytest.mark.parametrize("name", ["0.8B", "0.8B@other"])
def test_a_revision_that_was_pulled_is_told_as_what_runs_it(name: str, tmp_path: Path, hub: HubServer) -> None:
    """It told the name alone, which stands for the newest revision."""
    pulled = run(tmp_path, hub, "models", "pull", name, "--revision", COMMIT)
    assert pulled.stdout.endswith(f"use it with --model 0.8B@{COMMIT}\n"), pulled.stderr
    model = pulled.stdout.split()[-1]
    asked = run(tmp_path, None, "ask", "-q", "Hello, what can you do?", "--thinking", "off", "--model", model)
    assert asked.returncode == 0, asked.stderr


@pytest.mark.parametrize("revision", [[], ["--revision", COMMIT]])
def test_a_model_that_is_here_is_not_fetched_again_once_the_hub_has_a_newer_one(
    revision: list[str], tmp_path: Path, hub: HubServer
) -> None:
    """What was told to be here, by `auto` and by the page, came a second time: untold, and not to be cancelled."""
    assert run(tmp_path, hub, "models", "pull", "0.8B", *revision).returncode == 0
    hub.commit, hub.files[WEIGHTS] = "b" * 40, hub.files[WEIGHTS][::-1]
    hub.fetched.clear()
    asked = run(tmp_path, hub, "ask", "-q", "Hello, what can you do?", "--thinking", "off", "--model", "0.8B")
    assert asked.returncode == 0, asked.stderr
    assert hub.fetched == []
    pulled = run(tmp_path, hub, "models", "pull", "0.8B")
    assert f"revision {hub.commit}" in pulled.stdout, pulled.stderr


def test_a_download_keeps_to_the_commit_that_it_began_with(tmp_path: Path, hub: HubServer) -> None:
    """A newer one that came meanwhile was brought whole as well, untold, and then taken for a damaged one."""
    hub.moves_to = "b" * 40
    pulled = run(tmp_path, hub, "models", "pull", "0.8B")
    assert f"revision {COMMIT}" in pulled.stdout, pulled.stderr
    assert hub.fetched.count(WEIGHTS) == 1


def test_the_shipped_model_is_told_to_be_here(tmp_path: Path) -> None:
    """It was no known model, and among those to use."""
    pulled = run(tmp_path, None, "models", "pull", "demo")
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout.startswith('The model "demo" comes with the program')


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["Qwen/Other"], 'The hub has no model "Qwen/Other"', id="no model"),
        pytest.param(["0.8B", "--revision", "b" * 40], 'has no revision "bbbb', id="no revision"),
        pytest.param(["7C"], '"7C" is not a known model', id="no name"),
    ],
)
def test_what_cannot_be_pulled_is_told(arguments: list[str], sentence: str, tmp_path: Path, hub: HubServer) -> None:
    refused = run(tmp_path, hub, "models", "pull", *arguments)
    assert refused.returncode == 2
    assert sentence in refused.stderr.splitlines()[-1]


def test_a_folder_for_models_that_takes_none_is_told_as_such(tmp_path: Path, hub: HubServer) -> None:
    """It was the connection and the free disk space that were to be checked."""
    (tmp_path / "hub").touch()
    refused = run(tmp_path, hub, "models", "pull", "0.8B")
    assert refused.returncode == 2
    told = '"Qwen/Qwen3.5-0.8B" could not be kept in the folder for models (Not a directory): mend its rights, or set'
    assert refused.stderr.splitlines()[-1].startswith(told)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        pytest.param(b'{"model_type": "llama"}', "is not a Qwen3.5 checkpoint", id="another model"),
        pytest.param(
            b'{"model_type": "qwen3_5", "quantization_config": {"quant_method": "awq"}}',
            "holds quantised weights",
            id="quantised",
        ),
        pytest.param(b"{", "cannot be read: config.json is damaged", id="damaged config"),
        pytest.param(None, "is not a whole checkpoint: config.json is missing", id="no config"),
    ],
)
def test_what_cannot_be_run_is_told_before_its_weights_come(
    config: bytes | None, sentence: str, tmp_path: Path, hub: HubServer
) -> None:
    """All of it came first, and then it was told by a commit in the place of its name."""
    files = {file: data for file, data in hub.files.items() if file != "config.json"}
    hub.files = files if config is None else {**files, "config.json": config}
    refused = run(tmp_path, hub, "models", "pull", "0.8B")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith(f'"Qwen/Qwen3.5-0.8B" {sentence}')
    assert not [file for file in hub.fetched if file.endswith(".safetensors")]


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        pytest.param((401, "GatedRepo"), 'The hub does not give "Qwen/Qwen3.5-0.8B" to this', id="not signed in"),
        pytest.param((403, "GatedRepo"), 'The hub does not give "Qwen/Qwen3.5-0.8B" to this', id="not let in"),
        pytest.param((401, "BadToken"), 'The hub does not give "Qwen/Qwen3.5-0.8B" to this', id="expired token"),
        pytest.param((403, "Forbidden"), 'The hub does not give "Qwen/Qwen3.5-0.8B" to this', id="no right"),
        pytest.param((404, "RepoNotFound"), 'The hub has no model "Qwen/Qwen3.5-0.8B"', id="gone"),
    ],
)
def test_a_refusal_of_a_large_file_is_told_as_one_and_asked_for_once(
    refusal: tuple[int, str], sentence: str, tmp_path: Path, hub: HubServer
) -> None:
    """A model of which the hub gives the list but no weights was told as a broken connection, after four tries."""
    hub.refusals = [refusal] * 20
    refused = run(tmp_path, hub, "models", "pull", "0.8B")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith(sentence)
    assert hub.ranges == [""]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"rfilename": "../../../../../mine.json", "size": 3}, id="a name that leads out"),
        pytest.param({"rfilename": "a.safetensors", "size": 3, "lfs": {**LARGE, "sha256": "../../mine"}}, id="hash"),
        pytest.param({"size": 3}, id="no name"),
    ],
)
def test_what_answers_in_the_place_of_the_hub_is_told_and_reaches_no_file(
    odd: dict[str, object], tmp_path: Path, hub: HubServer
) -> None:
    """A file of the user's own that it named was deleted as a damaged one; a page for a list was a traceback."""
    mine = tmp_path / "mine.json"
    mine.write_text("mine")
    hub.told = lambda told: {**told, "siblings": [*told["siblings"], odd]}
    refused = run(tmp_path / "home", hub, "models", "pull", "0.8B")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("What answers for the hub is none, and")
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("told", "listed"),
    [
        pytest.param({"sha": None}, None, id="no commit"),
        pytest.param({"sha": ""}, None, id="a commit without a name"),
        pytest.param({}, [{"path": "config.json"}], id="a second list of another form"),
    ],
)
def test_a_hub_that_tells_of_no_commit_or_a_false_list_is_told(
    told: dict[str, object], listed: object, tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's library asks on its own too, and what it was told wrongly was its AssertionError or KeyError."""
    hub.told = lambda whole: {**whole, **told}
    if listed is not None:
        monkeypatch.setattr(hub, "listing", lambda: listed)
    refused = run(tmp_path, hub, "models", "pull", "0.8B")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("What answers for the hub is none, and")


@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_is_busy_is_asked_again(status: int, tmp_path: Path, hub: HubServer) -> None:
    hub.refusals = [(status, "Busy")]
    assert run(tmp_path, hub, "models", "pull", "0.8B").returncode == 0
    assert hub.ranges == ["", ""]


@pytest.mark.parametrize(
    "names", [None, [], {"weight_map": []}, {"weight_map": {"a": ["b"]}}, {"weight_map": {"a": 1}}]
)
def test_an_index_of_another_form_names_no_whole_model(names: object, tmp_path: Path) -> None:
    """It ended in a TypeError the page's list of models, and whoever asked for the largest that is here."""
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).touch()
    (tmp_path / WEIGHTS).touch()
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": WEIGHTS}}))
    assert is_whole(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps(names))
    assert not is_whole(tmp_path)
    (tmp_path / INDEX).write_text("[" * 200_000)
    assert not is_whole(tmp_path)


def test_a_cache_that_cannot_be_read_whole_ends_in_no_traceback(tmp_path: Path) -> None:
    """Of any other model in it that was closed to this user, or removed meanwhile."""
    for folder in ("refs", "snapshots"):
        (tmp_path / "hub" / "models--another--model" / folder).mkdir(parents=True)
    (tmp_path / "hub" / "models--another--model" / "refs" / "main").symlink_to("removed")
    refused = run(tmp_path, None, "ask", "-q", "Hi", "--model", "0.8B")
    assert "is not on this machine and could not be downloaded" in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", [["models", "pull", "0.8B"], ["ask", "-q", "Hi", "--model", "0.8B"]])
def test_a_config_alone_is_no_model(command: list[str], tmp_path: Path) -> None:
    """Whoever asks the hub's library for the config leaves it in the cache, and without a connection that was all."""
    cache = tmp_path / "hub" / "models--Qwen--Qwen3.5-0.8B"
    for folder in ("refs", f"snapshots/{COMMIT}"):
        (cache / folder).mkdir(parents=True)
    (cache / "refs" / "main").write_text(COMMIT)
    shutil.copy(DEMO_FOLDER / "config.json", cache / "snapshots" / COMMIT)
    refused = run(tmp_path, None, *command)
    assert refused.returncode == 2
    assert "is not on this machine and could not be downloaded" in refused.stderr.splitlines()[-1]
