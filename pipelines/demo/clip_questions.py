"""Questions about what happens in a clip, with the reasoning and the answer to each.

The reasoning goes through the clip time by time, in the times that the prompt gives; a thing that is new or gone is
marked where it is seen to be so.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pipelines.demo.clips import Actor, MovingScene
from pipelines.demo.exchange import Exchange, Task, pick
from pipelines.demo.phrases import box_text

CLIP_TASKS: dict[Task, float] = {
    "moves": 1.6, "what_moves": 0.8, "appears": 2.4, "vanishes": 2, "visible": 2.4, "order": 2.4, "box_at": 2,
    "happens": 1.2,
}  # fmt: skip
JSON_BOX = " Report bbox coordinates in JSON format."
JSON_SPAN = " Report start and end as mm:ss.ff in JSON format."


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
        return Exchange("appears", question, _presence(clip, actor), _arrival(clip, actor))
    question = pick(
        rng, "What appears?", "Does something appear?", "What appears in the clip?", "What is new?",
        "Which object appears?", "Does anything new appear, and when?",
    )  # fmt: skip
    return Exchange("appears", question, _visible(clip), _arrivals(clip) or "Nothing appears.")


def _vanishes(rng: random.Random, clip: MovingScene) -> Exchange:
    if clip.leavers and rng.random() < 0.5:
        actor = rng.choice(clip.leavers)
        question = pick(
            rng, "When does the {} disappear?", "At what time does the {} disappear?", "When does the {} go away?",
            "When do you last see the {}?", "At which second does the {} disappear?", "when does the {} vanish?",
        ).format(actor.name)  # fmt: skip
        return Exchange("vanishes", question, _presence(clip, actor), _departure(clip, actor))
    question = pick(
        rng, "What disappears?", "Does something disappear?", "What disappears in the clip?", "What goes away?",
        "Which object disappears?", "Does anything vanish, and when?",
    )  # fmt: skip
    return Exchange("vanishes", question, _visible(clip), _departures(clip) or "Nothing disappears.")


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
    return Exchange("visible", question, _presence(clip, actor), answer)


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
        return Exchange("order", question, _visible(clip), f"The {earlier.name} appears first.")
    question = pick(
        rng, "In which order do the objects appear?", "In what order do things appear?", "What appears first?",
        "Give the order in which the objects appear.", "What is the order of appearance?", "What appears, in order?",
    )  # fmt: skip
    if question == "What appears first?":
        return Exchange("order", question, _visible(clip), f"The {late[0].name} appears first.")
    names = [f"the {actor.name}" for actor in late]
    return Exchange("order", question, _visible(clip), f"First {', then '.join(names)}.")


def _box_at(rng: random.Random, clip: MovingScene) -> Exchange:
    patch, actor = rng.randrange(clip.num_patches), rng.choice((clip.actors[0], rng.choice(clip.actors)))
    time = clip.patch_times[patch]
    written = f"{time} seconds" if rng.random() < 0.6 else clock(time)
    question = pick(
        rng, "Where is the {0} at {1}?" + JSON_BOX, "Locate the {0} at {1}." + JSON_BOX,
        "Find the {0} at {1}." + JSON_BOX,
        "At {1}, where is the {0}?" + JSON_BOX, "Give the box of the {0} at {1} as JSON.", "Detect the {0} at {1}.",
    ).format(actor.name, written)  # fmt: skip
    thing = actor.at(patch)
    reasoning = f"Find: {actor.name}\n{time} s: {actor.name}"
    if thing is None:
        return Exchange("box_at", question, f"{reasoning}, no", "[]")
    box = ", ".join(map(str, thing.box_coords))
    label = f'"bbox_2d": [{box}], "label": "{actor.name}"'
    return Exchange("box_at", question, f"{reasoning}, yes{box_text(thing)}", f'[{{"time": {time}, {label}}}]')


def _happens(rng: random.Random, clip: MovingScene) -> Exchange:
    question = pick(
        rng, "What happens?", "What happens in the clip?", "Describe the clip.", "Describe the video.",
        "What happens in the video?", "Tell me what happens.",
    )  # fmt: skip
    parts = (f"The {clip.actors[0].name} moves {clip.direction}.", _arrivals(clip), _departures(clip))
    return Exchange("happens", question, f"{_motion(clip)}\n{_visible(clip)}", " ".join(filter(None, parts)))


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


def _presence(clip: MovingScene, actor: Actor) -> str:
    """Whether the actor is there, time by time; then the first and the last time, and the first without it again."""
    lines = [f"{time} s, {actor.name}: {_presence_at(actor, i)}" for i, time in enumerate(clip.patch_times)]
    first, last = clip.first_patch(actor), clip.last_patch(actor)
    gone = f"\nGone: {clip.patch_times[last + 1]} s" if last + 1 < clip.num_patches else ""
    span = f"First: {clip.patch_times[first]} s\nLast: {clip.patch_times[last]} s{gone}"
    return "\n".join([f"Find: {actor.name}", *lines, span])


def _presence_at(actor: Actor, patch: int) -> str:
    was_there = patch > 0 and actor.at(patch - 1) is not None
    if actor.at(patch):
        return "yes" if was_there or patch == 0 else "new"
    return "gone" if was_there else "no"


def _visible(clip: MovingScene) -> str:
    """What is there, time by time, with what is new and what is gone."""
    lines = []
    for patch, time in enumerate(clip.patch_times):
        marks = [mark for actor in clip.actors if (mark := _mark(actor, patch))]
        lines.append(f"{time} s: {', '.join(marks)}")
    return "\n".join(lines)


def _mark(actor: Actor, patch: int) -> str:
    was_there = patch > 0 and actor.at(patch - 1) is not None
    if actor.at(patch):
        return actor.name if was_there or patch == 0 else f"{actor.name} new"
    return f"{actor.name} gone" if was_there else ""


def _arrival(clip: MovingScene, actor: Actor) -> str:
    return f"The {actor.name} appears at {clip.patch_times[clip.first_patch(actor)]} seconds."


def _departure(clip: MovingScene, actor: Actor) -> str:
    return f"The {actor.name} disappears at {clip.patch_times[clip.last_patch(actor) + 1]} seconds."


def _arrivals(clip: MovingScene) -> str:
    return " ".join(_arrival(clip, actor) for actor in clip.newcomers)


def _departures(clip: MovingScene) -> str:
    return " ".join(_departure(clip, actor) for actor in clip.leavers)
