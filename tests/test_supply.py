"""What is installed: the lock holds all that the program asks for, with hashes, and no place to get it from."""

from __future__ import annotations

import re
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


def test_the_lock_names_no_place_to_get_it_from() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^--", LOCK, re.MULTILINE)
