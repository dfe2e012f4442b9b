"""What a person thought of two replies: kept beside the conversations, a line of JSON each, where these are kept."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, Self, get_args

from pipelines.types import UserError

LOGGER = logging.getLogger(__name__)
Choice = Literal["first", "second", "both", "neither"]
"""Which reply was good, or the better one."""
FILE = "votes.jsonl"
MAX_READ_BYTES = 8 * 2**20
"""Of a longer file the last part is read."""


@dataclass(frozen=True)
class Contender:
    """One side of a vote: the model, where it runs, what it said, and what that took. None is not known."""

    model: str
    place: str
    answer: str
    total_ms: float
    num_tokens: int
    cost: float | None = None


@dataclass(frozen=True)
class Vote:
    """A choice between two replies to a question about files of these names. A later one of the same `id` replaces it.

    `asked_at` is in Unix seconds; `overlap` is how well the boxes of both lie on each other, None where there are none.
    """

    id: str
    asked_at: float
    question: str
    media: tuple[str, ...]
    first: Contender
    second: Contender
    is_same: bool
    overlap: float | None
    choice: Choice

    @classmethod
    def of_json(cls, text: str) -> Self:
        """A vote as it was written. Raises ValueError, TypeError or KeyError for what is none."""
        values = json.loads(text)
        if set(values) != {field.name for field in fields(cls)} or values["choice"] not in get_args(Choice):
            raise ValueError("not a vote")
        sides = {side: Contender(**values[side]) for side in ("first", "second")}
        return cls(**{**values, **sides, "media": tuple(values["media"])})

    def as_json(self) -> str:
        """On one line."""
        return json.dumps(asdict(self), ensure_ascii=False)


def latest(votes: list[Vote]) -> list[Vote]:
    """The votes as they stand: of each id the last, in the order in which it was first there."""
    return list({vote.id: vote for vote in votes}.values())


def keep(vote: Vote, folder: Path) -> None:
    """Write a vote behind those in the folder. Raises UserError where that fails."""
    line = vote.as_json().encode("utf-8", "replace") + b"\n"  # a model may write half of a surrogate pair
    try:
        with (folder / FILE).open("a+b") as file:
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":
                line = b"\n" + line  # a full disk or a power cut left half a line
            file.write(line)
    except OSError as error:
        raise UserError("The vote could not be kept for later visits: see whether the disk is full.") from error


def kept(folder: Path) -> list[Vote]:
    """The votes in the folder, oldest first; a line that is damaged, as by a power cut, is passed over."""
    try:
        with (folder / FILE).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MAX_READ_BYTES))
            # an answer may hold what Python takes for the end of a line, and JSON does not
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return []
    found = []
    for line in filter(str.strip, lines):
        try:
            found.append(Vote.of_json(line))
        except (ValueError, TypeError, KeyError):
            LOGGER.warning("a kept vote cannot be read")
    return latest(found)
