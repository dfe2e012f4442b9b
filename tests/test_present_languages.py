"""The catalogues of the page's languages: whole, and with the same values in every sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.present.languages import catalogues

CATALOGUES = catalogues()
PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"
NEVER_ON_THE_PAGE = (
    "__main__.py", "batch/", "commands/", "demo/", "engine/weights.py", "host/login.py", "models.py", "options.py",
    "page/launch.py", "present/figures/metrics.py", "programs/", "tracing.py",
)  # fmt: skip
"""What only the command line says, a program is told, or ends the server before there is a page."""
ERRORS = ("UserError", "ServerFailedError", "TooLittleMemoryError")
PATHS_ALONE = ("give a file, not an address", "is not a file:", "There is no file", "decord has no build")
"""Said of paths and options, which the page does not take."""


def test_the_page_speaks_six_languages() -> None:
    assert set(CATALOGUES) == {"de", "es", "fr", "ja", "zh-CN"}  # and English, which is the key of each


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_catalogue_lacks_nothing_that_another_has(language: str) -> None:
    everything = set().union(*CATALOGUES.values())
    assert sorted(everything - set(CATALOGUES[language])) == []


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_holds_the_values_of_its_text(language: str) -> None:
    def values(text: str) -> list[str]:
        return sorted(re.findall(r"\{\w+\}", text))

    assert [text for text, told in CATALOGUES[language].items() if values(text) != values(told) or not told] == []


def _errors() -> Iterator[str]:
    """Every sentence that a UserError of the page is written with; its values are `X`."""
    for path in PIPELINES.rglob("*.py"):
        if path.relative_to(PIPELINES).as_posix().startswith(NEVER_ON_THE_PAGE):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                written = node.args[0]
                parts = written.values if isinstance(written, ast.JoinedStr) else [written]
                if isinstance(written, ast.Constant | ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)


def _is_told(sentence: str, catalogue: dict[str, str]) -> bool:
    shapes = (re.sub(r"\\\{\w+\\\}", ".+?", re.escape(text)) for text in catalogue)
    if any(re.fullmatch(shape, sentence, re.DOTALL) for shape in shapes):
        return True
    parts = re.split(r"(?<=[.!?]) (?=[A-Z])", sentence)
    return len(parts) > 1 and all(_is_told(part, catalogue) for part in parts)


def test_every_error_of_the_page_is_told_in_every_language() -> None:
    sentences = {text for text in _errors() if not any(words in text for words in PATHS_ALONE)}
    assert len(sentences) > 50
    assert [text for text in sorted(sentences) if not _is_told(text, CATALOGUES["de"])] == []
