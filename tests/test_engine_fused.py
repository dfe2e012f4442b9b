"""The kernels for NVIDIA GPUs: run on a CPU by Triton's interpreter, and built for GPUs that are not here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton has wheels for Linux alone")


def told_by(module: str, *arguments: str, is_interpreted: bool = True) -> list[list[Any]]:
    """The lines of JSON that a module prints."""
    environment = {**os.environ, "TRITON_INTERPRET": str(int(is_interpreted)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_step_of_the_kernels_is_that_of_plain_torch() -> None:
    found = told_by("tests.fused_steps")
    assert len(found) == 6
    for name, logits, caches, largest, *wrong in found:
        assert logits < 1e-4 * largest, name
        assert wrong == [0, 0], name
        assert caches < 1e-4, name
        assert largest > 1, name


def test_pieces_of_a_prompt_in_kernels_are_those_of_plain_torch() -> None:
    """Of which none leaves a trace in other rows, nor what fills it up; also where states are kept within them."""
    found = told_by("tests.fused_pieces")
    assert len(found) == 14
    for name, hidden, largest_hidden, state, largest in found:
        assert hidden < 1e-4 * largest_hidden, name
        assert state < 1e-4 * largest, name
        assert largest_hidden > 1, name


def test_the_likeliest_token_by_the_kernels_is_that_of_plain_torch() -> None:
    """Also of fewer tokens than there are parts, and where whole parts are barred."""
    found = told_by("tests.fused_choices")
    assert len(found) == 11
    for name, is_same, logprobs, wholes in found:
        assert is_same, name
        assert logprobs < 1e-5, name
        assert wholes < 1e-5, name


def test_tokens_are_drawn_by_the_kernels_as_by_plain_torch() -> None:
    """By the same random numbers the same ones, also where they are equal, few, barred, or all in one part of a row."""
    found = told_by("tests.fused_draws")
    assert len(found) == 14
    for name, num_tokens, num_same, logprobs in found:
        assert num_same == num_tokens > 1, name
        assert logprobs < 1e-5, name


def test_a_tower_of_the_kernels_sees_what_plain_torch_sees() -> None:
    """Also where a head is no power of two, and in clips."""
    found = told_by("tests.fused_towers")
    assert len(found) == 2
    for name, seen, largest in found:
        assert seen < 1e-4 * largest, name
        assert largest > 1, name


@pytest.mark.parametrize(("capability", "shared_kb"), [("80", 99), ("90", 227)])
def test_the_kernels_can_be_built_and_have_room(capability: str, shared_kb: int) -> None:
    """Beside their threads: a GPU for consumers has as little as 99 KB there."""
    found = told_by("tests.fused_builds", capability, is_interpreted=False)
    names = {name for name, *_ in found}
    assert names >= {"product", "normed", "recur", "enter", "place", "attend", "prepare", "walk", "look_back"}
    assert names >= {"turn", "add_norm", "look", "settle", "pick_out", "draw"}
    assert max(shared for *_, shared in found) <= shared_kb * 1024
    of_steps = {"enter", "product", "recur", "attend", "look", "settle", "pick_out", "draw"}
    assert max(shared for name, _, shared in found if name in of_steps) <= 99 * 1024
