"""Whether a conclusion agrees with the list that the model wrote before it, whatever the picture shows."""

from __future__ import annotations

import re

from pipelines.demo.exchange import Task
from pipelines.demo.scoring import NAME, read_boxes, read_points

COUNTS: tuple[Task, ...] = ("count", "count_shape", "count_colour", "count_named")
LINE = re.compile(r"^\d\. ", re.MULTILINE)
LISTED = re.compile(rf"^\d\. {NAME.pattern}", re.MULTILINE)
YES = re.compile(r": yes\b")
PLACE = re.compile(r"\((\d+(?:,\d+)+)\)")
READ = re.compile(r"(\w+) (\w+), (?:number|letter): yes\b")
WRITTEN = re.compile(r", text: yes \d\. (\w+)$", re.MULTILINE)
SIDE = re.compile(r": (\d+) ([<>]) (\d+): (yes|no)$")


def agrees_with_list(task: Task, reasoning: str, answer: str) -> bool | None:
    """Whether the answer follows from the reasoning; None for tasks whose reasoning is no list to conclude from."""
    if task in COUNTS:
        return _last_number(answer) == _tally(reasoning, is_all=task == "count") == _total(reasoning)
    if task == "exists":
        return answer.startswith("Yes") == bool(YES.search(reasoning))
    if task in ("box", "boxes", "all_boxes", "point"):
        places = [tuple(map(int, place.split(","))) for place in PLACE.findall(reasoning)]
        told = read_points(answer) if task == "point" else read_boxes(answer)
        return told is not None and [tuple(map(int, place)) for _, place in told] == places
    if task in ("list", "describe"):
        return LISTED.findall(reasoning) == NAME.findall(answer)
    if task in ("number", "letter"):
        read = READ.findall(reasoning)
        return NAME.findall(answer) == read if len(read) != 1 else answer.endswith(f" {read[0][1]}.")
    if task == "text":
        written = WRITTEN.findall(reasoning)
        return answer == ("\n".join(written) or "There is no text.")
    if task == "side":
        return _side(reasoning, answer)
    if task == "compare":
        return _comparison(reasoning, answer)
    return None


def _total(reasoning: str) -> int | None:
    totals = re.findall(r"Total: (\d+)", reasoning)
    return int(totals[-1]) if totals else None


def _tally(reasoning: str, is_all: bool) -> int:
    return len((LINE if is_all else YES).findall(reasoning))


def _last_number(answer: str) -> int | None:
    found = re.findall(r"\d+", answer)
    return int(found[0]) if found else None


def _side(reasoning: str, answer: str) -> bool:
    found = SIDE.search(reasoning)
    if not found:
        return False
    ours, sign, theirs, verdict = found.groups()
    is_true = (int(ours) < int(theirs)) == (sign == "<")
    return is_true and answer.lower().startswith(verdict)


def _comparison(reasoning: str, answer: str) -> bool:
    tallies = [len(YES.findall(part)) for part in reasoning.split("Find: ")[1:]]
    if len(tallies) != 2:
        return False
    targets = re.findall(r"Find: (.*)", reasoning)
    if tallies[0] == tallies[1]:
        return "as many" in answer
    return f"more {targets[tallies[1] > tallies[0]]}" in answer
