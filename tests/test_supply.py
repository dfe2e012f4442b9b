"""What is installed: the lock holds all that the program asks for, with hashes, and no place to get it from."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = [block.split(" \\\n    --hash=") for block in re.split(r"\n(?=[a-z])", LOCK)[1:]]


def versions(lines: list[str]) -> set[tuple[str, str]]:
    """Names as they are normalised, with the versions that are asked for."""
    wanted = (Requirement(line) for line in lines)
    return {(re.sub(r"[-_.]+", "-", one.name).lower(), str(one.specifier)) for one in wanted}


def test_the_lock_has_every_requirement_at_its_version() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    asked = versions([line for line in lines if line and not line.startswith("#")])
    assert asked <= versions([requirement for requirement, *_ in LOCKED]), "run `make lock`"


def test_everything_in_the_lock_has_hashes_and_an_exact_version() -> None:
    for requirement, *hashes in LOCKED:
        assert re.fullmatch(r"==[^,*]+", str(Requirement(requirement).specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one.strip()) for one in hashes), requirement


def test_a_mac_for_which_there_is_no_torch_is_told_before_anything_is_installed(tmp_path: Path) -> None:
    """It was promised to run there, and pip found no version of torch."""
    python = tmp_path / "python"
    code = "import platform, sys; sys.platform, platform.machine = 'darwin', lambda: 'x86_64'; exec(sys.argv[2])"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    command = ["make", "run", f"PYTHON={python}", f"VENV={tmp_path / 'environment'}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("PyTorch has no build for Macs with an Intel processor: use Linux, or a Mac with")
    assert list(tmp_path.iterdir()) == [python]


def test_the_lock_names_no_place_to_get_it_from() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^--", LOCK, re.MULTILINE)
