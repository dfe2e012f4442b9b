"""The catalogues of the page's languages: whole, and with the same values in every sentence."""

from __future__ import annotations

import re

import pytest

from pipelines.present.languages import catalogues

CATALOGUES = catalogues()


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
