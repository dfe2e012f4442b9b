"""Practice without pictures: questions about a written list of things, and what to say when no picture is given."""

from __future__ import annotations

import random

from pipelines.demo.exchange import Exchange, Task
from pipelines.demo.questions import PICTURE_WEIGHTS, ask, ask_any
from pipelines.demo.things import Thing, pick_name, reading_order

NUM_ROWS = 5
LIST_WEIGHTS: dict[Task, float] = {
    "count": 0.5, "count_shape": 3, "count_colour": 2.5, "count_named": 1, "colour": 3, "shape": 2.5, "exists": 4,
    "box": 1.6, "boxes": 1.2, "point": 1.2, "where": 1.2, "digit": 1, "describe": 0.4,
}  # fmt: skip
BOXED: frozenset[Task] = frozenset({"box", "boxes"})
POINTED: frozenset[Task] = frozenset({"point", "where", "describe"})
"""Tasks that need the boxes of the list, and those that need its centres."""
ABOUT = "I am a small demo model. I answer questions about simple drawings: count shapes, name colours, find objects."
TALK = (
    (("Hello", "Hi", "hello!", "Hi there", "Hey", "Good morning", "Hello, how are you?"), f"Hello! {ABOUT}"),
    (("Who are you?", "What are you?", "What can you do?", "Help", "help me", "Hello, who are you?"), ABOUT),
    (("Thanks", "Thank you!", "thanks a lot", "ok", "Great"), "You are welcome!"),
    (("Bye", "Goodbye", "See you"), "Goodbye!"),
)
OTHER_WORLD = "I am only a small demo model and can not answer that. Ask me about a simple drawing."
NO_PICTURE = "I see no picture. Please add a drawing."
COMMON_WORDS = (
    "the of and to in is you that it for was on are as with his they at be this from have or one had by but not what "
    "all were we when your can said there use an each which she do how their if will up other about out many then "
    "them these so some her would make like him into time has look two more write go see way could people my than "
    "first water been call who oil its now find long down day did get come made may part why code python explain "
    "weather capital france poem story translate english german recipe math solve sum today news president file "
    "folder website page server test big small fast slow music book house dog cat love work money city world"
)
WORDS = tuple(COMMON_WORDS.split())


def imagined(rng: random.Random, max_things: int) -> tuple[Thing, ...]:
    """Things that were never drawn, with plausible boxes, in reading order."""
    names: list[tuple[str, str]] = []
    for _ in range(rng.randint(1, max_things)):
        names.append(pick_name(rng, names, 0.15))
    things = []
    for kind, colour in names:
        width, height = rng.uniform(0.15, 0.42), rng.uniform(0.15, 0.42)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        things.append(Thing(kind, colour, (left, top, left + width, top + height)))
    return tuple(things[i] for i in reading_order(things, NUM_ROWS))


def list_exchanges(rng: random.Random, max_things: int, count: int) -> list[Exchange]:
    """`count` questions about one written list, which stands before (or after) the first of them."""
    things = imagined(rng, max_things)
    first = ask_any(rng, things, LIST_WEIGHTS)
    allowed = next((tasks for tasks in (BOXED, POINTED) if first.task in tasks), frozenset[Task]())
    listed = "".join(f"{i + 1}. {thing.name}{_place(thing, allowed)}\n" for i, thing in enumerate(things))
    question = listed + first.question if rng.random() < 0.7 else f"{first.question}\n{listed.strip()}"
    exchanges = [Exchange("written", question, first.reasoning, first.answer)]
    while len(exchanges) < count:
        more = ask_any(rng, things, LIST_WEIGHTS)
        if more.task not in (BOXED | POINTED) - allowed:
            exchanges.append(more)
    return exchanges


def _place(thing: Thing, allowed: frozenset[Task]) -> str:
    coords = thing.box_coords if allowed == BOXED else thing.centre_coords if allowed else ()
    return f" ({','.join(map(str, coords))})" if coords else ""


def small_talk(rng: random.Random) -> Exchange:
    """A greeting, a sentence from outside the model's world, or a question that lacks its picture."""
    chance = rng.random()
    if chance < 0.4:
        wordings, answer = rng.choice(TALK)
        return Exchange("written", rng.choice(wordings), "No picture.", answer)
    if chance < 0.7:
        sentence = " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 9)))
        sentence = sentence.capitalize() if rng.random() < 0.7 else sentence
        return Exchange("written", sentence + rng.choice(("?", ".", "")), "Not about a drawing.", OTHER_WORLD)
    exchange = None
    while exchange is None:
        exchange = ask(rng, imagined(rng, 3), rng.choice(tuple(PICTURE_WEIGHTS)))
    return Exchange("written", exchange.question, "No picture.", NO_PICTURE)
