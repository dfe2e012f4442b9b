"""The drawn scenes are the truth that everything else is measured by: their boxes are exact, their seeds repeat."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.demo.cases import make_cases
from pipelines.demo.clips import draw_clip
from pipelines.demo.dense import CHARACTERS, SORTS, Dense
from pipelines.demo.export import PICTURE_LIMITS
from pipelines.demo.outside import draw_outside
from pipelines.demo.pairs import CHANGES, FAR, draw_pair, reduce_pair
from pipelines.demo.scenes import TOKEN_PX, draw_named, draw_reduced, draw_scene, fractions
from pipelines.demo.scoring import read_boxes
from pipelines.demo.specks import draw_speck
from pipelines.demo.things import COLOURS, GLYPHS, KINDS, SHAPES, SPECK, FractionBox, Thing, reading_order, written
from pipelines.fusion.sizes import resize_picture

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


@pytest.mark.parametrize("kind", [*KINDS[:42:3], "10", "47", "99"])
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


def test_things_come_and_go_as_they_are_said_to() -> None:
    clips = [draw_clip(random.Random(seed), (96, 128), TIMES) for seed in range(40)]
    late = [(clip, actor) for clip in clips for actor in clip.newcomers]
    gone = [(clip, actor) for clip in clips for actor in clip.leavers]
    assert len(late) > 10
    assert len(gone) > 10
    for clip, actor in late:
        assert actor.boxes[0] is None
        assert actor.at(clip.first_patch(actor) - 1) is None
    for clip, actor in gone:
        assert actor.boxes[-1] is None
        assert actor.at(clip.last_patch(actor)) is not None


@pytest.mark.parametrize("seed", range(20))
def test_two_pictures_differ_in_what_is_said_and_in_nothing_else(seed: int) -> None:
    pair = draw_pair(random.Random(seed), (160, 192))
    before, after = set(pair.first.things), set(pair.second.things)
    assert before - after == ({pair.before} if pair.before else set())
    assert after - before == ({pair.after} if pair.after else set())
    if pair.change == "moved" and pair.before and pair.after:
        shifts = [abs(a - b) for a, b in zip(pair.before.centre, pair.after.centre, strict=True)]
        assert max(shifts) >= FAR


def test_every_change_comes_up() -> None:
    assert {draw_pair(random.Random(seed), (160, 160)).change for seed in range(80)} == set(CHANGES)


def test_a_pair_keeps_its_truth_when_it_is_reduced() -> None:
    pair = draw_pair(random.Random(2), (320, 320))
    small = reduce_pair(pair, (160, 160))
    assert small.first.rgb.shape == (160, 160, 3)
    assert set(small.second.things) == set(pair.second.things)


@pytest.mark.parametrize("seed", range(10))
def test_a_speck_is_in_the_region_to_look_at(seed: int) -> None:
    scene = draw_speck(random.Random(seed), (160, 160))
    assert [thing.kind for thing in scene.seen.things].count(SPECK) == 1
    x, y = scene.speck.centre_coords
    assert scene.zoom[0] < x < scene.zoom[2]
    assert scene.zoom[1] < y < scene.zoom[3]
    assert scene.closer(scene.zoom, (128, 160)).shape == (128, 160, 3)
    others = [thing for thing in scene.seen.things if thing.kind != SPECK]
    assert all(thing.box[2] - thing.box[0] > scene.speck.box[2] - scene.speck.box[0] for thing in others)


def test_what_lies_outside_is_no_flat_ground() -> None:
    pictures = [draw_outside(random.Random(seed), (96, 128)) for seed in range(12)]
    assert all(picture.shape == (96, 128, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert all(picture.std() > 8 for picture in pictures)
    assert np.array_equal(pictures[3], draw_outside(random.Random(3), (96, 128)))


def test_things_stand_in_the_order_in_which_tokens_meet_their_centres() -> None:
    scene = draw_scene(random.Random(3), (192, 192))
    assert reading_order(scene.things, 6) == list(range(len(scene.things)))


def test_questions_are_of_the_order_in_what_the_model_sees() -> None:
    """The rows of the file once decided, of which there are up to three times as many as the model sees."""
    clear = 0
    for case in make_cases("all_boxes", 60):
        (picture,) = case.query.media
        height, width, _ = picture.rgb.shape
        num_rows = resize_picture(height, width, PICTURE_LIMITS)[0] // TOKEN_PX
        boxes = [np.array(box) / 1000 for _, box in read_boxes(case.truth) or []]
        things = [Thing("circle", "red", tuple(box)) for box in boxes]
        rows = np.array([thing.centre[1] for thing in things]) * num_rows
        if (abs(rows - rows.round()) > 0.05).all():  # so that no whole ten of a coordinate lies in another row
            clear += 1
            assert reading_order(things, num_rows) == list(range(len(things)))
    assert clear > 30


def test_visual_tokens_know_what_they_show() -> None:
    scene = draw_named(random.Random(1), [("circle", "red"), ("7", "blue")], (128, 160))
    dense = Dense.of_scene(scene)
    assert dense.sort.shape == (20,)
    assert int(dense.centre.sum()) == 2
    shown = [SORTS[int(sort) - 1] for sort in dense.sort[dense.centre > 0]]
    assert sorted(shown) == ["circle", "glyph"]
    read = dense.first[(dense.centre > 0) & (dense.first > 0)]
    assert [CHARACTERS[int(first) - 1] for first in read] == ["7"]
    assert next(list(COLOURS)[int(colour) - 1] for colour in dense.colour[dense.first > 0]) == "blue"


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0, 10), (0.004, 10), (0.5, 500), (0.506, 510), (1.0, 990)], ids=lambda value: str(value)
)
def test_coordinates_are_written_in_tens(fraction: float, text: int) -> None:
    assert written(fraction) == text


def test_kinds_are_shapes_and_what_can_be_read() -> None:
    assert set(SHAPES) | set(GLYPHS) == set(KINDS)
    assert not {"O", "I"} & set(GLYPHS)
