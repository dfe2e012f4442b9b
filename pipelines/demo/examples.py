"""Draw the example pictures and clips, with questions and true answers: `python -m pipelines.demo.examples`.

A file is kept when the model, reading it back from disk as the program does, answers all of its questions rightly: an
example shows what the model can do. How often it can is another matter, and `evaluate` measures it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path

import av
import torch
from PIL import Image

from pipelines.demo.answering import Answerer, Query
from pipelines.demo.clip_questions import CLIP_TASKS, ask_clip
from pipelines.demo.clips import MovingScene, draw_clip
from pipelines.demo.drawing import Pixels
from pipelines.demo.exchange import Exchange
from pipelines.demo.export import FOLDER as MODEL
from pipelines.demo.export import MAX_FRAMES, MIN_FRAMES, PICTURE_LIMITS, SAMPLE_FPS
from pipelines.demo.questions import PICTURE_WEIGHTS, ask
from pipelines.demo.scenes import Scene, draw_named, reduce
from pipelines.demo.scoring import exact, mean_iou, near_point
from pipelines.fusion.frames import sample_frames
from pipelines.fusion.look import look_of
from pipelines.fusion.sizes import resize_picture
from pipelines.media import open_media
from pipelines.types import Media, Settings

FOLDER = MODEL.parent / "examples"
MANIFEST = "manifest.json"
GOOD_ENOUGH = 0.75
"""The least mean IoU of an example's boxes. Words must all be the true ones."""
CLIP_SIZE = (240, 320)
CLIP_FPS = 12
CLIP_FRAMES = 48
WORDINGS = 100_000
JSON_BOXES = "Report bbox coordinates in JSON format."


@dataclass(frozen=True)
class Example:
    """An entry of the manifest: a file of the folder, a question about it, and the true answer."""

    file: str
    question: str
    answer: str


@dataclass(frozen=True)
class PictureWish:
    """A picture to draw: its file, its size (height, width) in px, what it shows, and what is asked about it."""

    file: str
    size: tuple[int, int]
    names: tuple[tuple[str, str], ...]
    questions: tuple[str, ...]

    def attempts(self, path: Path) -> Iterator[list[Exchange]]:
        """Draw the picture to `path` again and again, each time with the true exchanges about it."""
        for seed in count():
            scene = draw_named(random.Random(f"{self.file} {seed}"), self.names, self.size)
            if len(scene.things) == len(self.names):
                Image.fromarray(scene.rgb).save(path, quality=92)
                asked = partial(_ask_picture, reduce(scene, resize_picture(*self.size, PICTURE_LIMITS)))
                yield [true_exchange(question, asked) for question in self.questions]


@dataclass(frozen=True)
class ClipWish:
    """A clip to draw: its file, which clips will do, and what is asked about it."""

    file: str
    is_wanted: Callable[[MovingScene], bool]
    questions: tuple[str, ...]

    def attempts(self, path: Path) -> Iterator[list[Exchange]]:
        """Draw a wanted clip to `path` again and again, each time with the true exchanges about what is seen of it."""
        sampled = sample_frames(CLIP_FRAMES, CLIP_FPS, SAMPLE_FPS, MIN_FRAMES, MAX_FRAMES)
        times_s = tuple(i / CLIP_FPS for i in range(CLIP_FRAMES))
        for seed in count():
            clip = draw_clip(random.Random(f"{self.file} {seed}"), CLIP_SIZE, times_s)
            seen = clip.sampled(sampled)
            if self.is_wanted(seen):
                write_clip(path, clip.rgb)
                asked = partial(_ask_clip, seen)
                yield [true_exchange(question, asked) for question in self.questions]


def is_calm(clip: MovingScene) -> bool:
    """Whether everything is there from the first frame to the last."""
    return not clip.newcomers and not clip.leavers


