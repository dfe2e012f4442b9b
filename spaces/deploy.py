"""Put the program on a Hugging Face Space: `python spaces/deploy.py USER/NAME --kind zerogpu [--dry-run]`.

What is uploaded is built first, in a folder that `--dry-run` leaves to look at: the program, the shipped model and the
files of the kind, whose `README.md` takes the place of the program's own; its `requirements.txt` asks for the versions
that the host takes. No folder `spaces/` is in it: on the host it would stand in the way of the package of that name.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from httpx2 import TransportError
from huggingface_hub import HfApi, SpaceHardware
from huggingface_hub.errors import HfHubHTTPError

Kind = Literal["zerogpu", "gpu", "cpu"]

ROOT = Path(__file__).resolve().parent.parent
KINDS = ROOT / "spaces"
BUILT = ROOT / "build" / "space"
PROGRAM = ("app.py", "pipelines", "assets", "LICENSE")
LOGIN = "requirements-login.txt"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "screenshot*.png")
HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
MARK = ".glassbox-space"
"""A file in what was built here: a folder without it is somebody's own, whatever else it holds."""
SIZES = {size: f"Qwen/Qwen3.5-{size}" for size in ("0.8B", "2B", "4B", "9B")}
HEADLESS = {"opencv-python": "opencv-python-headless"}
"""There is no window to open on a host, nor what OpenCV would need for one."""

OTHERWISE: dict[Kind, dict[str, str | None]] = {
    "zerogpu": {"gradio": None, "decord": None, "torchao": None, "torch": "torch==2.11.0"},
    "gpu": {"decord": None},
    "cpu": {"gradio": None, "decord": None},
}
"""What a host takes in another version than the program's, and with None what it brings itself or has no use for."""

CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"
FAILED = ("BUILD_ERROR", "CONFIG_ERROR", "RUNTIME_ERROR", "NO_APP_FILE", "DELETING")
HALTED = ("PAUSED", "STOPPED")
"""The Space stays so, whatever is uploaded, until its owner restarts it."""
UNREACHED = "The hub cannot be reached: check the connection, and give the same command again."
USER_ERROR = 2
TIMEOUT_S = 3600.0
BETWEEN_S = 10.0

HARDWARE: dict[Kind, str] = {"zerogpu": "zero-a10g", "gpu": "l4x1", "cpu": "cpu-basic"}
LOGIN_VARIABLE, MODEL_VARIABLE = "GLASSBOX_LOGIN", "GLASSBOX_MODEL"


class DeployError(Exception):
    """What whoever deploys can put right, in a sentence."""


@dataclass(frozen=True)
class Plan:
    """What goes where. `model` is a size or a hub id, "demo", or None for what the kind begins with."""

    repo_id: str
    kind: Kind
    model: str | None = None
    hardware: str | None = None
    is_private: bool = False
    has_login: bool = False

    def __post_init__(self) -> None:
        if not HUB_ID.fullmatch(self.repo_id):
            raise DeployError(f'"{self.repo_id}" is not the name of a Space: give USER/NAME.')
        if self.hardware not in (None, *(flavour.value for flavour in SpaceHardware)):
            raise DeployError(f'The hub has no hardware "{self.hardware}": its settings list the flavours.')
        if self.model not in (None, "demo", *SIZES) and not HUB_ID.fullmatch(self.model or ""):
            known = ", ".join(["demo", *SIZES])
            raise DeployError(f'"{self.model}" is not a model: use {known}, or a hub id.')

    @property
    def sdk(self) -> str:
        """What the host builds it with."""
        return "docker" if (KINDS / self.kind / "Dockerfile").exists() else "gradio"


def build(plan: Plan, folder: Path) -> Path:
    """Write what is to be uploaded into `folder`, in the place of what was built there before.

    Raises DeployError for a folder that holds anything else, and for what is no folder.
    """
    _make_room(folder)
    for name in PROGRAM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, folder / name)
    for file in (KINDS / plan.kind).iterdir():
        if file.is_file():
            shutil.copy(file, folder / file.name)
    wanted = requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"), plan.kind)
    told = preloading((folder / "README.md").read_text(encoding="utf-8"), plan.model)
    if plan.has_login:
        wanted += (ROOT / LOGIN).read_text(encoding="utf-8")
        told = told.replace("\nlicense:", "\nhf_oauth: true\nlicense:", 1)
    (folder / "requirements.txt").write_text(wanted, encoding="utf-8")
    (folder / "README.md").write_text(told, encoding="utf-8")
    return folder


def _make_room(folder: Path) -> None:
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise DeployError(f'"{folder}" is a link or no folder: give another --folder.')
        if folder.exists() and any(folder.iterdir()):
            if not (folder / MARK).is_file():
                raise DeployError(f'"{folder}" holds something else than a Space: remove it, or give another --folder.')
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    except OSError as error:
        raise DeployError(f'"{folder}" cannot be written ({error.strerror}): give another --folder.') from error


