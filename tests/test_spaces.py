"""The Spaces: what is built for each kind, started as the host would start it, and what deploying does."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from httpx2 import ConnectError
from huggingface_hub import HfApi

from pipelines.engine.placement import Placement
from pipelines.models import DEMO_FOLDER
from pipelines.zerogpu import ZeroGpuEngine
from tests.space_host import SPACE_HOST, Started, started

ROOT = Path(__file__).resolve().parent.parent
SPACES, SHAPES = ROOT / "spaces", ROOT / "assets" / "examples" / "shapes.png"
KINDS = ("zerogpu", "gpu", "cpu")
DIFFERING = {
    "zerogpu": {"gradio": None, "decord": None, "torchao": None, "torch": "2.11.0"},
    "cpu": {"gradio": None, "decord": None},
    "gpu": {"decord": None},
}


def deployment() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("deploy", SPACES / "deploy.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["deploy"] = module
    spec.loader.exec_module(module)
    return module


deploy = deployment()


def built(kind: str, folder: Path, *options: str) -> Path:
    assert deploy.main(["me/glassbox", "--kind", kind, "--dry-run", "--folder", str(folder / kind), *options]) == 0
    return folder / kind


def front_matter(readme: Path) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(readme.read_text(encoding="utf-8").split("---\n")[1])
    return told


def pins(requirements: Path) -> dict[str, str]:
    lines = (line.partition(";")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if "==" in line)


def answer(space: Started) -> dict[str, Any]:
    client = Client(space.address, verbose=False)
    told: dict[str, Any] = client.predict("How many red shapes are there?", [handle_file(SHAPES)], api_name="/ask")
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_holds_the_program_and_never_a_folder_of_that_name(kind: str, tmp_path: Path) -> None:
    folder = built(kind, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert names >= {deploy.MARK, "app.py", "pipelines", "assets", "README.md", "requirements.txt", "LICENSE"}
    assert "spaces" not in {path.name for path in folder.rglob("*")}
    assert not list(folder.rglob("__pycache__"))
    told = front_matter(folder / "README.md")
    assert {"title", "sdk", "license", "short_description"} <= set(told)
    assert (folder / told.get("app_file", "Dockerfile")).is_file()
    assert len(told["short_description"]) <= 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_asks_for_the_versions_that_its_host_takes(kind: str, tmp_path: Path) -> None:
    folder, program = built(kind, tmp_path), pins(ROOT / "requirements.txt")
    own, gradio = pins(folder / "requirements.txt"), program["gradio"]
    program["opencv-python-headless"] = program.pop("opencv-python")
    assert {name: own.get(name) for name in program | own if program.get(name) != own.get(name)} == DIFFERING[kind]
    assert front_matter(folder / "README.md").get("sdk_version", own.get("gradio")) == gradio


def test_the_weights_that_are_there_before_it_starts_follow_the_model(tmp_path: Path) -> None:
    def preloaded(*options: str) -> object:
        return front_matter(built("zerogpu", tmp_path, *options) / "README.md").get("preload_from_hub")

    assert preloaded() == ["Qwen/Qwen3.5-4B"]
    assert preloaded("--model", "0.8B") == ["Qwen/Qwen3.5-0.8B"]
    assert preloaded("--model", "someone/else") == ["someone/else"]
    assert preloaded("--model", "demo") is None


def test_on_a_cpu_it_answers_from_code_that_nobody_may_write(tmp_path: Path) -> None:
    with started(built("cpu", tmp_path), ["space.py"], {}) as space:
        told = answer(space)
        by_its_name = urllib.request.Request(space.address, headers={"Host": SPACE_HOST})  # as the host's proxy asks
        with urllib.request.urlopen(by_its_name, timeout=60) as response:
            assert response.status == 200
            assert "huggingface.co" in response.headers["content-security-policy"]
    assert (told["model"], told["answer"]) == ("demo", "There are 3 red shapes.")


def test_on_zerogpu_it_answers_on_a_gpu_that_is_lent_and_tells_the_quota(tmp_path: Path) -> None:
    (tmp_path / "host" / "spaces").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "lent_gpu.py", tmp_path / "host" / "spaces" / "__init__.py")
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    given = {"GLASSBOX_MODEL": "demo", "QUOTA_S": "40"}
    with started(built("zerogpu", tmp_path), ["space.py"], given, beside=tmp_path / "host") as space:
        assert answer(space)["answer"] == "There are 3 red shapes."
        lent_s = int(re.findall(r"lent for (\d+) s", space.wait_for("lent for"))[0])
        space.wait_for("given back")
        with pytest.raises(AppError, match=r"shared GPU is not to be had now: .* GPU quota .*s left.*Wait a little"):
            answer(space)
    assert 20 <= lent_s < 40


def test_the_image_takes_the_program_alone_from_the_folder_it_is_built_in(tmp_path: Path) -> None:
    """Built in a checkout, it held its history, its environment and a folder of conversations."""
    folder = built("gpu", tmp_path)
    lines = (folder / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    taken = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert taken == {*deploy.PROGRAM, "requirements.txt"}
    assert all((folder / name).exists() for name in taken)


def test_the_image_has_what_triton_builds_its_kernels_with() -> None:
    """The slim image has no compiler, so that on its GPU plain torch ran alone, behind a warning in the log."""
    packages = re.findall(r"apt-get install .*", (SPACES / "gpu" / "Dockerfile").read_text(encoding="utf-8"))[0].split()
    assert {"gcc", "libc6-dev"} <= set(packages)


def test_the_image_is_built_and_run_by_its_steps(tmp_path: Path) -> None:
    folder = built("gpu", tmp_path)
    linter = Path(sys.executable).with_name("hadolint")
    subprocess.run([linter, folder / "Dockerfile"], check=True)
    text = re.sub(r"\\\n\s*", "", (folder / "Dockerfile").read_text(encoding="utf-8"))
    steps = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    users = [value for name, value in steps if name == "USER"]
    assert users == ["1000"]
    assert [name for name, _ in steps].index("USER") < [name for name, _ in steps].index("COPY")
    assert next(value for name, value in steps if name == "EXPOSE") == "7860"
    image = tmp_path / "image"
    image.mkdir()
    for name, value in steps:
        if name == "COPY":
            *sources, _ = value.removeprefix("--chown=user ").split()
            for source in sources:
                if (folder / source).is_dir():
                    shutil.copytree(folder / source, image, dirs_exist_ok=True)
                else:
                    shutil.copy(folder / source, image)
    environment = dict(pair.split("=", 1) for name, value in steps if name == "ENV" for pair in value.split())
    assert environment["GRADIO_SERVER_NAME"] == "0.0.0.0"
    given = {key: environment[key] for key in ("PYTHONUNBUFFERED", "HF_XET_HIGH_PERFORMANCE")}
    _python, *command = json.loads(next(value for name, value in steps if name == "CMD"))
    with started(image, command, {**given, "GLASSBOX_MODEL": "demo"}) as space:
        assert answer(space)["answer"] == "There are 3 red shapes."
        check = next(value for name, value in steps if name == "HEALTHCHECK").partition("CMD ")[2]
        _python, option, code = json.loads(check)
        port = space.environment["GRADIO_SERVER_PORT"]
        subprocess.run([sys.executable, option, code.replace("7860", port)], check=True, timeout=60)
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([sys.executable, option, code.replace("7860", port)], check=True, capture_output=True)


def test_what_crosses_to_the_lent_gpu_and_back() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.lent_steps"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    told = json.loads(run.stderr.splitlines()[-1])
    whole = told["whole"]
    assert whole["text"].endswith("A circle.")
    assert (whole["end"], whole["tasks"][0]) == ("stop", "queue")
    assert told["stopped"]["end"] == "cancelled"
    assert told["stopped"]["num"] < 60 < whole["num"]
    assert (told["hurried"]["end"], told["hurried"]["closed"]) == ("stop", 1)
    assert told["hurried"]["text"].endswith("A circle.")
    assert told["hurried"]["num"] < whole["num"]
    assert (told["refused"]["end"], told["refused"]["kind"]) == ("Too long.", "UserError")
    assert (told["no memory"]["end"], told["no memory"]["kind"]) == ("Too little memory.", "TooLittleMemoryError")
    assert "not to be had now: RuntimeError" in told["broken"]["end"]
    assert told["cut"]["end"] == "length"
    assert 0 < told["cut"]["num"] < 100
    assert "You have exceeded your GPU quota" in told["no quota"]["end"]
    assert "Internal Gradio error" in told["unknown visitor"]["end"]
    lent, back = (run.stdout.count(text) for text in ("lent for", "given back"))
    assert lent == back == 7


def test_the_model_goes_to_the_gpu_when_it_is_loaded_and_a_longer_reply_asks_for_longer() -> None:
    asked = {}

    def lend(*, duration: Any) -> Any:
        asked["duration"] = duration
        return lambda task: task

    place = Placement("meta", torch.bfloat16, "nowhere")
    engine = ZeroGpuEngine.load(DEMO_FOLDER, "demo", lend, (), place)
    model = engine._make.args[0]  # type: ignore[attr-defined]
    assert {weight.device.type for weight in model.parameters()} == {"meta"}

    def seconds(num_tokens: int, max_new_tokens: int, weight_bytes: int = 0) -> int:
        engine._weight_bytes = weight_bytes
        inputs = SimpleNamespace(input_ids=torch.zeros(1, num_tokens))
        told: int = asked["duration"](inputs, SimpleNamespace(max_new_tokens=max_new_tokens), 0)
        return told

    assert seconds(100, 64) < seconds(3500, 64) < seconds(100, 1024) < seconds(100, 1024, 2 * 10**9)
    assert seconds(100, 10**9, 10**12) == 110


def test_the_package_of_that_name_is_found_beside_the_folder() -> None:
    code = "import spaces; print(spaces.__file__, spaces.GPU(duration=3)(len)('four'))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    path, four = run.stdout.split()
    assert not Path(path).is_relative_to(SPACES)
    assert four == "4"


class Hub:
    """Stands in for the hub: keeps what was asked of it. `stages` is how the Space comes along, or what is raised.

    `variables` are the names of those that it has already.
    """

    def __init__(self, *stages: str | Exception, error: Exception | None = None, variables: Sequence[str] = ()) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._stages, self._error, self._variables = iter(stages), error, variables

    def __getattr__(self, name: str) -> Any:
        def ask(*values: Any, **keywords: Any) -> Any:
            inspect.signature(getattr(HfApi, name)).bind(self, *values, **keywords)  # as the hub's client takes it
            self.asked.append((name, values, keywords))
            if name == "whoami" and self._error:
                raise self._error
            if name == "get_space_variables":
                return dict.fromkeys(self._variables, "")
            if name == "get_space_runtime":
                if isinstance(stage := next(self._stages), Exception):
                    raise stage
                return SimpleNamespace(stage=stage)
            return SimpleNamespace(commit_url="https://huggingface.co/spaces/me/x/commit/1")

        return ask


def put(hub: Hub, folder: Path, **plan: Any) -> str:
    told: str = deploy.deploy(deploy.Plan("me/x", **plan), folder, hub, lambda _: None)
    return told


def test_deploying_creates_uploads_waits_and_gives_the_address(tmp_path: Path) -> None:
    hub = Hub("BUILDING", "APP_STARTING", "RUNNING")
    assert put(hub, tmp_path, kind="gpu", model="9B", hardware="a10g-large") == "https://huggingface.co/spaces/me/x"
    asked = {name: (values, keywords) for name, values, keywords in hub.asked}
    created = asked["create_repo"][1]
    assert (created["space_sdk"], created["space_hardware"], created["exist_ok"]) == ("docker", "a10g-large", True)
    assert asked["upload_folder"][1]["delete_patterns"] == "*"
    assert asked["upload_folder"][1]["ignore_patterns"] == deploy.MARK
    assert asked["add_space_variable"][0] == ("me/x", "GLASSBOX_MODEL", "9B")
    assert "delete_space_variable" not in asked
    assert [name for name, *_ in hub.asked].count("get_space_runtime") == 3


def test_deploying_again_takes_back_what_is_not_asked_for_any_more(tmp_path: Path) -> None:
    """The login of an earlier time stayed, without what signs in, and the Space did not start."""
    hub = Hub("RUNNING", variables=("GLASSBOX_LOGIN", "GLASSBOX_MODEL", "SOMETHING_ELSE"))
    put(hub, tmp_path, kind="cpu")
    deleted = [values for name, values, _ in hub.asked if name == "delete_space_variable"]
    assert deleted == [("me/x", "GLASSBOX_LOGIN"), ("me/x", "GLASSBOX_MODEL")]


@pytest.mark.parametrize(
    ("hub", "sentence"),
    [
        (Hub(error=OSError("no token")), "not signed in"),
        (Hub(error=ConnectError("refused")), "cannot be reached"),
        (Hub("BUILDING", ConnectError("refused")), "cannot be reached"),
        (Hub("BUILDING", "BUILD_ERROR"), r"failed \(BUILD_ERROR\)"),
        (Hub(*["BUILDING"] * 1000), "does not run after 60 minutes"),
        (Hub(*["PAUSED"] * 1000), "is paused, with the new files in it: restart it"),
    ],
)
def test_what_goes_wrong_on_the_hub_is_one_sentence(hub: Hub, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(deploy.DeployError, match=sentence):
        put(hub, tmp_path, kind="cpu")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["glassbox"], "give USER/NAME"),
        (["me/x", "--model", "7C"], '"7C" is not a model'),
        (["me/x", "--hardware", "abacus"], 'no hardware "abacus"'),
        (["me/x", "--folder", str(ROOT / "tests")], "holds something else"),
        (["me/x", "--folder", str(ROOT)], "holds something else"),
    ],
)
def test_a_wrong_call_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main([*arguments, "--kind", "cpu", "--dry-run"]) == 2
    assert sentence in capsys.readouterr().err
    assert (ROOT / "tests" / "test_spaces.py").is_file()


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("mine", "holds something else"), ("mine/app.py", "a link or no folder"), ("link", "a link or no folder")],
)
def test_a_folder_of_somebodys_own_is_never_removed(
    place: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An app.py is in every folder of a Space, also in those that were not built here."""
    (tmp_path / "mine").mkdir()
    for name in ("app.py", "thesis.txt"):
        (tmp_path / "mine" / name).write_text("years")
    (tmp_path / "link").symlink_to(built("cpu", tmp_path))
    assert deploy.main(["me/x", "--kind", "cpu", "--dry-run", "--folder", str(tmp_path / place)]) == 2
    assert sentence in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"app.py", "thesis.txt"}
    assert (tmp_path / "link" / "app.py").is_file()


def test_what_was_built_before_is_built_anew(tmp_path: Path) -> None:
    (built("cpu", tmp_path) / "left.txt").touch()
    assert not (built("cpu", tmp_path) / "left.txt").exists()
