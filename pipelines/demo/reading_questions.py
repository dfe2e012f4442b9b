"""Questions about what is written: a digit, a number of two digits, a letter, or all of it."""

from __future__ import annotations

import random
from itertools import count

from pipelines.demo.exchange import Exchange, Task, pick
from pipelines.demo.phrases import Match, Things, in_words, verdicts
from pipelines.demo.things import LETTERS, SHAPES

NOTHING_SHARE = 0.2
"""How often the question is asked where there is nothing of the kind to read."""
READ = "Read all the text in the picture. Write only what is written there, line by line."
"""As the program itself asks."""


def ask_number(rng: random.Random, things: Things) -> Exchange | None:
    """Which numbers are drawn."""
    if not any(map(is_number, things)) and rng.random() > NOTHING_SHARE:
        return None
    question = pick(
        rng, "What number is written?", "Which number do you see?", "Read the number.", "What number is drawn?",
        "What number is in the picture?", "Which number is drawn?", "Which numbers are there?",
    )  # fmt: skip
    return read(things, "number", question)


def ask_letter(rng: random.Random, things: Things) -> Exchange | None:
    """Which letters are drawn."""
    if not any(map(is_letter, things)) and rng.random() > NOTHING_SHARE:
        return None
    question = pick(
        rng, "What letter is written?", "Which letter do you see?", "Read the letter.", "What letter is drawn?",
        "What letter is in the picture?", "Which letter is drawn?", "Which letters are there?",
    )  # fmt: skip
    return read(things, "letter", question)


def ask_text(rng: random.Random, things: Things) -> Exchange | None:
    """Everything that is written, in reading order; its line of the answer is written behind each yes."""
    found = [thing for thing in things if is_text(thing)]
    if not found and rng.random() > NOTHING_SHARE:
        return None
    question = pick(
        rng, READ, READ, READ, "Read the text.", "What text is in the image?", "What is written?", "What does it say?",
        "Is there any text?", "What is written in the picture?", "Read it.", "Transcribe the text.", "Read all text.",
        "What text do you see?", "Read everything.", "What text is there?",
    )  # fmt: skip
    lines = count(1)
    steps = verdicts(things, "text", is_text, lambda thing: f" {next(lines)}. {thing.kind}")
    answer = "\n".join(thing.kind for thing in found)
    return Exchange("text", question, f"{steps}Total: {len(found)}", answer or "There is no text.")


def read(things: Things, task: Task, question: str) -> Exchange:
    """What is read; the task (`number` or `letter`) is also the word for it.

    Several are told with their colours: the same number three times in a row is easily miscounted.
    """
    match = is_letter if task == "letter" else is_number
    steps = verdicts(things, task, match, lambda thing: f" {thing.kind}")
    found = [thing for thing in things if match(thing)]
    if not found:
        return Exchange(task, question, steps + "Not found.", f"There is no {task}.")
    names = [thing.name for thing in found]
    answer = f"The {task} is {found[0].kind}." if len(found) == 1 else f"The {task}s are {in_words(names)}."
    return Exchange(task, question, steps + f"Found: {', '.join(names)}", answer)


is_text: Match = lambda thing: thing.kind not in SHAPES  # noqa: E731
is_letter: Match = lambda thing: thing.kind in LETTERS  # noqa: E731
is_number: Match = lambda thing: thing.kind not in (*SHAPES, *LETTERS)  # noqa: E731
