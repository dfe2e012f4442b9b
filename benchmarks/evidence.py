"""How far the evidence beside an answer can be trusted: `make bench-evidence`.

The shipped model on drawn scenes, whose every box is known, greedily, by the way that the page goes: where it looked as
it wrote a word, read off the very map that the page lays over the picture; whether it holds a true claim likelier than
a false one; what a heat map costs beside a prefill of the same reply; and how long places are looked for in a megabyte
of what no model should write. The hash tells which weights these were. How often a closer look leads to the right
answer is the row `zoom` of `make demo-eval`.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from threading import Event as Flag

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipelines import asides
from pipelines.demo.things import COLOURS, SHAPES, FractionBox, Thing
from pipelines.engine import LocalEngine
from pipelines.fusion import fuse
from pipelines.grounding import parse_grounding
from pipelines.models import DEMO_FOLDER
from pipelines.present import heat
from pipelines.present.words import Word, words_of
from pipelines.run import answer
from pipelines.types import Limits, Message, Picture, Point, Region, Request, Result, Sampling, Settings

try:  # a machine that is lent for its GPU may have nothing to draw with
    from pipelines.demo.cases import PICTURE_SIZES
    from pipelines.demo.scenes import draw_scene
except ModuleNotFoundError as error:
    raise SystemExit("The scenes are drawn with OpenCV: install it with `pip install opencv-python`.") from error

SETTINGS = Settings(sampling=Sampling())
QUESTION = "Describe the picture."
LOOKS = "top of the map lies in the box", "middle of the token that weighs most does"
SIDE_PX, NUM_REPLIED, REPEATS = 1024, 300, 21
PAIRS = 301
"""Of a heat map and a prefill: their medians differ by a few percent from one score of pairs to the next."""
MEGABYTE = 1_000_000
WEIGHTS = DEMO_FOLDER / "model.safetensors"


def heat_maps(engine: LocalEngine, folder: Path, count: int) -> Iterator[str]:
    """Where it looked as it wrote the two words of a thing's name; things that share a name are left out."""
    rng = random.Random("where it looked")
    met: dict[str, list[tuple[bool, bool]]] = {"colour": [], "kind": []}
    for number in range(count):
        scene, path = draw_scene(rng, rng.choice(PICTURE_SIZES)), folder / f"{number}.png"
        Image.fromarray(scene.rgb).save(path)
        request = Request(QUESTION, (path,), replace(SETTINGS, thinking=False))
        *_, result = answer(request, engine)
        assert isinstance(result, Result)
        gaze = asides.gaze(request, result, engine, Flag())
        assert gaze is not None
        words, names = words_of(result.said, "answer"), Counter(thing.name for thing in scene.things)
        for thing in (one for one in scene.things if names[one.name] == 1):
            for part, word in zip(met, named(words, thing), strict=False):
                met[part].append(meets(gaze.of(word.tokens)[0][0], thing.box))
    for part, looks in met.items():
        for what, shares in zip(LOOKS, zip(*looks, strict=True), strict=True):
            yield row(f"heat map of the word for the {part}: the {what}", shares, "things")


def named(words: Sequence[Word], thing: Thing) -> tuple[Word, ...]:
    """The words for a thing's colour and kind where an answer names it, or none."""
    pairs = (pair for pair in pairwise(words) if " ".join(word.text.strip(" .,") for word in pair) == thing.name)
    return next(pairs, ())


def meets(weights: NDArray[np.float32], box: FractionBox) -> tuple[bool, bool]:
    """`LOOKS`, of the weights [h, w] of the tokens of a picture."""
    row, column = divmod(int(weights.argmax()), weights.shape[1])
    middle = (column + 0.5) / weights.shape[1] * 1000, (row + 0.5) / weights.shape[0] * 1000
    return lies_in(heat.top(heat.soft(weights)), box), lies_in(middle, box)


