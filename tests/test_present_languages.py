"""The catalogues of the page's languages: whole, and with the same values in every sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.media.errors import READABLE
from pipelines.present.languages import catalogues
from pipelines.present.status import DOING, ENDS

CATALOGUES = catalogues()
PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"
NEVER_ON_THE_PAGE = (
    "__main__.py", "batch/", "commands/", "demo/", "engine/weights.py", "host/login.py", "host/own_uploads.py",
    "models.py", "options.py", "page/launch.py", "present/figures/metrics.py", "programs/", "tracing.py",
)  # fmt: skip
"""What only the command line says, a program is told, or ends the server before there is a page."""
ERRORS = ("UserError", "ServerFailedError", "TooLittleMemoryError", "RenewedError", "Undecoded")
SAY_AN_ERROR = ("_by_status", "_unreached", "_begin_beside", "_set_aside")
"""Functions that make the sentence of an error which is raised elsewhere."""
PATHS_ALONE = (
    "give a file, not an address",
    "is not a file:",
    "decord has no build",
    "pull it again",
    "leave out --data",
)
"""Said of paths, options and commands, which the page does not take."""


def test_the_page_speaks_six_languages() -> None:
    assert set(CATALOGUES) == {"de", "es", "fr", "ja", "zh-CN"}  # and English, which is the key of each


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_catalogue_lacks_nothing_that_another_has(language: str) -> None:
    everything = set().union(*CATALOGUES.values())
    assert sorted(everything - set(CATALOGUES[language])) == []


def test_all_that_the_status_line_tells_of_is_there() -> None:
    """Beside a server's model "Sending" stood in English: a test of the page sees what lasts, with the shipped one."""
    assert {*DOING.values(), *ENDS.values()} - set(CATALOGUES["de"]) == set()


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_kinds_of_files_are_listed_in_every_language(language: str) -> None:
    """Within a German sentence they ended in "MKV or AVI"."""
    assert READABLE in CATALOGUES[language]


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_holds_the_values_of_its_text(language: str) -> None:
    def values(text: str) -> list[str]:
        return sorted(re.findall(r"\{\w+\}", text))

    assert [text for text, told in CATALOGUES[language].items() if values(text) != values(told) or not told] == []


def _constants(module: ast.Module) -> dict[str, ast.expr]:
    """What the constants of a module stand for."""
    return {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _written(code: ast.AST) -> str | None:
    """A text as it is written, with `X` for each value; None for code that is no text."""
    if isinstance(code, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in code.values)
    if isinstance(code, ast.Constant) and isinstance(code.value, str):
        return re.sub(r"\{\w+(:\w+)?\}", "X", code.value)
    return None


def _sentences(code: ast.AST, constants: dict[str, ast.expr]) -> Iterator[str]:
    """Every sentence in a piece of code, written there or as a constant."""
    text = _written(constants.get(code.id, code) if isinstance(code, ast.Name) else code)
    if text is None:
        for part in ast.iter_child_nodes(code):
            yield from _sentences(part, constants)
    elif text.endswith("."):
        yield text


def _errors() -> Iterator[str]:
    """Every sentence that a UserError of the page is written with; its values are `X`."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PIPELINES.rglob("*.py")}
    everywhere = {name: code for module in modules.values() for name, code in _constants(module).items()}
    for path, module in modules.items():
        if path.relative_to(PIPELINES).as_posix().startswith(NEVER_ON_THE_PAGE):
            continue
        constants = everywhere | _constants(module)
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                yield from _sentences(node.args[0], constants)
            elif isinstance(node, ast.FunctionDef) and node.name in SAY_AN_ERROR:
                for code in node.body:
                    if not isinstance(code, ast.Expr):  # a docstring
                        yield from _sentences(code, constants)


def _is_told(sentence: str, catalogue: dict[str, str]) -> bool:
    """As language.js finds it: as it stands, else by each of its sentences, and only a single one with values."""
    parts = re.split(r"(?<=[.!?]) (?=[A-Z“\"])", sentence)
    if sentence in catalogue or len(parts) == 1:
        shapes = (re.sub(r"\\\{\w+\\\}", ".+?", re.escape(text)) for text in catalogue)
        return any(re.fullmatch(shape, sentence, re.DOTALL) for shape in shapes)
    return all(_is_told(part, catalogue) for part in parts)


def test_every_error_of_the_page_is_told_in_every_language() -> None:
    sentences = {text for text in _errors() if not any(words in text for words in PATHS_ALONE)}
    assert len(sentences) > 50
    assert [text for text in sorted(sentences) if not _is_told(text, CATALOGUES["de"])] == []
