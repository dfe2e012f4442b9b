"""Questions about what happens in a clip, with the reasoning and the answer to each.

All questions about times are answered from one form of reasoning: what is there, time by time, in the times that the
prompt gives and always in the same order, each thing that is new or gone marked with its time where that is seen; then
these events, one a line, and whether each is about what was asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pipelines.demo.clips import Actor, MovingScene
from pipelines.demo.exchange import Exchange, Task, pick
from pipelines.demo.phrases import box_text

CLIP_TASKS: dict[Task, float] = {
    "moves": 1, "what_moves": 0.6, "appears": 2.4, "vanishes": 2.4, "visible": 2.4, "order": 2.4, "box_at": 2.4,
    "happens": 2,
}  # fmt: skip
Sort = Literal["new", "gone"]
Sorts = tuple[Sort, ...]
NEW: Sorts = ("new",)
GONE: Sorts = ("gone",)
BOTH: Sorts = ("new", "gone")
JSON_BOX = " Report bbox coordinates in JSON format."
JSON_SPAN = " Report start and end as mm:ss.ff in JSON format."


@dataclass(frozen=True)
class Event:
    """Something that comes or goes: the first pair of frames that shows it, or that no longer does."""

    sort: Sort
    patch: int
    actor: Actor

    def noted(self, clip: MovingScene) -> str:
        """As it is noted in the reasoning: `new 2.2 s blue star`."""
        return f"{self.sort} {clip.patch_times[self.patch]} s {self.actor.name}"

    def told(self, clip: MovingScene) -> str:
        """As it is told in the answer."""
        verb = "appears" if self.sort == "new" else "disappears"
        return f"The {self.actor.name} {verb} at {clip.patch_times[self.patch]} seconds."


def ask_clip(rng: random.Random, clip: MovingScene, task: Task) -> Exchange | None:
    """A question of that task (one of CLIP_TASKS) about the clip, or None where the clip does not allow one."""
    return ASKERS[task](rng, clip)


def ask_any_clip(rng: random.Random, clip: MovingScene) -> Exchange:
    """A question of a task drawn by weight."""
    while True:
        exchange = ask_clip(rng, clip, rng.choices(tuple(CLIP_TASKS), tuple(CLIP_TASKS.values()))[0])
        if exchange:
            return exchange


def _moves(rng: random.Random, clip: MovingScene) -> Exchange:
    mover = clip.actors[0]
    is_only = sum(actor.kind == mover.kind for actor in clip.actors) == 1
    subject = rng.choice((mover.name, mover.name, mover.kind if is_only else mover.name, "object"))
    question = pick(
        rng, "Which way does the {} move?", "Which way does the {} go?", "Which direction does the {} move?",
        "In which direction is the {} moving?", "how does the {} move?", "Where does the {} move to?",
    ).format(subject)  # fmt: skip
    return Exchange("moves", question, _motion(clip), f"The {mover.name} moves {clip.direction}.")


def _what_moves(rng: random.Random, clip: MovingScene) -> Exchange:
    question = pick(
        rng, "What is moving?", "Which object moves?", "What moves in the clip?", "What moves?",
        "Which thing is moving?", "What is moving in the video?",
    )  # fmt: skip
    return Exchange("what_moves", question, _motion(clip), f"The {clip.actors[0].name} moves.")


def _appears(rng: random.Random, clip: MovingScene) -> Exchange:
    if clip.newcomers and rng.random() < 0.5:
        actor = rng.choice(clip.newcomers)
        question = pick(
            rng, "When does the {} appear?", "At what time does the {} appear?", "When does the {} come in?",
            "When do you first see the {}?", "At which second does the {} appear?", "when does the {} show up?",
        ).format(actor.name)  # fmt: skip
        event = Event("new", clip.first_patch(actor), actor)
        return Exchange("appears", question, _search(clip, NEW, actor), event.told(clip))
    question = pick(
        rng, "What appears?", "Does something appear?", "What appears in the clip?", "What is new?",
        "Which object appears?", "Does anything new appear, and when?",
    )  # fmt: skip
    return Exchange("appears", question, _events(clip, NEW), _told(clip, NEW) or "Nothing appears.")


def _vanishes(rng: random.Random, clip: MovingScene) -> Exchange:
    if clip.leavers and rng.random() < 0.5:
        actor = rng.choice(clip.leavers)
        question = pick(
            rng, "When does the {} disappear?", "At what time does the {} disappear?", "When does the {} go away?",
            "When do you last see the {}?", "At which second does the {} disappear?", "when does the {} vanish?",
        ).format(actor.name)  # fmt: skip
        event = Event("gone", clip.last_patch(actor) + 1, actor)
        return Exchange("vanishes", question, _search(clip, GONE, actor), event.told(clip))
    question = pick(
        rng, "What disappears?", "Does something disappear?", "What disappears in the clip?", "What goes away?",
        "Which object disappears?", "Does anything vanish, and when?",
    )  # fmt: skip
    return Exchange("vanishes", question, _events(clip, GONE), _told(clip, GONE) or "Nothing disappears.")


def _visible_from(rng: random.Random, clip: MovingScene) -> Exchange | None:
    partial = {*clip.newcomers, *clip.leavers}
    if not partial:
        return None
    actor = rng.choice(sorted(partial, key=lambda one: one.name))
    start, end = (clip.patch_times[patch] for patch in (clip.first_patch(actor), clip.last_patch(actor)))
    if rng.random() < 0.5:
        question = pick(
            rng, "When is the {} visible?" + JSON_SPAN, "Find when the {} is visible." + JSON_SPAN,
            "From when to when do you see the {}?" + JSON_SPAN, "During which time is the {} visible?" + JSON_SPAN,
            "Locate the time span that shows the {}." + JSON_SPAN, "When can the {} be seen?" + JSON_SPAN,
        ).format(actor.name)  # fmt: skip
        span = f'"start": "{clock(start)}", "end": "{clock(end)}"'
        answer = f'[{{{span}, "description": "{actor.name}"}}]'
    else:
        question = pick(
            rng, "When is the {} visible?", "From when to when is the {} visible?",
            "During which time is the {} visible?", "From when to when do you see the {}?",
            "When can the {} be seen?", "In which seconds is the {} visible?",
        ).format(actor.name)  # fmt: skip
        answer = f"The {actor.name} is visible from {start} to {end} seconds."
    reasoning = f"{_search(clip, BOTH, actor)}\nFirst: {start} s\nLast: {end} s"
    return Exchange("visible", question, reasoning, answer)


def _order(rng: random.Random, clip: MovingScene) -> Exchange | None:
    late = clip.newcomers
    if len({clip.first_patch(actor) for actor in late}) < max(2, len(late)):
        return None
    if rng.random() < 0.5:
        first, second = rng.sample(late, 2)
        question = pick(
            rng, "Which appears first, the {} or the {}?", "What comes first, the {} or the {}?",
            "Which object appears earlier, the {} or the {}?", "Does the {} or the {} appear first?",
            "Which comes in first: the {} or the {}?", "Of the {} and the {}, which appears first?",
        ).format(first.name, second.name)  # fmt: skip
        earlier = min(first, second, key=clip.first_patch)
        reasoning = _search(clip, NEW, first, second)
        return Exchange("order", question, reasoning, f"The {earlier.name} appears first.")
    question = pick(
        rng, "In which order do the objects appear?", "In what order do things appear?", "What appears first?",
        "Give the order in which the objects appear.", "What is the order of appearance?", "What appears, in order?",
    )  # fmt: skip
    if question == "What appears first?":
        return Exchange("order", question, _events(clip, NEW), f"The {late[0].name} appears first.")
    names = [f"the {actor.name}" for actor in late]
    return Exchange("order", question, _events(clip, NEW), f"First {', then '.join(names)}.")


def _box_at(rng: random.Random, clip: MovingScene) -> Exchange:
    patch, actor = rng.randrange(clip.num_patches), rng.choice((clip.actors[0], rng.choice(clip.actors)))
    time = clip.patch_times[patch]
    written = f"{time} seconds" if rng.random() < 0.6 else clock(time)
    question = pick(
        rng, "Where is the {0} at {1}?" + JSON_BOX, "Locate the {0} at {1}." + JSON_BOX,
        "Find the {0} at {1}." + JSON_BOX,
        "At {1}, where is the {0}?" + JSON_BOX, "Give the box of the {0} at {1} as JSON.", "Detect the {0} at {1}.",
    ).format(actor.name, written)  # fmt: skip
    steps = [f"Find: {actor.name} at {time} s", *(_moment(clip, i, f", {time} s") for i in range(patch + 1))]
    seen = [one for one in clip.actors if one.at(patch)]
    thing = actor.at(patch)
    for n, one in enumerate(seen, start=1):
        verdict = f"yes{box_text(thing)}" if one is actor and thing else "no"
        steps.append(f"{n}. {one.name}, {actor.name}: {verdict}")
    if thing is None:
        return Exchange("box_at", question, "\n".join(steps), "[]")
    box = ", ".join(map(str, thing.box_coords))
    label = f'"bbox_2d": [{box}], "label": "{actor.name}"'
    return Exchange("box_at", question, "\n".join(steps), f'[{{"time": {time}, {label}}}]')


def _happens(rng: random.Random, clip: MovingScene) -> Exchange:
    question = pick(
        rng, "What happens?", "What happens in the clip?", "Describe the clip.", "Describe the video.",
        "What happens in the video?", "Tell me what happens.",
    )  # fmt: skip
    parts = (f"The {clip.actors[0].name} moves {clip.direction}.", _told(clip, BOTH))
    return Exchange("happens", question, f"{_motion(clip)}\n{_events(clip, BOTH)}", " ".join(filter(None, parts)))


ASKERS: dict[Task, Callable[[random.Random, MovingScene], Exchange | None]] = {
    "moves": _moves, "what_moves": _what_moves, "appears": _appears, "vanishes": _vanishes, "visible": _visible_from,
    "order": _order, "box_at": _box_at, "happens": _happens,
}  # fmt: skip


def clock(time: str) -> str:
    """Seconds with one decimal as mm:ss.ff."""
    minutes, seconds = divmod(float(time), 60)
    return f"{int(minutes):02d}:{seconds:05.2f}"


def _motion(clip: MovingScene) -> str:
    """Where the mover is first and last."""
    mover, times = clip.actors[0], clip.patch_times
    lines = []
    for patch in (0, len(times) - 1):
        thing = mover.at(patch)
        if thing:
            lines.append("{} s: {} ({},{})".format(times[patch], mover.name, *thing.centre_coords))
    return "\n".join([*lines, f"It moves {clip.direction}."])


def _moment(clip: MovingScene, patch: int, mark: str = "") -> str:
    """What is there at one time, what is new and what is gone, each with the time; `mark` stands behind the first."""
    time = clip.patch_times[patch]
    told = []
    for actor in clip.actors:
        if change := _change(actor, patch):
            told.append(f"{actor.name} {change} {time} s")
        elif actor.at(patch):
            told.append(actor.name)
    return f"{time} s{mark}: {', '.join(told)}"


def _film(clip: MovingScene) -> str:
    """What is there, time by time."""
    return "\n".join(_moment(clip, patch) for patch in range(clip.num_patches))


def _happenings(clip: MovingScene, sorts: Sorts) -> list[Event]:
    """What comes and goes, in the order of the time-by-time list."""
    moments = ((actor, patch) for patch in range(clip.num_patches) for actor in clip.actors)
    changes = ((_change(actor, patch), patch, actor) for actor, patch in moments)
    return [Event(sort, patch, actor) for sort, patch, actor in changes if sort in sorts]


def _change(actor: Actor, patch: int) -> Sort | None:
    """Whether the actor comes or goes with that pair of frames; it does neither with the first."""
    is_there = actor.at(patch) is not None
    if patch == 0 or is_there == (actor.at(patch - 1) is not None):
        return None
    return "new" if is_there else "gone"


def _events(clip: MovingScene, sorts: Sorts) -> str:
    """What is there, time by time; then what comes or goes, one a line."""
    events = _happenings(clip, sorts)
    lines = [f"{n}. {event.noted(clip)}" for n, event in enumerate(events, start=1)]
    return "\n".join([_film(clip), *lines, f"Total: {len(events)}"])


def _search(clip: MovingScene, sorts: Sorts, *targets: Actor) -> str:
    """The same, with a verdict on each: whether it is about a target."""
    names = ", ".join(target.name for target in targets)
    lines = []
    for n, event in enumerate(_happenings(clip, sorts), start=1):
        verdicts = [f"{target.name}: {'yes' if event.actor is target else 'no'}" for target in targets]
        lines.append(f"{n}. {event.noted(clip)}, {', '.join(verdicts)}")
    return "\n".join([_film(clip), f"Find: {names}", *lines])


def _told(clip: MovingScene, sorts: Sorts) -> str:
    return " ".join(event.told(clip) for event in _happenings(clip, sorts))
