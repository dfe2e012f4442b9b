"""Questions about what happens in a clip, with the reasoning and the answer to each."""

from __future__ import annotations

import random
from collections.abc import Callable

from pipelines.demo.clips import Actor, MovingScene
from pipelines.demo.exchange import Exchange, Task

CLIP_TASKS: dict[Task, float] = {"moves": 3, "what_moves": 1, "appears": 4, "happens": 1.6}


def ask_clip(rng: random.Random, clip: MovingScene, task: Task) -> Exchange:
    """A question of that task (one of CLIP_TASKS) about the clip."""
    return ASKERS[task](rng, clip)


def ask_any_clip(rng: random.Random, clip: MovingScene) -> Exchange:
    """A question of a task drawn by weight."""
    return ask_clip(rng, clip, rng.choices(tuple(CLIP_TASKS), tuple(CLIP_TASKS.values()))[0])


def _moves(rng: random.Random, clip: MovingScene) -> Exchange:
    mover = clip.actors[0]
    is_only = sum(actor.kind == mover.kind for actor in clip.actors) == 1
    subject = rng.choice((mover.name, mover.name, mover.kind if is_only else mover.name, "object"))
    question = rng.choice(
        (
            f"Which way does the {subject} move?",
            f"Which way does the {subject} go?",
            f"Which direction does the {subject} move?",
            f"In which direction is the {subject} moving?",
            f"how does the {subject} move?",
        )
    )
    return Exchange("moves", question, _motion(clip), f"The {mover.name} moves {clip.direction}.")


def _what_moves(rng: random.Random, clip: MovingScene) -> Exchange:
    question = rng.choice(("What is moving?", "Which object moves?", "What moves in the clip?", "What moves?"))
    return Exchange("what_moves", question, _motion(clip), f"The {clip.actors[0].name} moves.")


def _appears(rng: random.Random, clip: MovingScene) -> Exchange:
    new = clip.newcomer
    if new and rng.random() < 0.55:
        wordings = ("When does the {} appear?", "At what time does the {} appear?", "When does the {} come in?")
        question = rng.choice(wordings).format(
            rng.choice((new.name, new.name, new.kind)) if _is_only(clip, new) else new.name
        )
        return Exchange("appears", question, _presence(clip, new), _arrival(clip))
    question = rng.choice(("What appears?", "Does something appear?", "What appears in the clip?", "What is new?"))
    return Exchange("appears", question, _visible(clip), _arrival(clip))


def _happens(rng: random.Random, clip: MovingScene) -> Exchange:
    question = rng.choice(("What happens?", "What happens in the clip?", "Describe the clip.", "Describe the video."))
    answer = f"The {clip.actors[0].name} moves {clip.direction}."
    if clip.newcomer:
        answer += " " + _arrival(clip)
    return Exchange("happens", question, f"{_motion(clip)}\n{_visible(clip)}", answer)


ASKERS: dict[Task, Callable[[random.Random, MovingScene], Exchange]] = {
    "moves": _moves,
    "what_moves": _what_moves,
    "appears": _appears,
    "happens": _happens,
}


def _is_only(clip: MovingScene, actor: Actor) -> bool:
    return sum(other.kind == actor.kind for other in clip.actors) == 1


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
    """Whether the actor is there, time by time."""
    lines = [f"{time} s, {actor.name}: {'yes' if actor.at(i) else 'no'}" for i, time in enumerate(clip.patch_times)]
    return "\n".join([f"Find: {actor.name}", *lines, f"Found: {clip.patch_times[clip.appears_in]} s"])


def _visible(clip: MovingScene) -> str:
    """What is there, time by time, and what is new."""
    lines = [
        f"{time} s: " + ", ".join(actor.name for actor in clip.actors if actor.at(i))
        for i, time in enumerate(clip.patch_times)
    ]
    new = f"New: {clip.newcomer.name}, {clip.patch_times[clip.appears_in]} s" if clip.newcomer else "Nothing new."
    return "\n".join([*lines, new])


def _arrival(clip: MovingScene) -> str:
    if clip.newcomer is None:
        return "Nothing appears."
    return f"The {clip.newcomer.name} appears at {clip.patch_times[clip.appears_in]} seconds."
