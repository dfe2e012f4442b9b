"""The examples that a visitor can start from: files that come with the program, each with a question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
FOLLOWING = ("And blue?", "Where is the blue square? Report bbox coordinates in JSON format.")
"""Questions that follow the first one about the first file."""
SEVERAL = "({count} questions, one after the other)"


@dataclass(frozen=True)
class Example:
    """A picture or a clip and a question about it."""

    path: Path
    question: str


def load_examples(folder: Path) -> list[Example]:
    """The examples of a folder in the order of its manifest; none where there is no manifest."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return []
    entries = json.loads(manifest.read_text(encoding="utf-8"))
    return [Example(folder / entry["file"], entry["question"]) for entry in entries]


@dataclass(frozen=True)
class Card:
    """What a visitor starts from: a file and a question about it, and those that follow it, one after the other."""

    path: Path
    questions: tuple[str, ...]

    @property
    def title(self) -> str:
        """What stands on it."""
        first, *others = self.questions
        return f"{first} {SEVERAL.format(count=len(self.questions))}" if others else first


def cards(examples: list[Example]) -> list[Card]:
    """One for the first question about each file, and one of several questions about the first file."""
    first: dict[Path, Card] = {}
    for example in examples:
        first.setdefault(example.path, Card(example.path, (example.question,)))
    started = list(first.values())
    return [*started, *(Card(card.path, (*card.questions, *FOLLOWING)) for card in started[:1])]
