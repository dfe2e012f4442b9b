"""Fresh questions to measure the demo model by, drawn from a seed of their own, at the sizes of real files."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipelines.demo.answering import Query
from pipelines.demo.clip_parts import Part, about_moment, about_span
from pipelines.demo.clip_questions import CLIP_TASKS, ask_any_clip, ask_clip
from pipelines.demo.clips import MovingScene, draw_clip
from pipelines.demo.drawing import Pixels
from pipelines.demo.exchange import Exchange, Task
from pipelines.demo.export import PICTURE_LIMITS
from pipelines.demo.follow_ups import follow_up
from pipelines.demo.outside import FILM_QUESTIONS, PHOTO_QUESTIONS, refuse
from pipelines.demo.pairs import ask_change, draw_pair
from pipelines.demo.phrases import as_json
from pipelines.demo.questions import OF_THINGS, PICTURE_WEIGHTS, ask, ask_any
from pipelines.demo.regions import about_region, pick_region
from pipelines.demo.scenes import TOKEN_PX, Scene, draw_scene, ordered
from pipelines.demo.scoring import read_points
from pipelines.demo.specks import SpeckScene, draw_speck
from pipelines.demo.talk import ask_aside, of_another_kind
from pipelines.demo.things import Coords
from pipelines.demo.worldly import UNSEEN_NOUNS, WORLDLY
from pipelines.demo.zoom import ask_zoom
from pipelines.fusion.sizes import resize_picture
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
    """A picture, its things in the reading order of what the model sees of it."""
    size = rng.choice(PICTURE_SIZES)
    num_rows = resize_picture(*size, PICTURE_LIMITS)[0] // TOKEN_PX
    return ordered(draw_scene(rng, size), num_rows)


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
        points = read_points(exchange.answer) or []
        places = [(label, boxes[int(point[0]), int(point[1])]) for label, point in points]
        truth = as_json(places, "bbox_2d")
    return Case(Query.about(_picture(scene), exchange.question), exchange, truth)


def _moving(rng: random.Random) -> tuple[MovingScene, Clip]:
    num_frames, step_s = rng.choice(NUM_FRAMES), rng.choice((0.5, 0.55))
    times_s = tuple(i * step_s for i in range(num_frames))
    moving = draw_clip(rng, rng.choice(CLIP_SIZES), times_s)
    rgb = np.ascontiguousarray(moving.rgb)
    return moving, Clip("scene", rgb, moving.times_s, tuple(range(num_frames)), times_s[-1])


def _clip_case(rng: random.Random, task: Task) -> Case | None:
    moving, clip = _moving(rng)
    if (task == "appears" and not moving.newcomers) or (task == "vanishes" and not moving.leavers):
        return None
    exchange = ask_clip(rng, moving, task)
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
        asked = ask(rng, _scene(rng).things, rng.choice(OF_THINGS))
    question = asked.question if rng.random() < 0.5 else rng.choice(PHOTO_QUESTIONS)
    exchange = refuse(question, has_picture=True)
    return Case(Query.about(rng.choice(_photos()), question), exchange, exchange.answer)


def _panned_case(rng: random.Random) -> Case:
    """A photograph over which a camera moves, with a question about another clip or about such a one."""
    size, num_frames = rng.choice(CLIP_SIZES), rng.choice(NUM_FRAMES)
    photo = cv2.resize(rng.choice(_photos()).rgb, (size[1] * 3 // 2, size[0] * 3 // 2), interpolation=cv2.INTER_AREA)
    (top, bottom), (left, right) = ((rng.randint(0, side // 2), rng.randint(0, side // 2)) for side in size)
    shares = [i / (num_frames - 1) for i in range(num_frames)]
    corners = [(round(top + (bottom - top) * share), round(left + (right - left) * share)) for share in shares]
    rgb = np.stack([photo[y : y + size[0], x : x + size[1]] for y, x in corners])
    times_s = tuple(i * 0.5 for i in range(num_frames))
    asked = ask_clip(
        rng, _moving(rng)[0], rng.choice([task for task in CLIP_TASKS if task not in ("order", "in_clip")])
    )
    question = asked.question if asked and rng.random() < 0.5 else rng.choice(FILM_QUESTIONS)
    exchange = refuse(question, has_picture=True)
    clip = Clip("photograph", rgb, times_s, tuple(range(num_frames)), times_s[-1])
    return Case(Query.about(clip, question), exchange, exchange.answer)


def _worldly_case(rng: random.Random) -> Case:
    exchange = refuse(rng.choice(WORLDLY), has_picture=False)
    return Case(Query(exchange.question), exchange, exchange.answer)


def _aside_case(rng: random.Random) -> Case:
    exchange = of_another_kind(rng, rng.choice(UNSEEN_NOUNS)) if rng.random() < 0.5 else ask_aside(rng)
    return Case(Query.about(_picture(_scene(rng)), exchange.question), exchange, exchange.answer)


def _marked_case(rng: random.Random) -> Case:
    """A region that is marked, its picture beside the whole; half of the time after another question."""
    scene = _scene(rng)
    region = pick_region(rng, scene.things)
    asked = about_region(rng, scene.things, region)
    crop = Picture("part", _cropped(scene.rgb, region))
    first = ask_any(rng, scene.things, PICTURE_WEIGHTS)
    earlier = ((first.question, first.answer),) if rng.random() < 0.5 else ()
    return Case(Query(asked.question, (_picture(scene),), earlier, along=(crop,)), asked, asked.answer)


def _part_case(rng: random.Random, about: Callable[[random.Random, MovingScene], Part]) -> Case:
    """A part of a clip that is marked, and what it shows."""
    moving, clip = _moving(rng)
    part = about(rng, moving)
    shown = tuple(Picture("part", _cropped(moving.rgb[frame], part.region)) for frame in part.frames)
    first = ask_any_clip(rng, moving)
    earlier = ((first.question, first.answer),) if rng.random() < 0.5 else ()
    return Case(Query(part.exchange.question, (clip,), earlier, along=shown), part.exchange, part.exchange.answer)


def _cropped(rgb: Pixels, region: Coords) -> Pixels:
    """The region in its own pixels, any part of one included, as the page cuts it."""
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = region
    crop = rgb[y1 * height // 1000 : -(-y2 * height // 1000), x1 * width // 1000 : -(-x2 * width // 1000)]
    return np.ascontiguousarray(crop)


@lru_cache(maxsize=1)
def _photos() -> tuple[Picture, ...]:
    """Gradio's sample pictures, which have nothing to do with drawn scenes."""
    import gradio  # for its sample pictures alone: a machine that only answers may be without it

    samples = Path(gradio.__file__).parent / "media_assets" / "images"
    files = sorted(path for path in samples.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    return tuple(Picture(path.name, _read(path)) for path in files)


def _read(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


MAKERS: dict[Task, Maker] = {
    "change": _change_case, "follow_up": _follow_case, "in_full": _full_case, "zoom": _zoom_case,
    "outside": _photo_case, "outside_clip": _panned_case, "worldly": _worldly_case, "aside": _aside_case,
    "marked": _marked_case, "moment": lambda rng: _part_case(rng, about_moment),
    "span": lambda rng: _part_case(rng, about_span),
}  # fmt: skip
TASKS: tuple[Task, ...] = tuple(dict.fromkeys((*PICTURE_WEIGHTS, *CLIP_TASKS, *MAKERS)))
"""Every task that is measured."""
