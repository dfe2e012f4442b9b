"""Drawn clips whose every fact is known: one thing moves, others rest, and one may appear on the way."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipelines.demo.drawing import Brush, Pixels, backdrop, paint
from pipelines.demo.scenes import apart, fractions, make_brush
from pipelines.demo.things import FractionBox, Thing, pick_name

DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}
DIGIT_SHARE = 0.08
SMALLEST, LARGEST = 0.18, 0.34
"""The size of a thing, in parts of the short side."""


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

    The first actor moves, in `direction`; the last one appears on the way where `newcomer` is set. `times_s` holds the
    time of each frame.
    """

    rgb: Pixels
    labels: Pixels
    actors: tuple[Actor, ...]
    direction: str
    newcomer: Actor | None
    times_s: tuple[float, ...]

    @property
    def patch_times(self) -> tuple[str, ...]:
        """The mean time of each pair of frames, as the prompt writes it: seconds with one decimal."""
        return tuple(f"{sum(pair) / 2:.1f}" for pair in list(pairwise(self.times_s))[::2])

    @property
    def appears_in(self) -> int:
        """The first pair of frames that shows the newcomer."""
        if self.newcomer is None:
            raise ValueError("nothing appears in this clip")
        return next(i for i in range(len(self.patch_times)) if self.newcomer.at(i))

    def sampled(self, indices: list[int]) -> MovingScene:
        """The same clip with these frames alone; their number is even."""
        actors = tuple(Actor(a.kind, a.colour, tuple(a.boxes[i] for i in indices)) for a in self.actors)
        newcomer = actors[-1] if self.newcomer else None
        times = tuple(self.times_s[i] for i in indices)
        return MovingScene(self.rgb[indices], self.labels[indices], actors, self.direction, newcomer, times)


def draw_clip(rng: random.Random, size: tuple[int, int], times_s: tuple[float, ...]) -> MovingScene:
    """A clip of one frame for each time (an even number, at least 4), `size` (height, width) in px."""
    names = _distinct_names(rng, rng.randint(1, 3))
    direction = rng.choice(tuple(DIRECTIONS))
    path = _path(rng, names[0], size, direction, len(times_s))
    resting = _resting(rng, names[1:], size, path)
    tracks = [path, *([brush] * len(times_s) for brush in resting)]
    starts = [0] * len(tracks)
    if resting and rng.random() < 0.65:
        starts[-1] = rng.randint(max(2, len(times_s) // 5), len(times_s) - 2)
    return _film(rng, names[: len(tracks)], tracks, starts, size, direction, times_s)


def _film(
    rng: random.Random,
    names: list[tuple[str, str]],
    tracks: list[list[Brush]],
    starts: list[int],
    size: tuple[int, int],
    direction: str,
    times_s: tuple[float, ...],
) -> MovingScene:
    """Paint each frame; an actor is there from its start on."""
    ground = backdrop(rng, *size, {colour for _, colour in names})
    rgb = np.repeat(ground[None], len(times_s), axis=0)
    labels = np.zeros(rgb.shape[:3], np.uint8)
    boxes: list[list[FractionBox | None]] = [[] for _ in names]
    for frame in range(len(times_s)):
        for i, track in enumerate(tracks):
            there = frame >= starts[i]
            box = fractions(paint(rgb[frame], labels[frame], track[frame], i + 1), size) if there else None
            boxes[i].append(box)
    actors = tuple(Actor(kind, colour, tuple(b)) for (kind, colour), b in zip(names, boxes, strict=True))
    return MovingScene(rgb, labels, actors, direction, actors[-1] if starts[-1] else None, times_s)


def _distinct_names(rng: random.Random, count: int) -> list[tuple[str, str]]:
    names: list[tuple[str, str]] = []
    while len(names) < count:
        name = pick_name(rng, names, DIGIT_SHARE)
        if name not in names:
            names.append(name)
    return names


def _path(
    rng: random.Random, name: tuple[str, str], size: tuple[int, int], direction: str, num_frames: int
) -> list[Brush]:
    """A straight, steady way along one axis, over 45 to 95% of the room there is."""
    extent = rng.uniform(SMALLEST, LARGEST) * min(size)
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
            extent = rng.uniform(SMALLEST, LARGEST) * min(size)
            reach = extent / 2 + 1
            x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
            if all(apart(x, y, reach, other) for other in (*path, *placed)):
                placed.append(make_brush(rng, *name, x, y, extent))
                break
        else:
            break
    return placed