def lies_in(point: Point, box: FractionBox) -> bool:
    """Whether a point in 0 to 1000 lies in a box of fractions."""
    x, y = (value / 1000 for value in point)
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def checks(engine: LocalEngine, count: int, thinking: bool, is_point: bool = False) -> Iterator[str]:
    """A mark with its true label, and with a false one: that of another thing, or one of another colour and kind."""
    rng, settings = random.Random("check"), replace(SETTINGS, thinking=thinking)
    likelier, told = [], []
    for _ in range(count):
        scene = draw_scene(rng, rng.choice(PICTURE_SIZES))
        thing = rng.choice(scene.things)
        colours, kinds = [one for one in COLOURS if one != thing.colour], [one for one in SHAPES if one != thing.kind]
        others = [other.name for other in scene.things if other.name != thing.name]
        made_up = f"{rng.choice(colours)} {rng.choice(kinds)}"
        false = rng.choice(others) if others and rng.random() < 0.5 else made_up
        x1, y1, x2, y2 = map(float, thing.box_coords)
        middle = (x1 + x2) / 2, (y1 + y2) / 2
        box = None if is_point else (x1, y1, x2, y2)
        marks = [Region(label, box, middle if is_point else None) for label in (thing.name, false)]
        picture = Picture("scene", scene.rgb)
        true_p, false_p = (asides.check(picture, mark, engine, settings, Flag()) for mark in marks)
        # a check that tells nothing is wrong of a false claim too
        likelier.append(true_p is not None and false_p is not None and true_p > false_p)
        told += [true_p is not None and true_p > 0.5, false_p is not None and false_p < 0.5]
    how = f"of a {'point' if is_point else 'box'}, {'thinking' if thinking else 'not thinking'}"
    yield row(f"check {how}: the true claim is likelier than the false one", likelier, "pairs")
    yield row(f"check {how}: a claim is on its side of one half", told, "claims")


def row(what: str, met: Sequence[bool], things: str) -> str:
    """A share, and of how many."""
    return f"| {what} | {np.mean(met):.1%} | {len(met)} {things} |"


def cost(engine: LocalEngine) -> str:
    """A heat map of a long reply about a large picture, and one prefill of that reply, in turn: milliseconds."""
    checkpoint = replace(engine.checkpoint, picture_limits=Limits(1024, SIDE_PX**2))
    rgb = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    message: Message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
    inputs = fuse([message], [Picture("noise", rgb, "noise")], checkpoint, False)
    list(engine.generate(inputs, replace(SETTINGS, max_new_tokens=1), lambda _work: None, Flag()))  # keeps the prompt
    reply = inputs.followed_by((checkpoint.encode("a red star, ") * NUM_REPLIED)[:NUM_REPLIED])
    works = (lambda: engine.gaze(reply, Flag()), lambda: engine.score(reply, [], Flag()))
    times = [[spent_ms(engine, work) for work in works] for _ in range(PAIRS + 1)][1:]  # the first is for warmth
    shown, prefill = (median(pair[side] for pair in times) for side in (0, 1))
    what = f"A heat map of {NUM_REPLIED} tokens about {inputs.num_visual_tokens} visual tokens takes {shown:.1f} ms"
    return f"{what}, one prefill of them {prefill:.1f} ms: {shown / prefill:.2f} x (medians of {PAIRS})."


def readings() -> Iterator[str]:
    """`parse_grounding` of a megabyte of one thing, in milliseconds of the processor."""
    for unit in ("[", "{", "9", '"', '{"bbox_2d": [1, 2, 3, 4], "label": "x"}, '):
        text = unit * (MEGABYTE // len(unit))
        times = []
        for _ in range(REPEATS):
            began_s = time.process_time()
            parse_grounding(text)
            times.append((time.process_time() - began_s) * 1000)
        yield f"| `{unit.strip()}` | {median(times):.1f} ms |"


def spent_ms(engine: LocalEngine, work: Callable[[], object]) -> float:
    """Of the processor where that does the work: other programs make it last longer by the clock."""
    clock = time.process_time if engine.clock.name == "perf_counter" else time.perf_counter
    began_s = clock()
    work()
    return (clock() - began_s) * 1000


def weights_hash() -> str:
    """What tells the weights that are shipped now from others."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]


def processor() -> str:
    """The name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def main() -> None:
    """Measure, and print a row for each figure."""
    parser = argparse.ArgumentParser(description="Measure how far the evidence beside an answer can be trusted.")
    parser.add_argument("--count", type=int, default=200, help="scenes, and pairs of claims")
    count = parser.parse_args().count
    engine = LocalEngine.load(DEMO_FOLDER, "demo")
    print(f"{engine.info.place}, {processor()}, torch {torch.__version__}, {count} scenes each")
    print(f"Weights: {weights_hash()} (SHA-256 of {WEIGHTS.name}, its first 16 digits)\n")
    print("\n".join(["| a megabyte of | is read in |", "|---|---|", *readings()]), flush=True)
    print(f"\n{cost(engine)}\n\n| what | share | of |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        checked = (checks(engine, count, *how) for how in ((True, False), (False, False), (True, True)))
        for line in chain(heat_maps(engine, Path(folder), count), *checked):
            print(line, flush=True)


if __name__ == "__main__":
    main()
