"""The doctor: what it says of a machine on which all is well, and of each thing that is wrong."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from pipelines.__main__ import main
from pipelines.catalogue.device import Device
from pipelines.catalogue.known import DEMO_FOLDER
from pipelines.commands.doctor import examine, folder_finding, model_finding, port_finding
from pipelines.commands.machine import device_finding, kernels_finding
from tests.page_server import ROOT
from tests.ports import free_port

LOCAL = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server((LOCAL, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free() -> int:
    """A port on which nothing listens."""
    return free_port()


@pytest.fixture
def healthy(free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command on a machine whose folders can all be written, and a free port."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return ["doctor", "--host", LOCAL, "--port", str(free), "--data", str(tmp_path / "data")]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the shipped model."""
    return Path(shutil.copytree(DEMO_FOLDER, tmp_path / DEMO_FOLDER.name))


def test_all_well(healthy: list[str], free: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(healthy) == 0
    *rows, blank, last = capsys.readouterr().out.splitlines()
    assert (blank, last) == ("", "All is well.")
    assert [row.split("  ")[0] for row in rows] == [
        "device", "memory", "kernels", "Pillow", "FFmpeg", "libheif", "OpenCV", "torch", "transformers", "gradio",
        f"port {free}", "data folder", "temporary folder", "upload folder", "hub cache", "demo model",
    ]  # fmt: skip
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


def test_what_is_wrong_comes_last_a_line_each_with_exit_code_1(
    healthy: list[str], taken: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").touch()
    assert main([*healthy, "--port", str(taken)]) == 1
    out = capsys.readouterr().out
    folder = tmp_path / "data"
    assert out.split("\n\n")[1].splitlines() == [
        f"Port {taken} of {LOCAL} is taken: end what listens there, or choose another with `python app.py --host` or "
        "`--port`.",
        f'The data folder "{folder}" cannot be written (Not a directory): make room or mend its rights, or choose '
        "another with `python app.py --data`.",
    ]


def test_a_gpu_that_this_torch_cannot_use_is_told() -> None:
    """PyPI's torch for Windows computes on the CPU alone, and nothing said why the GPU stood idle."""
    device, place = Device("CPU", 8 * 10**9), torch.device("cpu")
    wrong = device_finding(device, place, 1, is_for_cpus=True).wrong
    assert wrong.startswith("There is an NVIDIA GPU, but torch is a build for CPUs: install its CUDA build")
    assert not device_finding(device, place, 0, is_for_cpus=True).wrong
    assert not device_finding(device, place, 1, is_for_cpus=False).wrong, "it was hidden from the program"


def test_a_gpu_without_what_triton_builds_with_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels were promised that it could not build, and nothing said how to mend it."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(tmp_path))
    gpu = torch.device("cuda")
    finding = kernels_finding(gpu, can_fuse=True)
    assert finding.wrong.startswith("Triton cannot build its kernels without a C compiler and Python's headers, and")
    assert "Triton" not in finding.told
    assert not kernels_finding(gpu, can_fuse=False).wrong, "there it is not used"
    (tmp_path / "Python.h").touch()
    (tmp_path / "gcc").touch(mode=0o755)
    finding = kernels_finding(gpu, can_fuse=True)
    assert not finding.wrong
    assert "Triton" in finding.told


def test_a_port_is_given_back(taken: int, free: int) -> None:
    assert port_finding(LOCAL, taken).wrong
    for _ in range(2):
        assert not port_finding(LOCAL, free).wrong


@pytest.mark.parametrize(
    ("host", "port"),
    [
        pytest.param(LOCAL, 99_999, id="no such port"),
        pytest.param("192.0.2.1", 0, id="not of this machine"),
        pytest.param("no host", 0, id="no host at all"),
    ],
)
def test_a_port_that_cannot_be_opened(host: str, port: int) -> None:
    finding = port_finding(host, port)
    assert finding.told == "cannot be opened"
    assert finding.wrong.startswith(f"Port {port} of {host} cannot be opened (")


def test_nothing_kept_is_well() -> None:
    told = {finding.name: finding for finding in examine(LOCAL, 0, lambda: None)}
    assert told["data folder"].told == "none: no conversation is kept"
    assert not told["data folder"].wrong


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([], "/glassbox can be written", id="this machine"),
        pytest.param(["--host", "0.0.0.0"], "none: no conversation is kept", id="others"),
        pytest.param(["--allow-host", "box.example"], "none: no conversation is kept", id="a name"),
        pytest.param(["--behind-proxy"], "none: no conversation is kept", id="a proxy"),
        pytest.param(["--public"], "none: no conversation is kept", id="strangers"),
    ],
)
def test_who_reaches_the_page_decides_what_is_kept_as_at_its_start(
    healthy: list[str],
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only the address was looked at, so that a folder was tried which the page behind a proxy never uses."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    assert main([*healthy[:-2], *arguments]) == 0
    [row] = [row for row in capsys.readouterr().out.splitlines() if row.startswith("data folder")]
    assert row.endswith(told)


def test_a_folder_that_a_public_page_refuses_is_wrong(healthy: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """All was well, and the page with the same options did not start."""
    assert main([*healthy, "--public"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "A public page keeps no conversations: leave out --data, or give --data none."


def test_a_folder_is_tried_where_it_would_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not folder_finding("hub cache", tmp_path / "a" / "b", "").wrong
    wrong = folder_finding("hub cache", tmp_path / "file" / "b", "set HF_HOME to another").wrong
    assert "cannot be written (Not a directory)" in wrong
    assert wrong.endswith("or set HF_HOME to another.")


def test_a_folder_that_is_a_link_to_a_disk_that_is_not_there_is_told(tmp_path: Path) -> None:
    """All was well, and the page did not start."""
    (tmp_path / "data").symlink_to(tmp_path / "disk" / "data")
    assert "cannot be written (No such file" in folder_finding("data folder", tmp_path / "data", "").wrong


def cut_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(folder: Path) -> None:
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        pytest.param(cut_weights, "model.safetensors of the shipped model is damaged", id="cut"),
        pytest.param(flip_a_bit, "model.safetensors of the shipped model is damaged", id="one bit"),
        pytest.param(lambda folder: (folder / "model.safetensors").unlink(), "cannot be read (No such file", id="none"),
        pytest.param(lambda folder: (folder / "evaluation.json").write_text("{}"), "evaluation.json of", id="hash"),
        pytest.param(lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json", id="tokenizer"),
        pytest.param(lambda folder: (folder / "config.json").unlink(), "config.json", id="config"),
    ],
)
def test_a_damaged_model_is_told(model: Path, damage: Callable[[Path], object], told: str) -> None:
    assert not model_finding(model).wrong
    damage(model)
    assert told in model_finding(model).wrong


def test_a_package_that_is_not_there_is_told_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    findings = {finding.name: finding for finding in examine(LOCAL, 0, lambda: None)}
    wrong = "What tells of FFmpeg cannot be loaded (av): run `pip install -r requirements.txt` again."
    assert findings["FFmpeg"].wrong == wrong
    assert not findings["demo model"].wrong


def test_it_examines_a_machine_where_the_page_is_not_installed() -> None:
    """What it is asked for on such a machine ended in a traceback."""
    code = (
        "import sys; sys.modules.update(gradio=None, starlette=None)\n"
        "from pipelines.__main__ import main; main(['doctor'])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in run.stderr
    assert "upload folder" in run.stdout


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As a container may run a program: under a number that is nobody's."""

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "you have none: give --data FOLDER" in told
    assert "demo model" in told
