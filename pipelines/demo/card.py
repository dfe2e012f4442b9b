"""What was measured, as it stands beside the weights: a file for machines, and the table of the model's card."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

WEIGHTS = "model.safetensors"
RESULTS = "evaluation.json"
CARD = "README.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
MEASURES = {"box": "mean IoU", "boxes": "mean IoU", "all_boxes": "mean IoU", "box_at": "mean IoU", "point": "inside"}
HEADER = "| task | measure | best constant | thinking | not thinking |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """One line of the table: mean scores, 0 to 1, of the best constant answer and of the model in its two modes.

    Of `judged` replies with reasoning, `agreeing` conclude what their own list says; `endless` of all `replies`, in
    both modes, were cut off.
    """

    task: str
    count: int
    constant: float
    thinking: float
    quick: float
    agreeing: int
    judged: int
    replies: int
    endless: int

    def __str__(self) -> str:
        numbers = " | ".join(f"{number:.2f}" for number in (self.constant, self.thinking, self.quick))
        return f"| {self.task.replace('_', ' ')} | {MEASURES.get(self.task, 'right')} | {numbers} |"


@dataclass(frozen=True)
class Evaluation:
    """All rows, and the hash of the weights that they were measured on."""

    weights: str
    rows: tuple[Row, ...]

    def table(self) -> str:
        """The table in Markdown, and what holds for all of its rows."""
        agreeing, judged = sum(row.agreeing for row in self.rows), sum(row.judged for row in self.rows)
        endless, runs = sum(row.endless for row in self.rows), sum(row.replies for row in self.rows)
        summary = (
            f"The conclusion agrees with the model's own list in {agreeing / max(1, judged):.1%} of {judged} replies "
            f"with reasoning. {endless} of {runs} replies did not end by themselves."
        )
        return "\n".join([HEADER, *map(str, self.rows), "", summary])


def hash_of(folder: Path) -> str:
    """The SHA-256 of a checkpoint's weights."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def read_evaluation(folder: Path) -> Evaluation:
    """What was measured of the checkpoint in a folder."""
    values = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    return Evaluation(values["weights"], tuple(Row(**row) for row in values["rows"]))


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write the results, and the table into the card where the card has a place for it."""
    (folder / RESULTS).write_text(json.dumps(asdict(evaluation), indent=1) + "\n", encoding="utf-8")
    card = folder / CARD
    if card.is_file():
        text = card.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if end:
            card.write_text(f"{before}{BEGIN}\n{evaluation.table()}\n{END}{after}", encoding="utf-8")
