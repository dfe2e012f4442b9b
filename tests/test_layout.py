"""What holds the parts apart: imports run one way, and `spaces/` never shadows the package of that name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("media", "fusion", "engine", "reply", "tools", "grounding", "timing")
FOUNDATION = {"types", "inputs", "cache", "checkpoint"}
MAY_IMPORT = {
    "types": {"types"},
    "buffers": set[str](),
    "inputs": {"buffers", "types"},
    "cache": set[str](),
    "checkpoint": {"types"},
    "conversation": {"types"},
    "disk": set[str](),
    "archive": {"types", "conversation", "archive", "disk"},
    "timing": {"types"},
    **{part: FOUNDATION | {part} for part in ("media", "fusion", "reply", "tools", "grounding")},
    "engine": FOUNDATION | {"engine", "timing"},
    "messages": {*FOUNDATION, *PARTS},
    "writing": {*FOUNDATION, *PARTS},
    "answering": {*FOUNDATION, *PARTS, "messages", "writing"},
    "run": {*FOUNDATION, *PARTS, "answering", "messages"},
}
"""What each part may import of the project. The engine announces its stages to a clock of `timing`."""


def modules(part: str) -> list[Path]:
    return (
        [ROOT / "pipelines" / f"{part}.py"]
        if (ROOT / "pipelines" / f"{part}.py").exists()
        else sorted((ROOT / "pipelines" / part).rglob("*.py"))
    )


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_one_way(part: str) -> None:
    files = modules(part)
    assert files
    for file in files:
        own = {name.split(".")[1] for name in imported(file) if name.startswith("pipelines.")}
        assert own <= MAY_IMPORT[part], file.name


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("gradio", {"app.py", *(file.name for file in (ROOT / "pipelines").glob("page_*.py"))}),
        ("transformers", {"loading.py", "lean_tower.py"}),
    ],
)
def test_only_one_part_knows_a_large_package(package: str, allowed: set[str]) -> None:
    files = [ROOT / "app.py", *(ROOT / "pipelines").rglob("*.py")]
    users = {
        file.name
        for file in files
        if "demo" not in file.relative_to(ROOT).parts and any(name.split(".")[0] == package for name in imported(file))
    }
    assert users == allowed


def test_spaces_is_never_a_package() -> None:
    assert (ROOT / "spaces").is_dir()
    assert not list((ROOT / "spaces").rglob("__init__.py"))


def test_no_test_can_reach_the_hub() -> None:
    """The library looks once, as it is imported: whoever imports it first has to have said so."""
    assert constants.HF_HUB_OFFLINE
