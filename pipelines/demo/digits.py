"""Which digits of a text belong to coordinates, and what else would have been nearly right in their place.

A coordinate that is one step off is almost right. Written digit by digit, its blurred target goes by the chain rule:
the first digit takes the mass of all coordinates that begin so, the second that of those that go on so after the true
first one. The last digit is always 0 and leaves nothing to forgive.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import torch

from pipelines.demo.things import DIGITS, STEP

BLUR = 0.8
"""The width of the soft target of a coordinate, in steps of the grid."""
HARD = 0
"""The row of a token that has no soft target."""
COORDINATES = tuple(str(number) for number in range(STEP, 1000, STEP))
_PLACED = re.compile(r"[(\[]\d+(?:, ?\d+)+[)\]]|\d+,\d+,\d+(?= (?:in|out)\b)|(?<=: )\d+, nearest \d+(?= )")
_DIGIT = re.compile(r"_2d|\d")
_NUMBER = re.compile(r"\d+")


@lru_cache(maxsize=1)
def soft_targets() -> torch.Tensor:
    """The soft targets, float32 [rows, 10] over the digits: row HARD of none, then those of first and second digits."""
    place = np.arange(len(COORDINATES))
    mass = np.exp(-((place[:, None] - place) ** 2) / (2 * BLUR**2))
    rows = np.zeros((1 + 2 * len(COORDINATES), len(DIGITS)), np.float32)
    for index in (0, 1):
        for row, true in enumerate(COORDINATES):
            shares = np.zeros(len(DIGITS))
            for column, other in enumerate(COORDINATES):
                if other[:index] == true[:index]:
                    shares[int(other[index])] += mass[row, column]
            rows[1 + index * len(COORDINATES) + row] = shares / shares.sum()
    return torch.from_numpy(rows)


def soft_rows(text: str) -> list[int]:
    """For each digit of the text that is a token of its own, the row of its soft target."""
    rows: dict[int, int] = {}
    for placed in _PLACED.finditer(text):
        for number in _NUMBER.finditer(placed[0]):
            if number[0] in COORDINATES:
                start, row = placed.start() + number.start(), int(number[0]) // STEP
                rows |= {start: row, start + 1: row + len(COORDINATES)}
    return [rows.get(digit.start(), HARD) for digit in _DIGIT.finditer(text) if digit[0] != "_2d"]
