"""Questions whose answers are places: boxes, points, parts of the picture."""

from __future__ import annotations

import random

from pipelines.demo.exchange import Exchange, match_of, missing_name, only, pick
from pipelines.demo.phrases import Detail, Things, article, as_json, box_text, listing, point_text, verdicts
from pipelines.demo.things import SHAPES, Thing

CATEGORIES = "Locate every instance that belongs to the following categories: {}."
JSON_BOXES = " Report bbox coordinates in JSON format."
JSON_POINTS = " Report point coordinates in JSON format."


def ask_box(rng: random.Random, things: Things) -> Exchange:
    """The boxes of what is named."""
    return box_of(rng, things, _target(rng, things))


def box_of(rng: random.Random, things: Things, target: str) -> Exchange:
    """The boxes of everything that fits the target."""
    question = pick(
        rng, "Where is the {}?" + JSON_BOXES, "Locate the {}." + JSON_BOXES, "Locate the {}.",
        "Find the {}." + JSON_BOXES, "Give the box of the {} as JSON.", "Detect the {}.",
        "Locate the {}, output its bbox coordinates in JSON format.",
        "Draw a box around the {}.",
    ).format(target)  # fmt: skip
    return Exchange("box", question, *_searched(things, [target], "bbox_2d", box_text))


def ask_boxes(rng: random.Random, things: Things) -> Exchange:
    """The boxes of one to three categories, in the official wording."""
    targets: list[str] = []
    for _ in range(rng.choices((1, 2, 3), (5, 3, 2))[0]):
        target = _target(rng, things)
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
        "Locate the {}." + JSON_POINTS, "Point at the {}.",
    ).format(target)  # fmt: skip
    return Exchange("point", question, *_searched(things, [target], "point_2d", point_text))


def ask_all_boxes(rng: random.Random, things: Things) -> Exchange:
    """The boxes of everything."""
    noun = rng.choice(("objects", "shapes", "things"))
    question = pick(
        rng, "Locate all {}." + JSON_BOXES, "Detect all {}." + JSON_BOXES, "Detect all {}.", "Locate all {}.",
        "Find all {}." + JSON_BOXES, "Give the bounding boxes of all {}.",
        "Locate every instance that belongs to the following categories: '{}'." + JSON_BOXES,
    ).format(noun)  # fmt: skip
    answer = as_json([(thing.name, thing.box_coords) for thing in things], "bbox_2d")
    return Exchange("all_boxes", question, listing(things, box_text) + f"Total: {len(things)}", answer)


def ask_where(rng: random.Random, things: Things) -> Exchange | None:
    """The part of the picture that holds what is named."""
    single = [thing for thing in things if only(things, thing.name)]
    return where_of(rng, things, rng.choice(single)) if single else None


def where_of(rng: random.Random, things: Things, found: Thing) -> Exchange:
    """The part of the picture that holds this thing, the only one of its name."""
    question = pick(
        rng, "Where is the {}?", "where is the {} in the picture?", "In which part of the picture is the {}?",
        "Where in the picture is the {}?", "In what part of the image is the {}?", "Tell me where the {} is.",
    ).format(found.name)  # fmt: skip
    steps = verdicts(things, found.name, match_of(found.name), point_text)
    return Exchange("where", question, steps + f"Found: {found.zone}", f"The {found.name} is in the {found.zone}.")


def ask_describe(rng: random.Random, things: Things) -> Exchange:
    """Everything, and where it is."""
    question = pick(
        rng, "Describe the picture.", "Describe the image.", "Describe this picture.", "What is in the picture?",
        "What do you see?", "What does the image show?",
    )  # fmt: skip
    parts = [f"{article(thing.name)} in the {thing.zone}" for thing in things]
    whole = " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
    noun = "object" if len(things) == 1 else "objects"
    steps = listing(things, point_text) + f"Total: {len(things)}"
    return Exchange("describe", question, steps, f"The picture shows {len(things)} {noun}: {whole}.")


def _target(rng: random.Random, things: Things) -> str:
    chance = rng.random()
    if chance < 0.14:
        return missing_name(rng, things)
    thing = rng.choice(things)
    return thing.kind if chance > 0.75 and thing.kind in SHAPES else thing.name


def _searched(things: Things, targets: list[str], key: str, place: Detail) -> tuple[str, str]:
    """The reasoning and the JSON answer of a search for each target in turn.

    Where there are several, the label stands behind each place, as it does in the answer.
    """
    steps, found = [], []
    for target in targets:
        match = match_of(target)
        matches = [thing for thing in things if match(thing)]
        detail = _labelled(place, target) if len(targets) > 1 else place
        steps.append(verdicts(things, target, match, detail) + f"Total: {len(matches)}")
        found += [(target, thing.box_coords if key == "bbox_2d" else thing.centre_coords) for thing in matches]
    return "\n".join(steps), as_json(found, key)


def _labelled(place: Detail, label: str) -> Detail:
    return lambda thing: f"{place(thing)} {label}"
