"""The curve of a training run as a picture: the loss, and the share of the words that are predicted rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = (960, 520)
MARGIN = 60
SMOOTHING = 0.95
GROUND, INK, FAINT, LOSS, SKILL = "white", "#222222", "#dddddd", "#c0392b", "#1f6fb2"


@dataclass(frozen=True)
class Mark:
    """How one step went: its number in the whole run, its loss, and the share of words right (None: no words)."""

    step: int
    loss: float
    words_right: float | None


def draw_curve(marks: Sequence[Mark], stages: Sequence[tuple[str, int]], file: Path) -> None:
    """Write the curve as PNG. `stages` holds the name and the first step of each stage."""
    image = Image.new("RGB", SIZE, GROUND)
    brush = ImageDraw.Draw(image)
    last = max((mark.step for mark in marks), default=1) or 1
    losses = _smoothed([(mark.step, mark.loss) for mark in marks])
    skills = _smoothed([(mark.step, mark.words_right) for mark in marks if mark.words_right is not None])
    highest = max((loss for _, loss in losses), default=1.0) or 1.0
    _frame(brush, stages, last, highest)
    _line(brush, [(step / last, loss / highest) for step, loss in losses], LOSS)
    _line(brush, [(step / last, share) for step, share in skills], SKILL)
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The running mean, in which a step counts less the longer ago it was."""
    smooth: list[tuple[int, float]] = []
    total = weight = 0.0
    for step, value in points:
        total, weight = SMOOTHING * total + value, SMOOTHING * weight + 1
        smooth.append((step, total / weight))
    return smooth


def _place(x: float, y: float) -> tuple[float, float]:
    """Where a point of the unit square lies in px."""
    width, height = SIZE[0] - 2 * MARGIN, SIZE[1] - 2 * MARGIN
    return MARGIN + x * width, SIZE[1] - MARGIN - y * height


def _frame(brush: ImageDraw.ImageDraw, stages: Sequence[tuple[str, int]], last: int, highest: float) -> None:
    for part in range(6):
        share = part / 5
        brush.line([_place(0, share), _place(1, share)], fill=FAINT)
        left, y = _place(0, share)
        brush.text((left - 8, y), f"{highest * share:.1f}", fill=LOSS, anchor="rm")
        brush.text((_place(1, share)[0] + 8, y), f"{share:.0%}", fill=SKILL, anchor="lm")
    for name, first in stages:
        brush.line([_place(first / last, 0), _place(first / last, 1)], fill=FAINT)
        x, y = _place(first / last, 0)
        brush.text((x + 4, y + 8), f"{name}, from step {first}", fill=INK)
    brush.text((MARGIN, 20), "loss", fill=LOSS)
    brush.text((MARGIN + 60, 20), "words of the replies predicted rightly", fill=SKILL)


def _line(brush: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], colour: str) -> None:
    if len(points) > 1:
        brush.line([_place(x, y) for x, y in points], fill=colour, width=2)
