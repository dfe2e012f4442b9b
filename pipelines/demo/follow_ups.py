"""Second questions about the same picture that only make sense after the first: `And the green one?`"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipelines.demo.count_questions import count_of
from pipelines.demo.exchange import Exchange, missing_name, only
from pipelines.demo.phrases import Things, article, plural
from pipelines.demo.place_questions import box_of, where_of
from pipelines.demo.questions import colour_of, exists
from pipelines.demo.things import COLOURS, SHAPES


@dataclass(frozen=True)
class FollowUp:
    """A question with its answer, and the exchange that follows. `plain` is the second, asked in full."""

    first: Exchange
    second: Exchange
    plain: Exchange


def follow_up(rng: random.Random, things: Things) -> FollowUp:
    """Two questions about the same things."""
    while True:
        found = rng.choice(FOLLOWERS)(rng, things)
        if found:
            return found


def _linked(rng: random.Random, exchanges: Sequence[Exchange], *links: str, answer: str | None = None) -> FollowUp:
    """The second exchange behind one of `links`; `answer` is worded for that, where it differs."""
    first, plain = exchanges
    asked = replace(plain, task="follow_up", question=rng.choice(links), answer=answer or plain.answer)
    return FollowUp(first, asked, replace(plain, task="in_full"))


def _colours_counted(rng: random.Random, things: Things) -> FollowUp:
    there = [thing.colour for thing in things]
    first = rng.choice(there)
    second = rng.choice([colour for colour in (*there, rng.choice(tuple(COLOURS))) if colour != first] or ["black"])
    exchanges = [count_of(rng, "count_colour", things, colour) for colour in (first, second)]
    noun = rng.choice(("ones", "objects", "shapes", "things"))
    return _linked(rng, exchanges, f"And {second} {noun}?", f"And how many {second} {noun}?", f"And {second}?",
                   f"How many {second} ones?", f"And the {second} ones?", f"What about {second} ones?",
                   answer=_renamed(exchanges, first, second))  # fmt: skip


def _renamed(exchanges: list[Exchange], first: str, second: str) -> str:
    """The second answer with the first one's noun: `And red ones?` is about whatever was counted before."""
    noun = next(noun for noun in ("object", "shape", "thing") if f"{first} {noun}" in exchanges[0].answer)
    answer = exchanges[1].answer
    for other in ("object", "shape", "thing"):
        answer = answer.replace(f"{second} {other}", f"{second} {noun}")
    return answer


def _shapes_counted(rng: random.Random, things: Things) -> FollowUp | None:
    there = [thing.kind for thing in things if thing.kind in SHAPES]
    if not there:
        return None
    first = rng.choice(there)
    second = rng.choice([kind for kind in (*there, rng.choice(SHAPES)) if kind != first] or [rng.choice(SHAPES)])
    exchanges = [count_of(rng, "count_shape", things, kind) for kind in (first, second)]
    name = plural(second)
    return _linked(rng, exchanges, f"And {name}?", f"And how many {name}?", f"What about {name}?", f"And the {name}?",
                   f"and how many {name}?", f"and {name}?")  # fmt: skip


def _existing(rng: random.Random, things: Things) -> FollowUp:
    first, second = (rng.choice(things).name if rng.random() < 0.5 else missing_name(rng, things) for _ in range(2))
    exchanges = [exists(rng, things, name) for name in (first, second)]
    return _linked(rng, exchanges, f"And {article(second)}?", f"And is there {article(second)}?", f"and a {second}?",
                   f"What about {article(second)}?", f"Or {article(second)}?", f"Also {article(second)}?")  # fmt: skip


def _coloured(rng: random.Random, things: Things) -> FollowUp | None:
    single = [thing.kind for thing in things if only(things, thing.kind)]
    if len(single) < 2:
        return None
    first, second = rng.sample(single, 2)
    exchanges = [colour_of(rng, things, kind) for kind in (first, second)]
    return _linked(rng, exchanges, f"And the {second}?", f"And the {second}?", f"What about the {second}?",
                   f"And of the {second}?", f"and the {second}?", f"Now the {second}.")  # fmt: skip


def _boxed(rng: random.Random, things: Things) -> FollowUp | None:
    return _placed(rng, things, lambda name: box_of(rng, things, name))


def _situated(rng: random.Random, things: Things) -> FollowUp | None:
    return _placed(rng, things, lambda name: where_of(rng, things, name))


def _placed(rng: random.Random, things: Things, ask: Callable[[str], Exchange]) -> FollowUp | None:
    """Of two places; where the two are of one kind, the second may be called by its colour alone."""
    single = [thing for thing in things if only(things, thing.name)]
    if len(single) < 2:
        return None
    first, second = rng.sample(single, 2)
    same = [thing for thing in single if thing.kind == first.kind and thing is not first]
    if same:
        second = same[0]
    name = f"the {second.colour} one" if same and rng.random() < 0.7 else f"the {second.name}"
    return _linked(rng, [ask(first.name), ask(second.name)], f"And {name}?", f"And where is {name}?", f"and {name}?",
                   f"What about {name}?", f"Now {name}.", f"And {name}, please?")  # fmt: skip


FOLLOWERS: tuple[Callable[[random.Random, Things], FollowUp | None], ...] = (
    _colours_counted, _shapes_counted, _existing, _coloured, _boxed, _boxed, _situated,
)  # fmt: skip
