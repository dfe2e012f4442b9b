"""Coordinates digit by digit: which digits they are, and that a neighbour is forgiven."""

from __future__ import annotations

import pytest
import torch

from pipelines.demo.digits import COORDINATES, HARD, soft_rows, soft_targets


@pytest.mark.parametrize(
    ("text", "soft"),
    [
        ("1. red circle (190,840)", "1984"),
        ("2. blue 30, blue 30: yes (20,160,340,430)", "20163443"),
        ('[{"bbox_2d": [120, 340, 560, 780], "label": "red 20"}]', "12345678"),
        ("1. red 7: 100,190,300 in, 20,50,400 out: no", "101930205040"),
        ("1. red 20 (20,30) (40,50): 230, nearest 230 blue 30", "203040502323"),
        ("new 20.0 s red star", ""),
        ("left of: 190 < 430: yes", ""),
        ("Total: 3\nFound: 30", ""),
    ],
)
def test_digits_of_coordinates_are_told_from_others(text: str, soft: str) -> None:
    digits = [digit for digit in text.replace("_2d", "") if digit.isdigit()]
    found = [digit for digit, row in zip(digits, soft_rows(text), strict=True) if row != HARD]
    assert "".join(found) == soft


@pytest.mark.parametrize("coordinate", COORDINATES)
def test_the_true_digits_are_the_likeliest(coordinate: str) -> None:
    first, second, *rest = soft_rows(f"({coordinate},500)")[: len(coordinate)]
    assert rest in ([], [HARD])
    for row, digit in zip((first, second), coordinate, strict=False):
        target = soft_targets()[row]
        assert torch.isclose(target.sum(), torch.tensor(1.0))
        assert int(target.argmax()) == int(digit)


def test_a_neighbour_is_forgiven() -> None:
    first, second, _ = soft_rows("(190,500)")[:3]
    assert soft_targets()[first][2] > 0.2
    assert soft_targets()[second][8] > 0.2
    assert soft_targets()[second][0] < 0.01
