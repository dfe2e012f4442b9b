"""Questions about a part of a clip, worded as the page words what is marked with the mouse: a region at a time, a span.

The page says which part it is before the question; what the part shows goes along as pictures.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from pipelines.demo.clip_questions import STILL, of_clip, without_places
from pipelines.demo.clip_reasoning import BOTH, GONE, NEW, Sorts, happenings, moment, motion, movement
from pipelines.demo.clips import MovingScene
from pipelines.demo.exchange import Exchange, pick
from pipelines.demo.phrases import Things
from pipelines.demo.questions import ask
from pipelines.demo.regions import about_region, is_inside, pick_region
from pipelines.demo.things import Coords, Thing

NUM_SHOWN = 4
"""Frames that show a span."""
WHOLE = (0, 0, 1000, 1000)
STILL_IN_SPAN = {task: weight for task, weight in STILL.items() if task != "aside"}


@dataclass(frozen=True)
class Span:
    """A part of a clip's time, in seconds as the question writes them."""

    start: str
    end: str

    def holds(self, time: str) -> bool:
        """Whether that time lies within."""
        return float(self.start) < float(time) < float(self.end)

    def compared(self, time: str) -> str:
        """That time between start and end, side by side, and what follows: `0.8 < 4.7 > 4.1: out`."""
        after, before = ("<" if float(a) < float(b) else ">" for a, b in ((self.start, time), (time, self.end)))
        return f"{self.start} {after} {time} {before} {self.end}: {'in' if self.holds(time) else 'out'}"


@dataclass(frozen=True)
class Part:
    """A part of a clip: the frames that go along, the region of them that is shown, and the exchange."""

    frames: tuple[int, ...]
    region: Coords
    exchange: Exchange


def about_moment(rng: random.Random, clip: MovingScene) -> Part:
    """A question about a region of a frame, one in which that frame shows what its pair of frames does."""
    while True:
        frame = rng.randrange(len(clip.times_s))
        patch = frame // 2
        things = tuple(thing for actor in clip.actors if (thing := actor.at(patch)))
        region = pick_region(rng, things)
        shown = tuple(thing for actor in clip.actors if (thing := actor.in_frame(frame)))
        if _names_in(region, things) == _names_in(region, shown):
            break
    time = clip.patch_times[patch]
    asked = about_region(rng, things, region)
    question = f"At {clip.times_s[frame]:.1f} seconds, {asked.question[0].lower()}{asked.question[1:]}"
    steps = [f"At {time} s", *(moment(clip, i, f", {time} s") for i in range(patch + 1))]
    return Part((frame,), region, Exchange("moment", question, "\n".join([*steps, asked.reasoning]), asked.answer))


def _names_in(region: Coords, things: Things) -> list[str]:
    return [thing.name for thing in things if is_inside(thing, region)]


def about_span(rng: random.Random, clip: MovingScene) -> Part:
    """A question about what is seen or happens from one time to another."""
    times = [float(time) for time in clip.patch_times]
    first = rng.randrange(len(times))
    last = rng.randrange(first, len(times))
    step_s = times[1] - times[0]
    start_s = max(0.0, times[first] - rng.uniform(0.3, 0.7) * step_s) if first or rng.random() < 0.5 else 0.0
    end_s = times[last] + rng.uniform(0.3, 0.7) * step_s
    span = Span(f"{start_s:.1f}", f"{end_s:.1f}")
    moments_s = [start_s + (end_s - start_s) * (i + 0.5) / NUM_SHOWN for i in range(NUM_SHOWN)]
    shown = ", ".join(f"{moment_s:.1f}" for moment_s in moments_s)
    frames = tuple(max(i for i, time_s in enumerate(clip.times_s) if time_s <= moment_s) for moment_s in moments_s)
    lines = [moment(clip, i, f", {span.compared(time)}") for i, time in enumerate(clip.patch_times)]
    asked = _in_span(rng, clip, span)
    question = f"Between {span.start} and {span.end} seconds (see the frames at {shown} seconds): {asked.question}"
    return Part(frames, WHOLE, Exchange("span", question, "\n".join([*lines, asked.reasoning]), asked.answer))


def _in_span(rng: random.Random, clip: MovingScene, span: Span) -> Exchange:
    """A question about a span; the reasoning goes on behind a verdict on each pair of frames."""
    chance = rng.random()
    if chance < 0.35:
        question = pick(
            rng, "What happens?", "What happens?", "What is happening?", "What happens here?", "Describe it.",
            "What is going on?", "Tell me what happens.", "Describe what happens.", "What do you see?", "Describe.",
        )  # fmt: skip
        steps, told = _events(clip, BOTH, span)
        return Exchange("span", question, f"{steps}\n{motion(clip)}", " ".join([movement(clip), *told]))
    if chance < 0.55:
        question = pick(rng, "What appears?", "Does something appear?", "What is new?", "Which object appears?")
        steps, told = _events(clip, NEW, span)
        return Exchange("span", question, steps, " ".join(told) or "Nothing appears.")
    if chance < 0.7:
        question = pick(rng, "What disappears?", "Does something disappear?", "What goes away?")
        steps, told = _events(clip, GONE, span)
        return Exchange("span", question, steps, " ".join(told) or "Nothing disappears.")
    within = [patch for patch, time in enumerate(clip.patch_times) if span.holds(time)]
    things = [next((thing for patch in within if (thing := actor.at(patch))), None) for actor in clip.actors]
    return _of_still(rng, tuple(thing for thing in things if thing))


def _of_still(rng: random.Random, things: tuple[Thing, ...]) -> Exchange:
    exchange = None
    while exchange is None:
        exchange = ask(rng, things, rng.choices(tuple(STILL_IN_SPAN), tuple(STILL_IN_SPAN.values()))[0])
    return replace(without_places(exchange), task="span", question=of_clip(exchange.question))


def _events(clip: MovingScene, sorts: Sorts, span: Span) -> tuple[str, list[str]]:
    """A verdict on each event, and those of the span in sentences."""
    lines, told = [], []
    for n, event in enumerate(happenings(clip, sorts), start=1):
        time = clip.patch_times[event.patch]
        lines.append(f"{n}. {event.noted(clip)}, {span.compared(time)}")
        told += [event.told(clip)] if span.holds(time) else []
    return "\n".join([*lines, f"Total: {len(told)}"]), told