PICTURES = (
    PictureWish(
        "shapes.png",
        (384, 512),
        (("circle", "red"), ("square", "blue"), ("star", "red"), ("triangle", "yellow"), ("circle", "red")),
        (
            "How many red shapes are there?",
            f"Where is the blue square? {JSON_BOXES}",
            f"Locate every instance that belongs to the following categories: 'red circle'. {JSON_BOXES}",
            "Point to the blue square. Report point coordinates in JSON format.",
            "What colour is the triangle?",
        ),
    ),
    PictureWish(
        "garden.jpg",
        (480, 480),
        (("star", "green"), ("diamond", "purple"), ("cross", "orange"), ("diamond", "blue")),
        (
            "Describe the picture.",
            "Is there a green star?",
        ),
    ),
    PictureWish(
        "signs.png",
        (512, 384),
        (("7", "blue"), ("triangle", "white"), ("square", "orange"), ("triangle", "red")),
        ("What number is written?", "How many triangles are there?", "Is there a green star?", "List the objects."),
    ),
)
CLIPS = (
    ClipWish(
        "moving-circle.mp4",
        lambda clip: clip.actors[0].kind == "circle" and len(clip.actors) == 2 and is_calm(clip),
        ("Which way does the circle move?", "What is moving?"),
    ),
    ClipWish(
        "newcomer.mp4",
        lambda clip: (
            [actor.kind for actor in clip.newcomers] == ["star"] and len(clip.actors) == 2 and not clip.leavers
        ),
        ("What appears?",),
    ),
)


def true_exchange(question: str, asked: Callable[[random.Random], Exchange | None]) -> Exchange:
    """The exchange of that very question: questions are drawn until one is worded so."""
    rng = random.Random(question)
    for _ in range(WORDINGS):
        exchange = asked(rng)
        if exchange and exchange.question == question:
            return exchange
    raise ValueError(f"no question about this scene is worded “{question}”")


def _ask_picture(scene: Scene, rng: random.Random) -> Exchange | None:
    return ask(rng, scene.things, rng.choice(tuple(PICTURE_WEIGHTS)))


def _ask_clip(clip: MovingScene, rng: random.Random) -> Exchange | None:
    return ask_clip(rng, clip, rng.choice(tuple(CLIP_TASKS)))


def read_back(path: Path, answerer: Answerer) -> Media:
    """The file as the program sees it."""
    return open_media(path, look_of(Settings(), answerer.checkpoint))


def is_right(answerer: Answerer, path: Path, exchanges: Sequence[Exchange]) -> bool:
    """Whether the model, thinking, answers every question about the file rightly."""
    media = read_back(path, answerer)
    replies = answerer.reply_all([Query.about(media, exchange.question) for exchange in exchanges], thinking=True)
    return all(agrees(reply.answer, e.answer) for reply, e in zip(replies, exchanges, strict=True))


def agrees(answer: str, truth: str) -> bool:
    """Whether an answer is that of the manifest: in its words, or in its boxes or points and their labels."""
    if not truth.startswith("["):
        return exact(answer, truth) == 1
    return (near_point if "point_2d" in truth else mean_iou)(answer, truth) >= GOOD_ENOUGH


def make(wish: PictureWish | ClipWish, folder: Path, answerer: Answerer) -> list[Example]:
    """Draw with one seed after the other until the model is right."""
    path = folder / wish.file
    exchanges = next(exchanges for exchanges in wish.attempts(path) if is_right(answerer, path, exchanges))
    return [Example(wish.file, exchange.question, exchange.answer) for exchange in exchanges]


def write_clip(path: Path, frames: Pixels) -> None:
    """uint8 [T, H, W, 3] as an H.264 file."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=CLIP_FPS, options={"crf": "18"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


def main() -> None:
    """Read the options and make the files and their manifest."""
    parser = argparse.ArgumentParser(description="Draw the example pictures and clips.")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--to", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(1)
    answerer = Answerer(options.model)
    options.to.mkdir(parents=True, exist_ok=True)
    examples: list[Example] = []
    for wish in (*PICTURES, *CLIPS):
        print(wish.file, file=sys.stderr)
        examples += make(wish, options.to, answerer)
    manifest = json.dumps([asdict(example) for example in examples], indent=2)
    (options.to / MANIFEST).write_text(manifest + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
