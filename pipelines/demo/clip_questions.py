"""Questions about what happens in a clip, with the reasoning and the answer to each.

All questions about times are answered from one form of reasoning: what is there, time by time, in the times that the
prompt gives and always in the same order, each thing that is new or gone marked with its time where that is seen; then
these events, one a line, and whether each is about what was asked for.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from pipelines.demo.clip_reasoning import (
    BOTH,
    EVER,
    GONE,
    NEW,
    Event,
    clock,
    events,
    film,
    happenings,
    moment,
    motion,
    movement,
    search,
    told,
)
from pipelines.demo.clips import Actor, MovingScene
from pipelines.demo.exchange import Exchange, Task, loosely, pick
from pipelines.demo.phrases import box_text
from pipelines.demo.questions import ask
from pipelines.demo.reading_questions import READ
from pipelines.demo.things import COLOURS, SHAPES

CLIP_TASKS: dict[Task, float] = {
    "moves": 1, "what_moves": 0.6, "appears": 2.4, "vanishes": 2.8, "visible": 3, "order": 4, "box_at": 2.4,
    "happens": 2.6, "in_clip": 3,
}  # fmt: skip
STILL: dict[Task, float] = {
    "count": 1, "count_shape": 0.6, "count_colour": 0.8, "colour": 1.4, "shape": 0.8, "exists": 1.4, "list": 1.6,
    "is_colour": 0.6, "colours": 0.8, "text": 0.8, "aside": 1.6,
}  # fmt: skip
"""What is asked of clips as of pictures."""
JSON_BOX = " Report bbox coordinates in JSON format."
JSON_SPAN = " Report start and end as mm:ss.ff in JSON format."
VISIBLE_JSON = tuple(
    wording + JSON_SPAN
    for wording in (
        "When is the {} visible?", "When is the {} visible?", "Find when the {} is visible.",
        "From when to when do you see the {}?", "During which time is the {} visible?",
        "Locate the time span that shows the {}.", "When can the {} be seen?",
    )
)  # fmt: skip
VISIBLE = (
    "When is the {} visible?", "From when to when is the {} visible?", "During which time is the {} visible?",
    "From when to when do you see the {}?", "When can the {} be seen?", "In which seconds is the {} visible?",
)  # fmt: skip
EVENTS = (
    "Find every event of the clip and describe each in a sentence. "
    "Report start and end as mm:ss.ff with the description in JSON format."
)
"""As the program itself asks."""


def ask_clip(rng: random.Random, clip: MovingScene, task: Task) -> Exchange | None:
    """A question of that task (one of CLIP_TASKS) about the clip, or None where the clip does not allow one."""
    return ASKERS[task](rng, clip)


def ask_any_clip(rng: random.Random, clip: MovingScene) -> Exchange:
    """A question of a task drawn by weight."""
    while True:
        exchange = ask_clip(rng, clip, rng.choices(tuple(CLIP_TASKS), tuple(CLIP_TASKS.values()))[0])
        if exchange:
            return loosely(rng, exchange)


def _called(rng: random.Random, clip: MovingScene, actor: Actor) -> str:
    """The actor as a question calls it: where that is enough, now and then by its kind alone."""
    is_only = actor.kind in SHAPES and sum(one.kind == actor.kind for one in clip.actors) == 1
    return actor.kind if is_only and rng.random() < 0.35 else actor.name


def _moves(rng: random.Random, clip: MovingScene) -> Exchange:
    mover = clip.actors[0]
    is_only = sum(actor.kind == mover.kind for actor in clip.actors) == 1
    subject = rng.choice((mover.name, mover.name, mover.kind if is_only else mover.name, "object"))
    question = pick(
        rng, "Which way does the {} move?", "Which way does the {} go?", "Which direction does the {} move?",
        "In which direction is the {} moving?", "how does the {} move?", "Where does the {} move to?",
        "Where is the {} going?", "Where does the {} go?", "Where is the {} moving?",
    ).format(subject)  # fmt: skip
    return Exchange("moves", question, motion(clip), movement(clip))


def _what_moves(rng: random.Random, clip: MovingScene) -> Exchange:
    question = pick(
        rng, "What is moving?", "Which object moves?", "What moves in the clip?", "What moves?",
        "Which thing is moving?", "What is moving in the video?", "What's moving?", "Is anything moving?",
    )  # fmt: skip
    return Exchange("what_moves", question, motion(clip), f"The {clip.actors[0].name} moves.")


def _appears(rng: random.Random, clip: MovingScene) -> Exchange:
    if clip.newcomers and rng.random() < 0.5:
        actor = rng.choice(clip.newcomers)
        name = _called(rng, clip, actor)
        question = pick(
            rng, "When does the {} appear?", "At what time does the {} appear?", "When does the {} come in?",
            "When do you first see the {}?", "At which second does the {} appear?", "when does the {} show up?",
        ).format(name)  # fmt: skip
        event = Event("new", clip.first_patch(actor), actor)
        return Exchange("appears", question, search(clip, NEW, {name: actor}), event.told(clip, name))
    question = pick(
        rng, "What appears?", "Does something appear?", "What appears in the clip?", "What is new?",
        "Which object appears?", "Does anything new appear, and when?",
    )  # fmt: skip
    return Exchange("appears", question, events(clip, NEW), told(clip, NEW) or "Nothing appears.")


def _vanishes(rng: random.Random, clip: MovingScene) -> Exchange:
    if clip.leavers and rng.random() < 0.5:
        actor = rng.choice(clip.leavers)
        name = _called(rng, clip, actor)
        question = pick(
            rng, "When does the {} disappear?", "At what time does the {} disappear?", "When does the {} go away?",
            "When do you last see the {}?", "At which second does the {} disappear?", "when does the {} vanish?",
        ).format(name)  # fmt: skip
        event = Event("gone", clip.last_patch(actor) + 1, actor)
        return Exchange("vanishes", question, search(clip, GONE, {name: actor}), event.told(clip, name))
    question = pick(
        rng, "What disappears?", "Does something disappear?", "What disappears in the clip?", "What goes away?",
        "Which object disappears?", "Does anything vanish, and when?",
    )  # fmt: skip
    return Exchange("vanishes", question, events(clip, GONE), told(clip, GONE) or "Nothing disappears.")


def _visible_from(rng: random.Random, clip: MovingScene) -> Exchange:
    """Mostly of what comes late or leaves early; seldom of what is always there, or never."""
    partial = sorted({*clip.newcomers, *clip.leavers}, key=lambda one: one.name)
    actor = rng.choice(partial) if partial and rng.random() < 0.8 else rng.choice(clip.actors)
    other = f"{rng.choice(tuple(COLOURS))} {rng.choice(SHAPES)}"
    is_gone = rng.random() < 0.12 and all(one.name != other for one in clip.actors)
    name = other if is_gone else _called(rng, clip, actor)
    is_json = rng.random() < 0.5
    question = pick(rng, *(VISIBLE_JSON if is_json else VISIBLE)).format(name)
    search_steps = search(clip, EVER, {name: None if is_gone else actor})
    if is_gone or not any(actor.boxes):
        return Exchange("visible", question, f"{search_steps}\nNot found.", "[]" if is_json else f"There is no {name}.")
    start, end = (clip.patch_times[patch] for patch in (clip.first_patch(actor), clip.last_patch(actor)))
    reasoning = f"{search_steps}\nFirst: {start} s\nLast: {end} s"
    told = f"The {name} is visible from {start} to {end} seconds."
    return Exchange("visible", question, reasoning, _span_json([(start, end, name)]) if is_json else told)


def _span_json(spans: Sequence[tuple[str, str, str]]) -> str:
    """The JSON answer for spans: first and last second, and what is told of them."""
    items = [
        f'{{"start": "{clock(start)}", "end": "{clock(end)}", "description": "{description}"}}'
        for start, end, description in spans
    ]
    return f"[{', '.join(items)}]"


def _order(rng: random.Random, clip: MovingScene) -> Exchange | None:
    late = clip.newcomers
    if len({clip.first_patch(actor) for actor in late}) < max(2, len(late)):
        return None
    if rng.random() < 0.5:
        first, second = rng.sample(late, 2)
        names = {_called(rng, clip, actor): actor for actor in (first, second)}
        question = pick(
            rng, "Which appears first, the {} or the {}?", "What comes first, the {} or the {}?",
            "Which object appears earlier, the {} or the {}?", "Does the {} or the {} appear first?",
            "Which comes in first: the {} or the {}?", "Of the {} and the {}, which appears first?",
        ).format(*names)  # fmt: skip
        earlier = min(names, key=lambda name: clip.first_patch(names[name]))
        return Exchange("order", question, search(clip, NEW, names), f"The {earlier} appears first.")
    question = pick(
        rng, "In which order do the objects appear?", "In what order do things appear?", "What appears first?",
        "Give the order in which the objects appear.", "What is the order of appearance?", "What appears, in order?",
    )  # fmt: skip
    if question == "What appears first?":
        return Exchange("order", question, events(clip, NEW), f"The {late[0].name} appears first.")
    in_order = ", then ".join(f"the {actor.name}" for actor in late)
    return Exchange("order", question, events(clip, NEW), f"First {in_order}.")


def _box_at(rng: random.Random, clip: MovingScene) -> Exchange:
    patch, actor = rng.randrange(clip.num_patches), rng.choice((clip.actors[0], rng.choice(clip.actors)))
    name = _called(rng, clip, actor)
    time = clip.patch_times[patch]
    written = f"{time} seconds" if rng.random() < 0.6 else clock(time)
    question = pick(
        rng, "Where is the {0} at {1}?" + JSON_BOX, "Locate the {0} at {1}." + JSON_BOX,
        "Find the {0} at {1}." + JSON_BOX,
        "At {1}, where is the {0}?" + JSON_BOX, "Give the box of the {0} at {1} as JSON.", "Detect the {0} at {1}.",
    ).format(name, written)  # fmt: skip
    steps = [f"Find: {name} at {time} s", *(moment(clip, i, f", {time} s") for i in range(patch + 1))]
    seen = [one for one in clip.actors if one.at(patch)]
    thing = actor.at(patch)
    for n, one in enumerate(seen, start=1):
        verdict = f"yes{box_text(thing)}" if one is actor and thing else "no"
        steps.append(f"{n}. {one.name}, {name}: {verdict}")
    if thing is None:
        return Exchange("box_at", question, "\n".join(steps), "[]")
    box = ", ".join(map(str, thing.box_coords))
    label = f'"bbox_2d": [{box}], "label": "{name}"'
    return Exchange("box_at", question, "\n".join(steps), f'[{{"time": {time}, {label}}}]')


def _happens(rng: random.Random, clip: MovingScene) -> Exchange:
    question = pick(
        rng, "What happens?", "What happens in the clip?", "Describe the clip.", "Describe the video.",
        "What happens in the video?", "Tell me what happens.", "What is happening?", "What's happening?",
        "What is going on?", "Describe this clip.", "Describe this video.", "What do you see?", "What is this?",
        "What does the video show?", "What is in the video?", "Describe what happens.", "What happens here?",
        "Describe.", "What can you see?", "Tell me about this clip.", "Summarise the video.", "What's this?",
    )  # fmt: skip
    mover = movement(clip)
    reasoning = f"{motion(clip)}\n{events(clip, BOTH)}"
    if rng.random() < 0.25:
        spans = [(clip.patch_times[0], clip.patch_times[-1], mover)]
        for event in happenings(clip, BOTH):
            time = clip.patch_times[event.patch]
            spans.append((time, time, f"The {event.actor.name} {event.verb}."))
        return Exchange(
            "happens", pick(rng, EVENTS, EVENTS, "List all events." + JSON_SPAN), reasoning, _span_json(spans)
        )
    return Exchange("happens", question, reasoning, " ".join(filter(None, (mover, told(clip, BOTH)))))


def _in_clip(rng: random.Random, clip: MovingScene) -> Exchange | None:
    """What is asked of a picture too: of all that is seen at some time; or something that has no answer."""
    things = tuple(actor.at(clip.first_patch(actor)) for actor in clip.actors if any(actor.boxes))
    exchange = ask(rng, tuple(thing for thing in things if thing), rng.choices(tuple(STILL), tuple(STILL.values()))[0])
    if exchange is None:
        return None
    question = pick(rng, READ, exchange.question) if exchange.task == "text" else exchange.question
    told = without_places(exchange).reasoning
    reasoning = told if exchange.task == "aside" else f"{film(clip)}\n{told}"
    return Exchange("in_clip", of_clip(question), reasoning, exchange.answer)


def of_clip(question: str) -> str:
    """A question about a picture, worded for a clip."""
    return question.replace("picture", "clip").replace("image", "video")


def without_places(exchange: Exchange) -> Exchange:
    """The same without the places behind the names: in a clip they change."""
    return replace(exchange, reasoning=re.sub(r" \([\d,]+\)", "", exchange.reasoning))


ASKERS: dict[Task, Callable[[random.Random, MovingScene], Exchange | None]] = {
    "moves": _moves, "what_moves": _what_moves, "appears": _appears, "vanishes": _vanishes, "visible": _visible_from,
    "order": _order, "box_at": _box_at, "happens": _happens, "in_clip": _in_clip,
}  # fmt: skip
