"""Questions about what is marked, a region, a region at a time or a span, are judged by what it shows."""

from __future__ import annotations

import random
import re

from pipelines.demo.clip_parts import about_moment, about_span
from pipelines.demo.clip_reasoning import BOTH, happenings
from pipelines.demo.clips import draw_clip
from pipelines.demo.questions import ask
from pipelines.demo.scoring import all_named
from pipelines.demo.things import Thing

TIMES = tuple(i * 0.5 for i in range(8))
THINGS = (
    Thing("circle", "red", (0.1, 0.1, 0.3, 0.3)),
    Thing("square", "blue", (0.5, 0.1, 0.7, 0.3)),
    Thing("circle", "red", (0.1, 0.6, 0.3, 0.8)),
    Thing("triangle", "yellow", (0.5, 0.6, 0.7, 0.8)),
)


def test_a_region_is_judged_by_the_centres_within_it() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        exchange = ask(rng, THINGS, "region")
        assert exchange
        inside = [thing for thing in THINGS if holds(exchange.question, thing)]
        assert f"\nTotal: {len(inside)}" in exchange.reasoning
        if exchange.answer.startswith("It is "):
            (only,) = inside
            assert exchange.answer.rstrip(".").split()[-1] in only.name.split()
        elif exchange.answer.startswith("There is a ") or exchange.answer == "There is nothing.":
            assert all_named(exchange.answer, " ".join(thing.name for thing in inside))


def holds(question: str, thing: Thing) -> bool:
    """Whether the centre of a thing lies in the region that a question gives."""
    x1, y1, x2, y2 = map(int, re.findall(r"\[(\d+), (\d+), (\d+), (\d+)\]", question)[0])
    x, y = thing.centre_coords
    return x1 < x < x2 and y1 < y < y2


def test_a_region_at_a_time_is_judged_by_what_is_there_then() -> None:
    """A thing that the other frame of the pair shows alone was once asked for, and told as there."""
    for seed in range(150):
        rng = random.Random(seed)
        clip = draw_clip(rng, (64, 64), TIMES[: rng.choice((4, 6, 8))])
        part = about_moment(rng, clip)
        (frame,) = part.frames
        assert part.exchange.question.startswith(f"At {TIMES[frame]:.1f} seconds, in this region {list(part.region)}: ")
        there = [thing for actor in clip.actors if (thing := actor.in_frame(frame))]
        inside = [thing for thing in there if holds(part.exchange.question, thing)]
        assert f"\nTotal: {len(inside)}" in part.exchange.reasoning


def test_a_span_is_judged_by_what_happens_within_it() -> None:
    told = 0
    for seed in range(100):
        rng = random.Random(seed)
        clip = draw_clip(rng, (64, 64), TIMES)
        part = about_span(rng, clip)
        start_s, end_s, *shown = map(float, re.findall(r"\d+\.\d", part.exchange.question))
        assert all(start_s <= time_s <= end_s for time_s in shown)
        assert [TIMES[frame] <= time_s + 0.05 for frame, time_s in zip(part.frames, shown, strict=True)] == [True] * 4
        events = [event for event in happenings(clip, BOTH) if start_s < float(clip.patch_times[event.patch]) < end_s]
        if " moves " in part.exchange.answer:
            told += len(events)
            mover = f"The {clip.actors[0].name} moves {clip.direction}."
            assert part.exchange.answer == " ".join([mover, *(event.told(clip) for event in events)])
        if part.exchange.answer.startswith("Nothing "):
            assert not [event for event in events if event.verb in part.exchange.answer]
        compared = re.findall(r", ([\d.]+) ([<>]) ([\d.]+) ([<>]) ([\d.]+): (in|out)\b", part.exchange.reasoning)
        assert [time for _, _, time, _, _, _ in compared][: clip.num_patches] == list(clip.patch_times)
        for start, after, time, before, end, verdict in compared:
            assert (float(start), float(end)) == (start_s, end_s)
            assert (after == "<", before == "<") == (start_s < float(time), float(time) < end_s)
            assert (verdict == "in") == (start_s < float(time) < end_s)
    assert told > 10
