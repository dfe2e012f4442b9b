"""What a machine has: its device, the memory, the kernels, and the libraries that read files."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.catalogue.known import DEMO, DEMO_FOLDER, model_in
from pipelines.catalogue.shape import gigabytes
from pipelines.commands.finding import Finding

if TYPE_CHECKING:
    import torch

    from pipelines.catalogue.device import Device

TORCH = "https://pytorch.org/get-started/locally/"


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
    told = f"{gigabytes(device.free_bytes)} free on {device.name}"
    if device.fitting(shape, TOKENS, VISITORS) is None:
        needed = gigabytes(device.held(shape).memory_bytes(device.form, TOKENS, VISITORS))
        return Finding(name, told, f"The shipped model needs {needed}, and there are {told}: end other programs.")
    return Finding(name, told)


def kernels_finding(device: torch.device, *, can_fuse: bool) -> Finding:
    """What runs there, and whether Triton, where it can, finds what it builds its kernels with."""
    from pipelines.engine.kernels import kernels_of

    name, lacked = "kernels", _lacked_to_build() if can_fuse else []
    told = kernels_of(device, "full", is_fused=can_fuse and not lacked)
    if lacked:
        wrong = (
            f"Triton cannot build its kernels without {' and '.join(lacked)}, and plain torch is slower: install them "
            "(Debian, Ubuntu: apt-get install gcc python3-dev)."
        )
        return Finding(name, told, wrong)
    return Finding(name, told)


def _lacked_to_build() -> list[str]:
    """What Triton looks for as it builds, and this machine lacks."""
    has_compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    has_headers = Path(sysconfig.get_path("include", "posix_prefix"), "Python.h").exists()
    return ["a C compiler"] * (not has_compiler) + ["Python's headers"] * (not has_headers)


def _kernels(_name: str) -> Finding:
    from pipelines.engine.graphs import can_fuse
    from pipelines.engine.placement import device_of

    device = device_of()
    return kernels_finding(device, can_fuse=can_fuse(device, has_experts=False))


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


MACHINE: dict[str, Callable[[str], Finding]] = {
    "device": _device, "memory": _memory, "kernels": _kernels, "Pillow": _pillow,
    "FFmpeg": _ffmpeg, "libheif": _libheif, "OpenCV": opencv_finding,
}  # fmt: skip
"""What is looked at, each by its name. What looks raises ImportError and OSError where a library is not whole."""
