"""Questions whose answers are places: boxes, points, parts of the picture."""

from __future__ import annotations

import random

from pipelines.demo.exchange import Exchange, match_of, missing_name, pick
from pipelines.demo.phrases import (
    Detail,
    Things,
    as_json,
    box_text,
    in_places,
    listing,
    noun_of,
    placed_text,
    plural,
    point_text,
    there_are,
    verdicts,
)
from pipelines.demo.things import COLOURS, SHAPES, Coords

CATEGORIES = "Locate every instance that belongs to the following categories: {}."
JSON_BOXES = " Report bbox coordinates in JSON format."
JSON_POINTS = " Report point coordinates in JSON format."


def ask_box(rng: random.Random, things: Things) -> Exchange:
    """The boxes of what is named, or of one colour."""
    target = rng.choice(things).colour if rng.random() < 0.12 else _target(rng, things)
    return box_of(rng, things, target)


def box_of(rng: random.Random, things: Things, target: str) -> Exchange:
    """The boxes of everything that fits the target: a name, a kind or a colour."""
    if target in COLOURS or (target in SHAPES and rng.random() < 0.3):
        noun = noun_of(target, rng.choice(("object", "shape", "thing")))
        question = pick(
            rng, "Find all {0}.", "Find all the {0}.", "Locate all {0}.", "Locate the {0}." + JSON_BOXES,
            "Detect all {0}.", "Show me all {0}.", "Draw boxes around the {0}.", "Find the {0}.",
            "Locate all {0}." + JSON_BOXES, "Mark the {0}.", "Show me the {0}.", "Box all {0}.",
            "Find every {1}.", "Find every {1}.", "Box every {1}.", "Mark every {1}.", "Locate every {1}.",
        ).format(plural(noun), noun)  # fmt: skip
    else:
        question = pick(
            rng, "Where is the {}?" + JSON_BOXES, "Locate the {}." + JSON_BOXES, "Locate the {}.",
            "Find the {}." + JSON_BOXES, "Give the box of the {} as JSON.", "Detect the {}.",
            "Locate the {}, output its bbox coordinates in JSON format.",
            "Draw a box around the {}.", "Find the {}.", "Show me the {}.", "Box the {}.", "Mark the {}.",
            "Locate every {}.", "Find every {}.", "Can you find the {}?",
        ).format(target)  # fmt: skip
    return Exchange("box", question, *_searched(things, [target], "bbox_2d", box_text))


def ask_boxes(rng: random.Random, things: Things) -> Exchange:
    """The boxes of one to three categories, in the official wording."""
    targets: list[str] = []
    for _ in range(rng.choices((1, 2, 3), (5, 3, 2))[0]):
        target = _target(rng, things, kinds=0.4)
        if not any(target in other or other in target for other in targets):
            targets.append(target)
    categories = ", ".join(f"'{target}'" for target in targets)
    question = pick(
        rng, *[CATEGORIES + JSON_BOXES] * 4, "Detect all instances of {}." + JSON_BOXES, "Find every {}." + JSON_BOXES,
        "Locate all instances of {}." + JSON_BOXES, "Detect {}." + JSON_BOXES,
        CATEGORIES + " Report bbox coordinates and label in JSON format.",
    ).format(categories)  # fmt: skip
    return Exchange("boxes", question, *_searched(things, targets, "bbox_2d", box_text))


def ask_point(rng: random.Random, things: Things) -> Exchange:
    """The centres of what is named."""
    target = _target(rng, things)
    question = pick(
        rng, "Point to the {}." + JSON_POINTS, "Point to the {}." + JSON_POINTS, "Point at the {}." + JSON_POINTS,
        "Where is the {}?" + JSON_POINTS, "Point to the {}.", "Point to every {}." + JSON_POINTS,
        "Locate the {}." + JSON_POINTS, "Point at the {}.", "Point out the {}.", "Point to every {}.",
    ).format(target)  # fmt: skip
    return Exchange("point", question, *_searched(things, [target], "point_2d", point_text))


def ask_all_boxes(rng: random.Random, things: Things) -> Exchange:
    """The boxes of everything."""
    noun = rng.choice(("objects", "shapes", "things"))
    question = pick(
        rng, "Locate all {}." + JSON_BOXES, "Detect all {}." + JSON_BOXES, "Detect all {}.", "Locate all {}.",
        "Find all {}." + JSON_BOXES, "Give the bounding boxes of all {}.",
        "Locate every instance that belongs to the following categories: '{}'." + JSON_BOXES, "Find all {}.",
        "Find everything.", "Locate everything.", "Draw boxes around all {}.", "Show me all {}.", "Draw boxes.",
        "Find every {one}.", "Locate every {one}.", "Detect every {one}.", "Box every {one}.",
    ).format(noun, one=noun.removesuffix("s"))  # fmt: skip
    answer = as_json([(thing.name, thing.box_coords) for thing in things], "bbox_2d")
    return Exchange("all_boxes", question, listing(things, box_text) + f"Total: {len(things)}", answer)


