"""The command `doctor`: what this machine has for the program, and for each thing that is wrong what to do.

It changes nothing: folders are tried with a file that has no name, and the port is given back at once.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.catalogue.known import DEMO, DEMO_FOLDER, model_in
from pipelines.commands.output import say
from pipelines.types import UserError

if TYPE_CHECKING:
    import torch

    from pipelines.catalogue.device import Device

TORCH = "https://pytorch.org/get-started/locally/"
REINSTALL = "run `pip install -r requirements.txt` again"
TRIED_BYTES = 4096
"""Enough for a full disk to show."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `wrong` says what is wrong with it and what to do: nothing where all is well."""

    name: str
    told: str
    wrong: str = ""


def add_command(parser: argparse.ArgumentParser) -> None:
    """What the command takes: where the page would be served, as `app.py` takes it."""
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="as of app.py")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--port", type=int, default=port, help="as of app.py (default: 7860)")
    parser.add_argument("--data", metavar="FOLDER", help="as of app.py: where conversations are kept, or none")
    parser.add_argument("--public", action="store_true", help="as of app.py")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="as of app.py")
    parser.add_argument("--behind-proxy", action="store_true", help="as of app.py")


def run_command(options: argparse.Namespace) -> int:
    """Print what was found, then what is wrong; the exit code is 1 where anything is."""
    findings = list(examine(options.host, options.port, kept_in(options)))
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        say(f"{finding.name:{width}}  {finding.told}")
    wrong = [finding.wrong for finding in findings if finding.wrong]
    say("\n".join(["", *(wrong or ["All is well."])]))
    return int(bool(wrong))


def kept_in(options: argparse.Namespace) -> Path | None:
    """Where a page that is started so keeps conversations; None for nowhere."""
    from pipelines.archive.store import data_folder
    from pipelines.host.policy import is_private, policy_of

    policy = policy_of(options.public, options.allow_host, is_proxied=options.behind_proxy)
    return data_folder(options.data, is_private=is_private(options.host, policy))


def examine(host: str, port: int, kept: Path | None, model: Path = DEMO_FOLDER) -> Iterator[Finding]:
    """Look at everything in turn. Conversations are `kept` in a folder; `model` is that of the shipped checkpoint."""
    for name, look in (("device", _device), ("memory", _memory), ("kernels", _kernels)):
        yield _loaded(name, look)
    yield _loaded("Pillow", _pillow)
    yield _loaded("FFmpeg", _ffmpeg)
    yield _loaded("libheif", _libheif)
    yield _loaded("OpenCV", opencv_finding)
    for package in ("torch", "transformers", "gradio"):
        yield _installed(package)
    yield port_finding(host, port)
    yield from _folders(port, kept)
    yield model_finding(model)


def port_finding(host: str, port: int) -> Finding:
    """Whether the page could be served there."""
    name, other = f"port {port}", "choose another with `python app.py --port`"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as server:
            if os.name == "posix":  # else a port that was just given back would seem taken; Windows would share it
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((host, port))
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return Finding(name, "taken", f"Port {port} of {host} is taken: end what listens there, or {other}.")
        return Finding(name, "cannot be opened", f"Port {port} of {host} cannot be opened ({_why(error)}): {other}.")
    return Finding(name, f"free on {host}")


def folder_finding(name: str, folder: Path, remedy: str) -> Finding:
    """Whether files can be written in `folder`, or where it would be made."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(TRIED_BYTES))
    except OSError as error:
        wrong = f'The {name} "{folder}" cannot be written ({_why(error)}): make room or mend its rights, or {remedy}.'
        return Finding(name, f"{folder} cannot be written", wrong)
    return Finding(name, f"{folder} can be written")


def model_finding(folder: Path) -> Finding:
    """Whether the shipped model is the one that was measured, and the files around its weights can be read."""
    from pipelines.checkpoint import Checkpoint
    from pipelines.demo.card import RESULTS, WEIGHTS, hash_of, read_evaluation

    name, remedy = "demo model", f"put back all of assets/{folder.name} as it was published."
    try:
        measured = read_evaluation(folder).weights
    except (OSError, ValueError, KeyError, TypeError):
        return Finding(name, "not whole", f"{RESULTS} of the shipped model is missing or damaged: {remedy}")
    try:
        is_whole = hash_of(folder) == measured
    except OSError as error:
        return Finding(name, "not whole", f"{WEIGHTS} of the shipped model cannot be read ({_why(error)}): {remedy}")
    if not is_whole:
        wrong = f"{WEIGHTS} of the shipped model is damaged, or not the one that was measured: {remedy}"
        return Finding(name, "not whole", wrong)
    try:
        Checkpoint.open(folder)
    except UserError as error:
        return Finding(name, "not whole", f"The shipped model cannot be opened. {error}")
    return Finding(name, f"whole, SHA-256 {measured[:12]}")


def _folders(port: int, kept: Path | None) -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    from pipelines.host.own_uploads import own_uploads

    if kept is None:
        yield Finding("data folder", "none: no conversation is kept")
    else:
        yield folder_finding("data folder", kept, "choose another with `python app.py --data`")
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:
        yield Finding("temporary folder", "none", "No temporary folder can be written: make room, or set TMPDIR.")
    else:
        yield folder_finding("temporary folder", temporary, "set TMPDIR to another")
        yield folder_finding("upload folder", own_uploads(["--port", str(port)]), "set GRADIO_TEMP_DIR to another")
    yield folder_finding("hub cache", Path(HF_HUB_CACHE), "set HF_HOME to another")


def device_finding(device: Device, place: torch.device, num_gpus: int, *, is_for_cpus: bool) -> Finding:
    """Whether torch computes on `place`, and whether its build lets GPUs lie idle: `num_gpus` of NVIDIA's are here."""
    import torch

    name = "device"
    told = f"{device.name}, large weights in {device.form}" + f", {device.count} side by side" * (device.count > 1)
    if num_gpus and is_for_cpus:
        wrong = f"There is an NVIDIA GPU, but torch is a build for CPUs: install its CUDA build, as {TORCH} tells."
        return Finding(name, told, wrong)
    try:
        ones = torch.ones(8, 8, device=place)
        (ones @ ones).sum().item()
    except RuntimeError:
        wrong = f"{device.name} does not compute: bring its driver up to date, and torch to a build for it."
        return Finding(name, told, wrong)
    return Finding(name, told)


