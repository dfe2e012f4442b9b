"""Fresh questions to measure the demo model by, drawn from a seed of their own, at the sizes of real files."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.demo.answering import Query
from pipelines.demo.clip_questions import CLIP_TASKS, ask_clip
from pipelines.demo.clips import draw_clip
from pipelines.demo.exchange import Exchange, Task
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import PHOTO_QUESTIONS, refuse
from pipelines.demo.pairs import ask_change, draw_pair
from pipelines.demo.phrases import as_json
from pipelines.demo.questions import PICTURE_WEIGHTS, ask
from pipelines.demo.scenes import Scene, draw_scene
from pipelines.demo.scoring import read_boxes
from pipelines.demo.specks import SpeckScene, draw_speck
from pipelines.demo.things import Coords
from pipelines.demo.worldly import WORLDLY
from pipelines.demo.zoom import ask_zoom
from pipelines.types import Clip, Picture

SEED = "evaluation"
PICTURE_SIZES = ((160, 160), (192, 192), (160, 224), (256, 256), (300, 400), (384, 512), (512, 384), (480, 640))
SPECK_SIZES = ((160, 160), (160, 192), (192, 160))
CLIP_SIZES = ((128, 128), (180, 240), (240, 320))
NUM_FRAMES = (4, 6, 8, 12, 16)
NOTHING = ("[]", "There is no number.", "There is no letter.")
NEVER_NOTHING: tuple[Task, ...] = ("box", "boxes", "number", "letter")


@dataclass(frozen=True, eq=False)
class Case:
    """A query, the exchange that it should lead to, and what its answer is scored against."""

    query: Query
    exchange: Exchange
    truth: str
    speck: SpeckScene | None = None

    def closer(self, region: Coords) -> Picture:
        """What the zoom tool gives back: the region of the picture as it was drawn."""
        if self.speck is None:
            raise ValueError("there is nothing to look at more closely")
        height, width = self.speck.drawn.labels.shape
        size = (
            max(16, (region[3] - region[1]) * height // 1000),
            max(16, (region[2] - region[0]) * width // 1000),
        )
        return Picture("closer", self.speck.closer(region, size))


Maker = Callable[[random.Random], Case | None]


def make_cases(task: Task, count: int) -> list[Case]:
    """`count` questions of a task, each about a fresh scene."""
    rng = random.Random(f"{SEED} {task}")
    maker = MAKERS.get(task) or (lambda rng: _clip_case(rng, task) if task in CLIP_TASKS else _picture_case(rng, task))
    cases: list[Case] = []
    while len(cases) < count:
        case = maker(rng)
        if case and not (task in NEVER_NOTHING and case.exchange.answer in NOTHING):
            cases.append(case)
    return cases


def _scene(rng: random.Random) -> Scene:
    return draw_scene(rng, rng.choice(PICTURE_SIZES))


def _picture(scene: Scene) -> Picture:
    return Picture("scene", scene.rgb)


def _picture_case(rng: random.Random, task: Task) -> Case | None:
    scene = _scene(rng)
    exchange = ask(rng, scene.things, task)
    if not exchange:
        return None
    truth = exchange.answer
    if task == "point":
        boxes = {thing.centre_coords: thing.box_coords for thing in scene.things}
        places = [(label, boxes[int(point[0]), int(point[1])]) for label, point in read_boxes(exchange.answer)]
        truth = as_json(places, "bbox_2d")
    return Case(Query.about(_picture(scene), exchange.question), exchange, truth)


def _clip_case(rng: random.Random, task: Task) -> Case | None:
    num_frames, step_s = rng.choice(NUM_FRAMES), rng.choice((0.5, 0.55))
    times_s = tuple(i * step_s for i in range(num_frames))
    moving = draw_clip(rng, rng.choice(CLIP_SIZES), times_s)
    if (task == "appears" and not moving.newcomers) or (task == "vanishes" and not moving.leavers):
        return None
    exchange = ask_clip(rng, moving, task)
    clip = Clip("scene", np.ascontiguousarray(moving.rgb), moving.times_s, tuple(range(num_frames)), times_s[-1])
    return Case(Query.about(clip, exchange.question), exchange, exchange.answer) if exchange else None


def _change_case(rng: random.Random) -> Case:
    pair = draw_pair(rng, rng.choice(PICTURE_SIZES))
    exchange = ask_change(rng, pair)
    return Case(Query(exchange.question, (_picture(pair.first), _picture(pair.second))), exchange, exchange.answer)


def _follow_case(rng: random.Random) -> Case:
    scene = _scene(rng)
    both = follow_up(rng, scene.things)
    earlier = ((both.first.question, both.first.answer),)
    return Case(Query(both.second.question, (_picture(scene),), earlier), both.second, both.second.answer)


def _full_case(rng: random.Random) -> Case:
    scene = _scene(rng)
    both = follow_up(rng, scene.things)
    return Case(Query.about(_picture(scene), both.plain.question), both.plain, both.plain.answer)


def _zoom_case(rng: random.Random) -> Case:
    scene = draw_speck(rng, rng.choice(SPECK_SIZES))
    zooming = ask_zoom(rng, scene)
    query = Query(zooming.call.question, (_picture(scene.drawn),), zooms=True)
    return Case(query, zooming.call, zooming.result.answer, scene)


def _photo_case(rng: random.Random) -> Case:
    asked = None
    while asked is None:
        asked = ask(rng, _scene(rng).things, rng.choice(tuple(PICTURE_WEIGHTS)))
    question = asked.question if rng.random() < 0.5 else rng.choice(PHOTO_QUESTIONS)
    exchange = refuse(question, has_picture=True)
    return Case(Query.about(rng.choice(_photos()), question), exchange, exchange.answer)


def _worldly_case(rng: random.Random) -> Case:
    exchange = refuse(rng.choice(WORLDLY), has_picture=False)
    return Case(Query(exchange.question), exchange, exchange.answer)


@lru_cache(maxsize=1)
def _photos() -> tuple[Picture, ...]:
    """Gradio's sample pictures, which have nothing to do with drawn scenes."""
    import gradio  # for its sample pictures alone: a machine that only answers may be without it

    samples = Path(gradio.__file__).parent / "media_assets" / "images"
    files = sorted(path for path in samples.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    return tuple(Picture(path.name, np.asarray(Image.open(path).convert("RGB"))) for path in files)


MAKERS: dict[Task, Maker] = {
    "change": _change_case, "follow_up": _follow_case, "in_full": _full_case, "zoom": _zoom_case,
    "outside": _photo_case, "worldly": _worldly_case,
}  # fmt: skip
TASKS: tuple[Task, ...] = (*PICTURE_WEIGHTS, *CLIP_TASKS, *MAKERS)
"""Every task that is measured."""
