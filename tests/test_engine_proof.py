"""Kernels are used where they do what plain torch does, and what else they do is told; without a GPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from pipelines.engine import LocalEngine
from pipelines.engine.proof import are_right
from pipelines.engine.stack import Stack
from pipelines.models import DEMO_FOLDER
from tests.imitated_gpu import likeliest, piece_of, states_of


@pytest.fixture(scope="module")
def model() -> Any:
    return LocalEngine.load(DEMO_FOLDER, "demo").model


@torch.inference_mode()
@pytest.mark.parametrize(
    ("of_step", "of_piece", "said"),
    [
        (1.0, 1.0, None),
        (1.0, 1.05, "a piece is 5% off"),
        (0.9, 1.0, "a step of 1 is 10% off"),
        (float("nan"), 1.0, "a step of 1 is nan% off"),
        (None, 1.0, "RuntimeError: no such GPU"),
    ],
)
def test_kernels_are_used_where_they_do_what_torch_does(
    model: Any, caplog: pytest.LogCaptureFixture, of_step: float | None, of_piece: float, said: str | None
) -> None:
    stack = Stack(model, 3)
    lean, slots = stack.lean, stack.slots

    def step(given: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        if of_step is None:
            raise RuntimeError("no such GPU")
        rows = given.shape[1]
        given[0] = chosen
        return of_step * lean.step(given, slots.window(slice(rows), slots.capacity, is_masked=True))

    def piece(*given: Any) -> torch.Tensor:
        return of_piece * piece_of(stack, *given)

    assert are_right(lean, slots, step, piece, likeliest) == (said is None)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ([said] if said else [])


@pytest.mark.parametrize(("most", "expected"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8])])
@torch.inference_mode()
def test_steps_of_all_numbers_of_rows_are_tried(
    model: Any, caplog: pytest.LogCaptureFixture, most: int, expected: list[int]
) -> None:
    """As those of many rows have kernels of their own, which alone may be wrong."""
    stack, tried = Stack(model, most + 1), list[int]()
    lean, slots = stack.lean, stack.slots

    def step(given: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        tried.append(given.shape[1])
        given[0] = chosen
        logits = lean.step(given, slots.window(slice(tried[-1]), slots.capacity, is_masked=True))
        return 0.9 * logits if tried[-1] == expected[-1] > 2 else logits

    assert are_right(lean, slots, step, partial(piece_of, stack), likeliest) == (most < 3)
    assert tried == expected
    assert (f"a step of {most} is 10% off" in caplog.text) == (most > 2)


@torch.inference_mode()
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_wrong_state_is_found_too(model: Any, caplog: pytest.LogCaptureFixture, is_kept: bool) -> None:
    """That of the row, or what is kept within the piece."""
    stack = Stack(model, 3)

    def piece(row: int, *given: Any) -> torch.Tensor:
        last = piece_of(stack, row, *given)
        wrong = given[-1][1] if is_kept else states_of(stack.slots)[-1][1][row]
        wrong *= 1.2
        return last

    assert not are_right(stack.lean, stack.slots, lambda *_: torch.empty(0), piece, likeliest)
    assert "a piece is 20% off" in caplog.text


def test_running_out_of_memory_while_they_are_tried_is_told(model: Any) -> None:
    stack = Stack(model, 3)

    def piece(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    with torch.inference_mode(), pytest.raises(torch.OutOfMemoryError):
        are_right(stack.lean, stack.slots, lambda *_: torch.empty(0), piece, likeliest)