def ask_where(rng: random.Random, things: Things) -> Exchange:
    """The part of the picture that holds what is named."""
    chance = rng.random()
    thing = rng.choice(things)
    kinds = [one.kind for one in things if one.kind in SHAPES]
    repeated = [kind for kind in kinds if kinds.count(kind) > 1]
    if chance < 0.1:
        return where_of(rng, things, rng.choice((missing_name(rng, things), rng.choice(SHAPES))))
    if repeated and chance > 0.7:
        return where_of(rng, things, rng.choice(repeated))
    if chance < 0.3:
        return where_of(rng, things, thing.colour)
    return where_of(rng, things, thing.kind if chance < 0.6 and thing.kind in SHAPES else thing.name)


def where_of(rng: random.Random, things: Things, target: str) -> Exchange:
    """The part of the picture that holds what fits the target, or those that hold each of several."""
    found = [thing for thing in things if match_of(target)(thing)]
    if target in COLOURS or (target in SHAPES and rng.random() < (0.6 if len(found) > 1 else 0.3)):
        question = pick(
            rng, "Where are the {}?", "Where are all {}?", "Where are the {} in the picture?",
            "In which parts of the picture are the {}?", "Tell me where the {} are.", "Where do you see {}?",
        ).format(plural(noun_of(target, rng.choice(("object", "shape", "thing")))))  # fmt: skip
    else:
        question = pick(
            rng, "Where is the {}?", "where is the {} in the picture?", "In which part of the picture is the {}?",
            "Where in the picture is the {}?", "In what part of the image is the {}?", "Tell me where the {} is.",
            "Where is the {}?", "Where's the {}?", "Can you tell me where the {} is?",
        ).format(target)  # fmt: skip
    steps = verdicts(things, target, match_of(target), placed_text)
    if not found:
        return Exchange("where", question, steps + "Not found.", f"There is no {noun_of(target)}.")
    if len(found) == 1 and target not in COLOURS:
        return Exchange("where", question, f"{steps}Found: {found[0].zone}", f"The {target} is in the {found[0].zone}.")
    steps += f"Found: {', '.join(f'{thing.name} {thing.zone}' for thing in found)}"
    return Exchange("where", question, steps, f"{there_are(len(found), noun_of(target))[:-1]}: {in_places(found)}.")


def ask_describe(rng: random.Random, things: Things) -> Exchange:
    """Everything, and where it is."""
    question = pick(
        rng, "Describe the picture.", "Describe the image.", "Describe this picture.", "What is in the picture?",
        "What do you see?", "What does the image show?", "What is this?", "What's this?", "What is that?",
        "What's in this picture?", "What's in the image?", "What can you see?", "What do you see here?",
        "Tell me about this picture.", "What is shown here?", "Describe what you see.",
        "Describe this image in detail.", "Explain this picture.", "Describe.", "Describe everything.",
        "What is in this image?", "Where is everything?", "What do you see in this image?", "What is there?",
        "What is happening here?", "What happens?",
    )  # fmt: skip
    noun = "object" if len(things) == 1 else "objects"
    steps = listing(things, placed_text) + f"Total: {len(things)}"
    return Exchange("describe", question, steps, f"The picture shows {len(things)} {noun}: {in_places(things)}.")


def _target(rng: random.Random, things: Things, kinds: float = 0.25) -> str:
    """What to look for: a name, for the share `kinds` a kind in any colour, or what is not there."""
    chance = rng.random()
    if chance < 0.14:
        return missing_name(rng, things)
    thing = rng.choice(things)
    return thing.kind if chance > 1 - kinds and thing.kind in SHAPES else thing.name


def _searched(things: Things, targets: list[str], key: str, place: Detail) -> tuple[str, str]:
    """The reasoning and the JSON answer of a search for each target in turn.

    Where there are several, the label stands behind each place, as it does in the answer. Things of a colour are
    labelled with their names.
    """
    steps: list[str] = []
    found: list[tuple[str, Coords]] = []
    for target in targets:
        match = match_of(target)
        matches = [thing for thing in things if match(thing)]
        detail = _named(place) if target in COLOURS else _labelled(place, target) if len(targets) > 1 else place
        steps.append(verdicts(things, target, match, detail) + f"Total: {len(matches)}")
        for thing in matches:
            label = thing.name if target in COLOURS else target
            found.append((label, thing.box_coords if key == "bbox_2d" else thing.centre_coords))
    return "\n".join(steps), as_json(found, key)


def _labelled(place: Detail, label: str) -> Detail:
    return lambda thing: f"{place(thing)} {label}"


def _named(place: Detail) -> Detail:
    return lambda thing: f"{place(thing)} {thing.name}"
