"""Questions whose answers are counts, and which of two counts is larger."""

from __future__ import annotations

import random

from pipelines.demo.exchange import Exchange, Task, match_of, missing_name, pick
from pipelines.demo.phrases import Things, listing, noun_of, plural, there_are, verdicts
from pipelines.demo.things import COLOURS, SHAPES

COUNTABLE = ("objects", "shapes", "things")


def ask_count(rng: random.Random, things: Things) -> Exchange:
    """How many there are in all."""
    noun = rng.choice(COUNTABLE)
    question = pick(
        rng, "How many {} are there?", "How many {} are in the picture?", "Count the {}.", "how many {} do you see?",
        "How many {} are in the image?", "Count all {}.", "How many?", "Count.", "Count everything.", "How many {}?",
        "How many {} can you see?", "Can you count the {}?", "Please tell me how many {} there are.",
    ).format(noun)  # fmt: skip
    return Exchange("count", question, listing(things) + f"Total: {len(things)}", there_are(len(things), noun[:-1]))


def ask_count_shape(rng: random.Random, things: Things) -> Exchange:
    """How many of a shape."""
    return count_of(rng, "count_shape", things, _counted(rng, [t.kind for t in things if t.kind in SHAPES], SHAPES))


def ask_count_colour(rng: random.Random, things: Things) -> Exchange:
    """How many of a colour."""
    return count_of(rng, "count_colour", things, _counted(rng, [thing.colour for thing in things], tuple(COLOURS)))


def ask_count_named(rng: random.Random, things: Things) -> Exchange:
    """How many of a shape in a colour."""
    shapes = [thing for thing in things if thing.kind in SHAPES]
    name = rng.choice(shapes).name if shapes and rng.random() < 0.7 else missing_name(rng, things)
    return count_of(rng, "count_named", things, name)


def count_of(rng: random.Random, task: Task, things: Things, target: str) -> Exchange:
    """How many things fit the target: a colour, a kind or both."""
    noun = noun_of(target, rng.choice(COUNTABLE)[:-1])
    question = pick(
        rng, "How many {} are there?", "How many {} are in the picture?", "Count the {}.", "how many {} do you see?",
        "How many {} are in the image?", "Count all {}.", "How many {}?", "How many {} can you see?",
        "Can you count the {}?", "Please tell me how many {} there are.",
    ).format(plural(noun))  # fmt: skip
    steps, total = _tally(things, target)
    return Exchange(task, question, steps, there_are(total, noun))


def ask_compare(rng: random.Random, things: Things) -> Exchange:
    """Of which of two colours or shapes there are more."""
    there = [thing.colour for thing in things] if rng.random() < 0.5 else [t.kind for t in things if t.kind in SHAPES]
    possible = tuple(COLOURS) if there and there[0] in COLOURS else SHAPES
    first = _counted(rng, there, possible)
    second = _counted(rng, [value for value in there if value != first], tuple(v for v in possible if v != first))
    return compare(rng, things, *rng.sample((first, second), 2))


def compare(rng: random.Random, things: Things, first: str, second: str) -> Exchange:
    """Whether more things fit the one target or the other."""
    noun = rng.choice(COUNTABLE)[:-1]
    firsts, seconds = plural(noun_of(first, noun)), plural(noun_of(second, noun))
    question = pick(
        rng, "Are there more {} or more {}?", "Are there more {} than {}?", "Which are there more of, {} or {}?",
        "Compare the number of {} and {}.", "Does the picture show more {} than {}?", "more {} or {}?",
    ).format(firsts, seconds)  # fmt: skip
    steps, count = _tally(things, first)
    more_steps, other = _tally(things, second)
    sign = "=" if count == other else ">" if count > other else "<"
    reasoning = f"{steps}\n{more_steps}\n{first} {count} {sign} {other} {second}"
    if count == other:
        return Exchange("compare", question, reasoning, f"There are as many {firsts} as {seconds}.")
    more, fewer = (firsts, seconds) if count > other else (seconds, firsts)
    return Exchange("compare", question, reasoning, f"There are more {more} than {fewer}.")


def _tally(things: Things, target: str) -> tuple[str, int]:
    total = sum(map(match_of(target), things))
    return verdicts(things, target, match_of(target)) + f"Total: {total}", total


def _counted(rng: random.Random, there: list[str], possible: tuple[str, ...]) -> str:
    """What to count: 22% of the time nothing of it is there; what is there more than once comes up more often."""
    gone = [value for value in possible if value not in there]
    if not there or (gone and rng.random() < 0.22):
        return rng.choice(gone)
    present = sorted(set(there))
    return rng.choices(present, [3 if there.count(value) > 1 else 1 for value in present])[0]
