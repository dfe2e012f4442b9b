"""The examples that a visitor can start from: files that come with the program, each with a question."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

MANIFEST = "manifest.json"


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


def chosen(examples: list[Example], limit: int) -> list[Example]:
    """At most `limit` examples: the first question about each file, then the second about each, and so on."""
    num_seen: Counter[Path] = Counter()
    rounds: list[tuple[int, Example]] = []
    for example in examples:
        rounds.append((num_seen[example.path], example))
        num_seen[example.path] += 1
    return [example for _, example in sorted(rounds, key=itemgetter(0))[:limit]]