def requirements(program: str, kind: Kind) -> str:
    """The program's requirements as the host of a kind takes them."""
    told = [CPU_INDEX] if kind == "cpu" else []
    for line in program.splitlines():
        name, pin, version = line.partition("==")
        if pin:
            told.append(OTHERWISE[kind].get(name, f"{HEADLESS.get(name, name)}=={version}") or "")
    return "\n".join(filter(None, told)) + "\n"


def preloading(readme: str, model: str | None) -> str:
    """The README of a Space, whose front matter names the weights that are there before it starts."""
    if model is None:
        return readme
    readme = re.sub(r"^preload_from_hub:\n(?:  - .*\n)+", "", readme, flags=re.MULTILINE)
    if model == "demo":
        return readme
    return readme.replace("\nlicense:", f"\npreload_from_hub:\n  - {SIZES.get(model, model)}\nlicense:", 1)


def deploy(plan: Plan, folder: Path, api: HfApi, wait: Callable[[float], None] = time.sleep) -> str:
    """Create or update the Space, wait until it runs, and return its address. Raises DeployError."""
    try:
        api.whoami()
    except (TransportError, ConnectionError) as error:
        raise DeployError(UNREACHED) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise DeployError("You are not signed in to the hub: run `hf auth login`, or set HF_TOKEN.") from error
    hardware = SpaceHardware(plan.hardware or HARDWARE[plan.kind])
    try:
        api.create_repo(
            plan.repo_id,
            repo_type="space",
            space_sdk=plan.sdk,
            space_hardware=hardware,
            private=plan.is_private,
            exist_ok=True,
        )
        api.request_space_hardware(plan.repo_id, hardware)
        _set_variables(plan, api)
        commit = api.upload_folder(
            repo_id=plan.repo_id,
            repo_type="space",
            folder_path=folder,
            ignore_patterns=MARK,
            delete_patterns="*",
            commit_message=f"Deploy for {plan.kind}",
        )
        print(f"Uploaded: {commit.commit_url}", file=sys.stderr, flush=True)
        _wait_until_it_runs(plan, api, wait)
    except (TransportError, ConnectionError) as error:
        raise DeployError(UNREACHED) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DeployError(
            f"The hub refused: {reason}. Check your rights to {plan.repo_id} and the hardware."
        ) from error
    return f"https://huggingface.co/spaces/{plan.repo_id}"


def _set_variables(plan: Plan, api: HfApi) -> None:
    """Set what the plan asks for, and take back what an earlier one had asked for."""
    wanted = {"GRADIO_ANALYTICS_ENABLED": "False", LOGIN_VARIABLE: None, MODEL_VARIABLE: plan.model}
    if plan.has_login:
        wanted[LOGIN_VARIABLE] = "huggingface"
    there = api.get_space_variables(plan.repo_id)
    for name, value in wanted.items():
        if value is not None:
            api.add_space_variable(plan.repo_id, name, value)
        elif name in there:
            api.delete_space_variable(plan.repo_id, name)


def _wait_until_it_runs(plan: Plan, api: HfApi, wait: Callable[[float], None]) -> None:
    told = ""
    for _ in range(round(TIMEOUT_S / BETWEEN_S)):
        stage = str(api.get_space_runtime(plan.repo_id).stage)
        if stage == "RUNNING":
            return
        if stage in FAILED:
            raise DeployError(f"The Space failed ({stage}): its page shows the log of the build.")
        if stage in HALTED:
            raise DeployError(f"The Space is {stage.lower()}, with the new files in it: restart it in its settings.")
        if stage != told:
            print(f"{stage} ...", file=sys.stderr, flush=True)
            told = stage
        wait(BETWEEN_S)
    raise DeployError(
        f"The Space does not run after {TIMEOUT_S / 60:.0f} minutes: its page shows the log of the build."
    )


def main(arguments: Sequence[str] | None = None, api: HfApi | None = None) -> int:
    """Deploy, or with --dry-run only build, and return the exit code."""
    parser = argparse.ArgumentParser(description="Put Glassbox on a Hugging Face Space.")
    parser.add_argument("space", metavar="USER/NAME", help="the Space, created where there is none")
    parser.add_argument("--kind", choices=get_args(Kind), required=True, help="what it runs on")
    parser.add_argument("--model", help="demo, 0.8B, 2B, 4B, 9B or a hub id (default: as the kind begins)")
    parser.add_argument("--hardware", help="another flavour of the hub's hardware than the kind asks for")
    parser.add_argument("--private", action="store_true", help="where it is created, for you alone")
    parser.add_argument("--login", action="store_true", help="let in who has signed in with Hugging Face alone")
    parser.add_argument("--folder", type=Path, default=BUILT, help="where to build it (default: build/space)")
    parser.add_argument("--dry-run", action="store_true", help="build it, and upload nothing")
    options = parser.parse_args(arguments)
    try:
        plan = Plan(options.space, options.kind, options.model, options.hardware, options.private, options.login)
        folder = build(plan, options.folder)
        print(folder if options.dry_run else deploy(plan, folder, api or HfApi()))
    except DeployError as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
