"""The drawn scenes are the truth that everything else is measured by: their boxes are exact, their seeds repeat."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.demo.clips import draw_clip
from pipelines.demo.heads import Dense
from pipelines.demo.scenes import draw_named, draw_reduced, draw_scene, fractions
from pipelines.demo.things import DIGITS, KINDS, SHAPES, FractionBox, reading_order, written

TIMES = tuple(i * 0.5 for i in range(8))


def mask_box(mask: NDArray[np.bool_]) -> FractionBox:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return fractions(box, (mask.shape[0], mask.shape[1]))


@pytest.mark.parametrize("seed", range(20))
def test_boxes_of_a_picture_are_exact_to_the_pixel(seed: int) -> None:
    scene = draw_scene(random.Random(seed), (160, 192))
    for i, thing in enumerate(scene.things, start=1):
        assert thing.box == mask_box(scene.labels == i)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_within_its_box(kind: str) -> None:
    scene = draw_named(random.Random(kind), [(kind, "red")], (200, 200))
    x1, y1, x2, y2 = scene.things[0].box
    assert 0 <= x1 < x2 <= 1
    assert 0 <= y1 < y2 <= 1
    assert max(x2 - x1, y2 - y1) >= 0.12


@pytest.mark.parametrize("seed", range(10))
def test_boxes_of_a_clip_are_exact_in_every_frame(seed: int) -> None:
    clip = draw_clip(random.Random(seed), (128, 160), TIMES)
    for frame, labels in enumerate(clip.labels):
        for i, actor in enumerate(clip.actors, start=1):
            box = actor.boxes[frame]
            assert (box is None) == (not (labels == i).any())
            assert box is None or box == mask_box(labels == i)


def test_a_seed_gives_the_same_scene_again() -> None:
    first, second = (draw_reduced(random.Random(7), (160, 160)) for _ in range(2))
    assert first.things == second.things
    assert np.array_equal(first.rgb, second.rgb)
    assert np.array_equal(
        draw_clip(random.Random(7), (96, 96), TIMES).rgb, draw_clip(random.Random(7), (96, 96), TIMES).rgb
    )


def test_a_thing_moves_as_it_is_said_to() -> None:
    for seed in range(20):
        clip = draw_clip(random.Random(seed), (96, 128), TIMES)
        first, last = clip.actors[0].at(0), clip.actors[0].at(3)
        assert first is not None
        assert last is not None
        dx, dy = (after - before for before, after in zip(first.centre, last.centre, strict=True))
        towards = ("right" if dx > 0 else "left") if abs(dx) > abs(dy) else ("down" if dy > 0 else "up")
        assert towards == clip.direction


def test_a_newcomer_is_not_there_at_first_and_is_there_at_last() -> None:
    clips = [draw_clip(random.Random(seed), (96, 128), TIMES) for seed in range(30)]
    newcomers = [(clip, clip.newcomer) for clip in clips if clip.newcomer]
    assert len(newcomers) > 5
    for clip, newcomer in newcomers:
        assert newcomer.at(0) is None
        assert newcomer.at(clip.appears_in) is not None
        assert newcomer.at(3) is not None


def test_things_stand_in_the_order_in_which_tokens_meet_their_centres() -> None:
    scene = draw_scene(random.Random(3), (192, 192))
    assert reading_order(scene.things, 6) == list(range(len(scene.things)))


def test_visual_tokens_know_what_they_show() -> None:
    scene = draw_named(random.Random(1), [("circle", "red"), ("7", "blue")], (128, 160))
    dense = Dense.of_scene(scene)
    assert dense.kind.shape == (20,)
    assert int(dense.centre.sum()) == 2
    shown = {KINDS[int(kind) - 1] for kind in dense.kind[dense.centre > 0]}
    assert shown == {thing.kind for thing in scene.things}


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0, 10), (0.004, 10), (0.5, 500), (0.506, 510), (1.0, 990)], ids=lambda value: str(value)
)
def test_coordinates_are_written_in_tens(fraction: float, text: int) -> None:
    assert written(fraction) == text


def test_kinds_are_shapes_and_digits() -> None:
    assert set(SHAPES) | set(DIGITS) == set(KINDS)
