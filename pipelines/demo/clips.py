"""Drawn clips whose every fact is known: one thing moves, others rest, come late or leave early."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipelines.demo.drawing import Brush, Pixels, backdrop, paint
from pipelines.demo.scenes import TOKEN_PX, apart, distinct_names, fractions, make_brush, pick_extent
from pipelines.demo.things import FractionBox, Thing

DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}
GLYPH_SHARE = 0.08
SHRINK = 0.85
"""How much smaller than in a picture the largest things are."""


@dataclass(frozen=True)
class Actor:
    """One thing of a clip. `boxes` has one entry a frame, None while the thing is not there."""

    kind: str
    colour: str
    boxes: tuple[FractionBox | None, ...]

    @property
    def name(self) -> str:
        """As it is called in lists, such as `red circle`."""
        return f"{self.colour} {self.kind}"

    def in_frame(self, frame: int) -> Thing | None:
        """The thing as that one frame shows it, None where it does not."""
        box = self.boxes[frame]
        return Thing(self.kind, self.colour, box) if box else None

    def at(self, patch: int) -> Thing | None:
        """The thing as the `patch`-th pair of frames shows it: its mean box, None where neither frame holds it."""
        boxes = [box for box in self.boxes[2 * patch : 2 * patch + 2] if box]
        if not boxes:
            return None
        x1, y1, x2, y2 = (sum(sides) / len(boxes) for sides in zip(*boxes, strict=True))
        return Thing(self.kind, self.colour, (x1, y1, x2, y2))


@dataclass(frozen=True, eq=False)
class MovingScene:
    """A drawn clip: `rgb` uint8 [T, H, W, 3], `labels` uint8 [T, H, W] (0 or the 1-based index of the actor).

    The first actor moves, in `direction`, and is always there; the others rest, in reading order, and may come late or
    leave early.
    `times_s` holds the time of each frame.
    """

    rgb: Pixels
    labels: Pixels
    actors: tuple[Actor, ...]
    direction: str
    times_s: tuple[float, ...]

    @property
    def patch_times(self) -> tuple[str, ...]:
        """The mean time of each pair of frames, as the prompt writes it: seconds with one decimal."""
        return tuple(f"{sum(pair) / 2:.1f}" for pair in list(pairwise(self.times_s))[::2])

    @property
    def num_patches(self) -> int:
        """How many pairs of frames there are."""
        return len(self.times_s) // 2

    @property
    def newcomers(self) -> tuple[Actor, ...]:
        """The actors that are not there at first, in the order in which they appear."""
        late = [actor for actor in self.actors if any(actor.boxes) and actor.at(0) is None]
        return tuple(sorted(late, key=self.first_patch))

    @property
    def leavers(self) -> tuple[Actor, ...]:
        """The actors that are not there at last, in the order in which they disappear."""
        gone = [actor for actor in self.actors if any(actor.boxes) and actor.at(self.num_patches - 1) is None]
        return tuple(sorted(gone, key=self.last_patch))

    def first_patch(self, actor: Actor) -> int:
        """The first pair of frames that shows the actor."""
        return next(i for i in range(self.num_patches) if actor.at(i))

    def last_patch(self, actor: Actor) -> int:
        """The last pair of frames that shows the actor."""
        return next(i for i in reversed(range(self.num_patches)) if actor.at(i))

    def sampled(self, indices: list[int]) -> MovingScene:
        """The same clip with these frames alone; their number is even."""
        actors = tuple(Actor(a.kind, a.colour, tuple(a.boxes[i] for i in indices)) for a in self.actors)
        times = tuple(self.times_s[i] for i in indices)
        return MovingScene(self.rgb[indices], self.labels[indices], actors, self.direction, times)


def draw_clip(rng: random.Random, size: tuple[int, int], times_s: tuple[float, ...]) -> MovingScene:
    """A clip of one frame for each time (an even number, at least 4), `size` (height, width) in px."""
    mover, *others = distinct_names(rng, rng.randint(1, 4), GLYPH_SHARE)
    direction = rng.choice(tuple(DIRECTIONS))
    path = _path(rng, mover, size, direction, len(times_s))
    resting = sorted(
        zip(_resting(rng, others, size, path), others, strict=False),
        key=lambda placed: (int(placed[0].y / TOKEN_PX), placed[0].x),
    )
    tracks = [path, *([brush] * len(times_s) for brush, _ in resting)]
    spans = [range(len(times_s)), *(_span(rng, len(times_s)) for _ in resting)]
    return _film(rng, [mover, *(name for _, name in resting)], tracks, spans, size, direction, times_s)


def _span(rng: random.Random, num_frames: int) -> range:
    """The frames that show a resting thing: from the start or later, to the end or earlier, two at the least."""
    start = rng.randint(2, num_frames - 2) if rng.random() < 0.5 else 0
    stop = rng.randint(start + 2, num_frames - 2) if rng.random() < 0.4 and start + 4 <= num_frames else num_frames
    return range(start, stop)


def _film(
    rng: random.Random,
    names: list[tuple[str, str]],
    tracks: list[list[Brush]],
    spans: list[range],
    size: tuple[int, int],
    direction: str,
    times_s: tuple[float, ...],
) -> MovingScene:
    """Paint each frame; an actor is there in the frames of its span."""
    ground = backdrop(rng, *size, {colour for _, colour in names})
    rgb = np.repeat(ground[None], len(times_s), axis=0)
    labels = np.zeros(rgb.shape[:3], np.uint8)
    boxes: list[list[FractionBox | None]] = [[] for _ in names]
    for frame in range(len(times_s)):
        for i, track in enumerate(tracks):
            there = frame in spans[i]
            box = fractions(paint(rgb[frame], labels[frame], track[frame], i + 1), size) if there else None
            boxes[i].append(box)
    actors = tuple(Actor(kind, colour, tuple(b)) for (kind, colour), b in zip(names, boxes, strict=True))
    return MovingScene(rgb, labels, actors, direction, times_s)


def _path(
    rng: random.Random, name: tuple[str, str], size: tuple[int, int], direction: str, num_frames: int
) -> list[Brush]:
    """A straight, steady way along one axis, over 45 to 95% of the room there is."""
    extent = pick_extent(rng, name[0], shrink=SHRINK) * min(size)
    reach = extent / 2 + 1
    height, width = size
    dx, dy = DIRECTIONS[direction]
    room = (width if dx else height) - 2 * reach
    distance = rng.uniform(0.45, 0.95) * room
    first = reach + rng.uniform(0, room - distance)
    across = rng.uniform(reach, (height if dx else width) - reach)
    brush = make_brush(rng, *name, 0.0, 0.0, extent)
    steps = [first + distance * i / (num_frames - 1) for i in range(num_frames)]
    if dx + dy < 0:
        steps.reverse()
    return [replace(brush, x=step, y=across) if dx else replace(brush, x=across, y=step) for step in steps]


def _resting(rng: random.Random, names: list[tuple[str, str]], size: tuple[int, int], path: list[Brush]) -> list[Brush]:
    """Places off the path; the names that found no room are left out, from the end."""
    height, width = size
    placed: list[Brush] = []
    for name in names:
        for _ in range(60):
            extent = pick_extent(rng, name[0], shrink=SHRINK) * min(size)
            reach = extent / 2 + 1
            x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
            if all(apart(x, y, reach, other) for other in (*path, *placed)):
                placed.append(make_brush(rng, *name, x, y, extent))
                break
        else:
            break
    return placed
