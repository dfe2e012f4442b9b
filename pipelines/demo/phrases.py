"""How things, verdicts, places and counts are put in words: what reasoning and answers are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.demo.things import COLOURS, Coords, Thing

Things = Sequence[Thing]
Match = Callable[[Thing], bool]
Detail = Callable[[Thing], str]
"""What is written behind a thing: its name, its box or its centre."""


def article(name: str) -> str:
    """The name with its indefinite article."""
    starts = name[0] in "aeiou8" or name in {"11", "18"} or (len(name) == 1 and name in "AEFHLMNRSX")
    return f"{'an' if starts else 'a'} {name}"


def plural(name: str) -> str:
    """The name in the plural."""
    return f"{name}es" if name.endswith("s") else f"{name}s"


def noun_of(target: str, noun: str = "object") -> str:
    """What the target is called in a sentence: a colour needs a `noun`, a kind or a name is one."""
    return f"{target} {noun}" if target in COLOURS else target


def verdicts(things: Things, target: str, match: Match, detail: Detail | None = None) -> str:
    """What is looked for, then a verdict on each thing; `detail` is written behind each yes."""
    lines = [f"Find: {target}"]
    for i, thing in enumerate(things):
        verdict = f"yes{detail(thing) if detail else ''}" if match(thing) else "no"
        lines.append(f"{i + 1}. {thing.name}, {target}: {verdict}")
    return "\n".join(lines) + "\n"


def listing(things: Things, detail: Detail | None = None) -> str:
    """The things, one a line, with `detail` behind each."""
    return "".join(f"{i + 1}. {thing.name}{detail(thing) if detail else ''}\n" for i, thing in enumerate(things))


def name_text(thing: Thing) -> str:
    """The name, as a detail."""
    return f" {thing.name}"


def box_text(thing: Thing) -> str:
    """The box in written coordinates, as a detail."""
    return " ({},{},{},{})".format(*thing.box_coords)


def point_text(thing: Thing) -> str:
    """The centre in written coordinates, as a detail."""
    return " ({},{})".format(*thing.centre_coords)


def placed_text(thing: Thing) -> str:
    """The centre, then the thing as it will be called, as a detail: what is only copied goes wrong less often."""
    return f"{point_text(thing)} {thing.name} {thing.zone}"


def in_places(things: Things) -> str:
    """The things with the part of the picture that holds each: `a red circle in the top left and a blue 7 in ...`."""
    return listed([f"{article(thing.name)} in the {thing.zone}" for thing in things])


def in_words(names: Sequence[str]) -> str:
    """Names with their articles in one phrase: `a red circle, a blue 7 and an orange star`."""
    return listed([article(name) for name in names])


def listed(phrases: Sequence[str]) -> str:
    """Phrases in one: `this, that and that`."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]]) if len(phrases) > 1 else phrases[0]


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}."


def as_json(found: list[tuple[str, Coords]], key: str) -> str:
    """The JSON answer for (label, coordinates) pairs; `key` is `bbox_2d` or `point_2d`."""
    items = [f'{{"{key}": [{", ".join(map(str, coords))}], "label": "{label}"}}' for label, coords in found]
    return f"[{', '.join(items)}]"


def there_are(count: int, noun: str) -> str:
    """A sentence that gives a count of `noun`, which is in the singular."""
    return f"There is 1 {noun}." if count == 1 else f"There are {count} {plural(noun)}."


def these(things: Things, target: str) -> str:
    """What fits the target, counted and named: `There are 2 circles: a red circle and a blue circle.`"""
    return f"{there_are(len(things), noun_of(target))[:-1]}: {in_words([thing.name for thing in things])}."
