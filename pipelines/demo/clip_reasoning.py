"""How what a clip shows is put in words, time by time: what the reasoning about clips is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.demo.clips import Actor, MovingScene

Sort = Literal["there", "new", "gone"]
Sorts = tuple[Sort, ...]
NEW: Sorts = ("new",)
GONE: Sorts = ("gone",)
BOTH: Sorts = ("new", "gone")
EVER: Sorts = ("there", "new", "gone")
"""What is there from the start too."""


@dataclass(frozen=True)
class Event:
    """Something that is there, comes or goes: the first pair of frames that shows it, or that no longer does."""

    sort: Sort
    patch: int
    actor: Actor

    def noted(self, clip: MovingScene) -> str:
        """As it is noted in the reasoning: `new 2.2 s blue star`."""
        return f"{self.sort} {clip.patch_times[self.patch]} s {self.actor.name}"

    def told(self, clip: MovingScene, name: str = "") -> str:
        """As it is told in the answer, by the thing's own name or another."""
        return f"The {name or self.actor.name} {self.verb} at {clip.patch_times[self.patch]} seconds."

    @property
    def verb(self) -> str:
        """What the thing does, where it comes or goes."""
        return "appears" if self.sort == "new" else "disappears"


def clock(time: str) -> str:
    """Seconds with one decimal as mm:ss.ff."""
    minutes, seconds = divmod(float(time), 60)
    return f"{int(minutes):02d}:{seconds:05.2f}"


def motion(clip: MovingScene) -> str:
    """Where the mover is first and last."""
    mover, times = clip.actors[0], clip.patch_times
    lines = []
    for patch in (0, len(times) - 1):
        thing = mover.at(patch)
        if thing:
            lines.append("{} s: {} ({},{})".format(times[patch], mover.name, *thing.centre_coords))
    return "\n".join([*lines, f"It moves {clip.direction}."])


def movement(clip: MovingScene) -> str:
    """Which way the mover goes, as it is told in the answer."""
    return f"The {clip.actors[0].name} moves {clip.direction}."


def moment(clip: MovingScene, patch: int, mark: str = "") -> str:
    """What is there at one time, what is new and what is gone, each with the time; `mark` stands behind the first."""
    time = clip.patch_times[patch]
    parts = []
    for actor in clip.actors:
        change = _change(actor, patch)
        if change in BOTH:
            parts.append(f"{actor.name} {change} {time} s")
        elif actor.at(patch):
            parts.append(actor.name)
    return f"{time} s{mark}: {', '.join(parts)}"


def film(clip: MovingScene) -> str:
    """What is there, time by time."""
    return "\n".join(moment(clip, patch) for patch in range(clip.num_patches))


def happenings(clip: MovingScene, sorts: Sorts) -> list[Event]:
    """What is there at first, comes and goes, in the order of the time-by-time list."""
    moments = ((actor, patch) for patch in range(clip.num_patches) for actor in clip.actors)
    changes = ((_change(actor, patch), patch, actor) for actor, patch in moments)
    return [Event(sort, patch, actor) for sort, patch, actor in changes if sort in sorts]


def _change(actor: Actor, patch: int) -> Sort | None:
    """Whether the actor comes or goes with that pair of frames, or is there with the first."""
    is_there = actor.at(patch) is not None
    if patch == 0:
        return "there" if is_there else None
    if is_there == (actor.at(patch - 1) is not None):
        return None
    return "new" if is_there else "gone"


def events(clip: MovingScene, sorts: Sorts) -> str:
    """What is there, time by time; then what comes or goes, one a line."""
    lines = [f"{n}. {event.noted(clip)}" for n, event in enumerate(happenings(clip, sorts), start=1)]
    return "\n".join([film(clip), *lines, f"Total: {len(lines)}"])


def search(clip: MovingScene, sorts: Sorts, targets: Mapping[str, Actor | None]) -> str:
    """The same, with a verdict on each: whether it is about a target, by the name that the question gives it."""
    names = ", ".join(targets)
    lines = []
    for n, event in enumerate(happenings(clip, sorts), start=1):
        verdicts = [f"{name}: {'yes' if event.actor is target else 'no'}" for name, target in targets.items()]
        lines.append(f"{n}. {event.noted(clip)}, {', '.join(verdicts)}")
    return "\n".join([film(clip), f"Find: {names}", *lines])


def told(clip: MovingScene, sorts: Sorts) -> str:
    """What comes or goes, in sentences; empty where nothing does."""
    return " ".join(event.told(clip) for event in happenings(clip, sorts))
