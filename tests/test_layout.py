"""What holds the parts apart: imports run one way, and `spaces/` never shadows the package of that name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from huggingface_hub import constants

ROOT = Path(__file__).resolve().parent.parent
STORES = {"buffers", "cache", "digests"}
FOUNDATION = STORES | {
    "opencv",
    "allotted",
    "types",
    "inputs",
    "checkpoint",
    "clocks",
    "disk",
    "spreadsheet",
    "values",
    "conversation",
    "leaving",
    "interrupts",
}
FLOW = {"media", "fusion", "engine", "reply", "tools", "grounding", "timing"}
RUN = {"messages", "writing", "answering", "run", "asides"}
MODELS = {"catalogue", "models"}
AROUND = {"host", "archive", "compare"}
SHOWN = {"present", "serving"}
MAY_IMPORT = {
    "types": set[str](),
    "allotted": set[str](),
    "buffers": set[str](),
    "opencv": set[str](),
    "inputs": {"buffers", "opencv", "types"},
    "cache": set[str](),
    "digests": {"cache"},
    "checkpoint": {"types"},
    "conversation": {"types"},
    "disk": set[str](),
    "spreadsheet": set[str](),
    "values": set[str](),
    "leaving": set[str](),
    "interrupts": set[str](),
    "clocks": {"types"},
    "timing": {"types", "clocks"},
    **dict.fromkeys(("media", "fusion", "engine", "reply", "tools", "grounding"), FOUNDATION),
    "messages": FOUNDATION | FLOW,
    "writing": FOUNDATION | FLOW,
    "answering": FOUNDATION | FLOW | {"messages", "writing"},
    "run": FOUNDATION | FLOW | {"messages", "answering"},
    "asides": FOUNDATION | FLOW | {"messages"},
    "zerogpu": FOUNDATION | FLOW,
    "tracing": FOUNDATION,
    "catalogue": FOUNDATION | {"engine"},
    "models": FOUNDATION | {"engine", "catalogue"},
    "options": FOUNDATION | {"engine", "models"},
    "archive": FOUNDATION,
    "host": FOUNDATION,
    "compare": FOUNDATION | {"engine"} | MODELS,
    "present": FOUNDATION | FLOW | RUN | MODELS | AROUND,
    "serving": FOUNDATION | FLOW | RUN | MODELS | AROUND | {"present"},
    "batch": FOUNDATION | FLOW | RUN | {"present"},
    "programs": FOUNDATION | FLOW | RUN | MODELS | AROUND | SHOWN,
    "page": FOUNDATION | FLOW | RUN | MODELS | AROUND | SHOWN | {"options", "programs"},
    "commands": FOUNDATION | FLOW | RUN | MODELS | AROUND | SHOWN | {"options", "batch", "demo"},
    "__main__": FOUNDATION | FLOW | RUN | MODELS | SHOWN | {"options", "tracing", "programs", "commands"},
    "demo": FOUNDATION | FLOW,
}
"""What each part may import of the project beside itself. The engine brings the clock by which its stages are timed."""


def modules(part: str) -> list[Path]:
    return (
        [ROOT / "pipelines" / f"{part}.py"]
        if (ROOT / "pipelines" / f"{part}.py").exists()
        else sorted((ROOT / "pipelines" / part).rglob("*.py"))
    )


def used(part: str) -> set[str]:
    """The parts that one imports."""
    names = (name for file in modules(part) for name in imported(file))
    return {name.split(".")[1] for name in names if name.startswith("pipelines.")}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{file} imports by a relative path, whose part this does not see")
        elif isinstance(node, ast.ImportFrom) and node.module == "pipelines":
            yield from (f"pipelines.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_one_way(part: str) -> None:
    assert modules(part)
    assert used(part) - {part} <= MAY_IMPORT[part]


def test_every_part_has_its_place_and_no_import_leads_back() -> None:
    files = [file.relative_to(ROOT / "pipelines") for file in (ROOT / "pipelines").rglob("*.py")]
    assert {file.with_suffix("").parts[0] for file in files} - {"__init__"} == set(MAY_IMPORT)
    TopologicalSorter({part: used(part) - {part} for part in MAY_IMPORT}).prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("gradio", {"app.py", *(file.name for file in (ROOT / "pipelines" / "page").glob("[!_]*.py"))}),
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


def test_the_readme_names_every_file_of_a_folder_whose_files_it_names() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("\npipelines/\n")[1].split("\nassets/")[0]
    named, folders = defaultdict[Path, list[str]](list), [ROOT / "pipelines"]
    for line in tree.splitlines():
        indent, names = re.findall(r"^( +)((?:[\w.]+/?, )*[\w.]+/?) ", line)[0]
        depth = len(indent) // 2
        named[folders[depth - 1]] += names.split(", ")
        folders[depth:] = [folders[depth - 1] / names]
    for folder, names in named.items():
        there = [f"{path.name}/" if path.is_dir() else path.name for path in folder.glob("[!_]*")]
        there += [path.name for path in folder.glob("__main__.py")]
        assert sorted(names) == sorted(there), folder


def test_spaces_is_never_a_package() -> None:
    assert (ROOT / "spaces").is_dir()
    assert not list((ROOT / "spaces").rglob("__init__.py"))


def test_no_test_can_reach_the_hub() -> None:
    """The library looks once, as it is imported: whoever imports it first has to have said so."""
    assert constants.HF_HUB_OFFLINE