def _device(_name: str) -> Finding:
    import torch

    from pipelines.catalogue.device import this_device
    from pipelines.engine.placement import device_of

    is_for_cpus = torch.version.cuda is None and torch.version.hip is None
    return device_finding(this_device(), device_of(), _num_nvidia(), is_for_cpus=is_for_cpus)


def _num_nvidia() -> int:
    """The GPUs that NVIDIA's driver tells of, whatever torch is built for."""
    try:
        import pynvml
    except ImportError:  # not on every platform
        return 0
    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


def _memory(name: str) -> Finding:
    from pipelines.catalogue.choosing import TOKENS, VISITORS
    from pipelines.catalogue.device import this_device

    device, shape = this_device(), model_in(DEMO_FOLDER, DEMO).shape
    told = f"{device.free_bytes / 1e9:.1f} GB free on {device.name}"
    if device.fitting(shape, TOKENS, VISITORS) is None:
        needed = device.held(shape).memory_bytes(device.form, TOKENS, VISITORS) / 1e9
        return Finding(
            name, told, f"The shipped model needs {needed:.1f} GB, and there are {told}: end other programs."
        )
    return Finding(name, told)


def _kernels(name: str) -> Finding:
    from pipelines.engine.graphs import can_fuse
    from pipelines.engine.kernels import kernels_of
    from pipelines.engine.placement import device_of

    device = device_of()
    return Finding(name, kernels_of(device, "full", is_fused=can_fuse(device, has_experts=False)))


def _pillow(name: str) -> Finding:
    import PIL

    return Finding(name, PIL.__version__)


def _ffmpeg(name: str) -> Finding:
    import av

    libraries = (f"{library} {'.'.join(map(str, number))}" for library, number in av.library_versions.items())
    return Finding(name, f"{av.ffmpeg_version_info} in PyAV {av.__version__} ({', '.join(libraries)})")


def _libheif(name: str) -> Finding:
    import pillow_heif

    return Finding(name, f"{pillow_heif.libheif_version()} in pillow-heif {pillow_heif.__version__}")


def opencv_finding(name: str) -> Finding:
    """Whether OpenCV can be loaded: its wheel is linked to libraries that a server may lack. Raises ImportError."""
    try:
        import cv2
    except ModuleNotFoundError:
        raise
    except ImportError as error:
        wrong = (
            f"OpenCV cannot be loaded ({error}): photographs take longer to read, and clips of rare encodings are "
            "refused. Install what it is linked to (Debian, Ubuntu: apt-get install libgl1 libglib2.0-0 libxcb1)."
        )
        return Finding(name, "cannot be loaded", wrong)
    return Finding(name, cv2.__version__)


def _loaded(name: str, look: Callable[[str], Finding]) -> Finding:
    """What `look` finds, or that what it needs is not whole."""
    try:
        return look(name)
    except UserError as error:
        return Finding(name, "not known", str(error))
    except (ImportError, OSError) as error:
        missing = f" ({error.name})" if isinstance(error, ImportError) and error.name else ""
        return Finding(name, "not known", f"What tells of {name} cannot be loaded{missing}: {REINSTALL}.")


def _installed(package: str) -> Finding:
    try:
        return Finding(package, version(package))
    except PackageNotFoundError:
        return Finding(package, "not installed", f'"{package}" is not installed: {REINSTALL}.')


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
